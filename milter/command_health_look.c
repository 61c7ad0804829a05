#include "command_health.h"
#include "decimal.h"
#include "redis_link.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 3
#define SHOWN_MAX 300

bool health_ask(struct health_source *source, const char *verb,
                enum store_history kind, unsigned bucket, struct text name,
                const char *const *words, size_t count)
{
    struct text all[2 + WORDS_MAX] = {text_of(verb)};
    struct store_key key;

    if (!store_key_history(source->key_prefix, bucket, kind, name, &key)) {
        error_set(&source->error, "the key of this name would be too long");
        return false;
    }
    all[1] = (struct text){key.text, key.length};
    for (size_t i = 0; i < count && i < WORDS_MAX; i++) {
        all[2 + i] = text_of(words[i]);
    }
    return command_store_add(source->store, 2 + count, all, &source->error);
}

redisReply *health_take(struct health_source *source)
{
    redisReply *reply = command_store_next(source->store, &source->error);
    char shown[SHOWN_MAX];

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
        redis_fault_of(reply) == REDIS_FAULT_TYPE) {
        return reply;
    }
    error_set(&source->error, "redis: %s",
              text_escape(command_store_text(reply), shown, sizeof shown));
    freeReplyObject(reply);
    return NULL;
}

bool health_take_number(struct health_source *source, int64_t *number)
{
    redisReply *reply = health_take(source);

    *number = reply != NULL && reply->type == REDIS_REPLY_INTEGER
                  ? reply->integer
                  : 0;
    freeReplyObject(reply);
    return reply != NULL;
}

size_t health_fields(const redisReply *hash)
{
    return hash != NULL && hash->type == REDIS_REPLY_ARRAY ? hash->elements / 2
                                                           : 0;
}

void health_field(const redisReply *hash, size_t index, struct text *field,
                  struct text *value)
{
    *field = command_store_text(hash->element[2 * index]);
    *value = command_store_text(hash->element[2 * index + 1]);
}

struct text health_value(const redisReply *hash, const char *field)
{
    for (size_t i = 0; i < health_fields(hash); i++) {
        struct text name;
        struct text value;

        health_field(hash, i, &name, &value);
        if (text_is(name, field)) {
            return value;
        }
    }
    return text_of(NULL);
}

int64_t health_number(struct text text)
{
    return decimal_or_zero(text);
}

/* ---- breakers ---- */

void health_breakers_add(GArray *breakers, unsigned bucket,
                         const redisReply *hash, int64_t now_us)
{
    for (size_t i = 0; i < health_fields(hash); i++) {
        struct quarantine_breaker breaker;
        struct text field;
        struct text value;

        health_field(hash, i, &field, &value);
        if (quarantine_breaker_parse(bucket, field, value, &breaker) &&
            breaker.expires_us > now_us) {
            g_array_append_val(breakers, breaker);
        }
    }
}

json_t *health_breaker_json(const struct quarantine_breaker *breaker)
{
    json_t *object = json_object();
    char until[CLOCK_TIMESTAMP_SIZE];

    clock_format(breaker->expires_us, until);
    if (breaker->domain[0] != '\0') {
        command_json_set(object, "domain", text_of(breaker->domain));
    }
    command_json_set(object, "reason", text_of(reason_name(breaker->reason)));
    command_json_set(object, "expires_at", text_of(until));
    return object;
}

void health_breaker_text(const struct quarantine_breaker *breaker,
                         char text[HEALTH_BREAKER_SIZE])
{
    char until[CLOCK_TIMESTAMP_SIZE];

    clock_format(breaker->expires_us, until);
    (void)snprintf(text, HEALTH_BREAKER_SIZE, "%s for %s until %.19sZ",
                   reason_name(breaker->reason),
                   breaker->domain[0] == '\0' ? "all domains" : breaker->domain,
                   until);
}
