#include "redis_reply.h"

#include <string.h>

/*
 * Some servers quote the arguments of a command they refuse: what holds the
 * password is cut down to its first word, or to nothing.
 */
struct text redis_reply_without(const redisReply *reply, struct text secret)
{
    struct text text = {reply->str, reply->len};
    const char *blank;

    if (secret.length == 0 ||
        memmem(text.bytes, text.length, secret.bytes, secret.length) == NULL) {
        return text;
    }
    blank = memchr(text.bytes, ' ', text.length);
    text.length = blank == NULL ? 0 : (size_t)(blank - text.bytes);
    if (memmem(text.bytes, text.length, secret.bytes, secret.length) != NULL) {
        text.length = 0;
    }
    return text;
}

/* A text of a reply that is pairs of names and values, or NULL bytes. */
struct text redis_reply_pair(const redisReply *reply, const char *name)
{
    for (size_t i = 1;
         reply->type == REDIS_REPLY_ARRAY && i < (size_t)reply->elements;
         i += 2) {
        const redisReply *key = reply->element[i - 1];
        const redisReply *value = reply->element[i];

        if (key->type == REDIS_REPLY_STRING && strcmp(key->str, name) == 0 &&
            value->type == REDIS_REPLY_STRING) {
            return (struct text){value->str, (size_t)value->len};
        }
    }
    return (struct text){NULL, 0};
}
