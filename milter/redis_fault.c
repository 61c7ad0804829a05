#include "redis_link.h"
#include "text.h"

#include <string.h>

static bool begins_with(struct text text, const char *start)
{
    size_t length = strlen(start);

    return text.length >= length && memcmp(text.bytes, start, length) == 0;
}

/*
 * Redis 6 wraps an error that ends a script: "ERR Error running script (call
 * to f_…): @user_script:3: WRONGTYPE …", or "@user_script: 3: -OOM …".
 */
static struct text without_script(struct text text)
{
    static const char wrapper[] = "ERR Error running script";
    static const char mark[] = "@user_script:";
    const char *end = text.bytes + text.length;
    const char *inner = NULL;

    if (!begins_with(text, wrapper)) {
        return text;
    }
    for (const char *at = text.bytes;
         (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL;
         inner = at) {
        at += sizeof mark - 1;
    }
    if (inner == NULL) {
        return text;
    }
    while (inner < end && strchr(" 0123456789:-", *inner) != NULL) {
        inner++;
    }
    return (struct text){inner, (size_t)(end - inner)};
}

/* The first entry that the text begins with decides: longer ones first. */
static const struct fault {
    const char *start;
    enum redis_fault fault;
} faults[] = {
    {"OOM ", REDIS_FAULT_BUSY},
    {"MISCONF ", REDIS_FAULT_BUSY},
    {"BUSY ", REDIS_FAULT_BUSY},
    {"LOADING ", REDIS_FAULT_BUSY},
    {"TRYAGAIN ", REDIS_FAULT_BUSY},
    {"CLUSTERDOWN ", REDIS_FAULT_BUSY},
    {"ERR max number of clients", REDIS_FAULT_BUSY},
    {"READONLY ", REDIS_FAULT_MOVED_ON},
    {"UNBLOCKED ", REDIS_FAULT_MOVED_ON},
    {"MASTERDOWN ", REDIS_FAULT_MOVED_ON}, /* only a replica says so */
    /* cut off with us, while its replicas may have another master by now */
    {"NOREPLICAS ", REDIS_FAULT_MOVED_ON},
    {"MOVED ", REDIS_FAULT_CLUSTER},
    {"ASK ", REDIS_FAULT_CLUSTER},
    {"CROSSSLOT ", REDIS_FAULT_CLUSTER},
    {"NOAUTH ", REDIS_FAULT_LOGIN},
    {"WRONGPASS ", REDIS_FAULT_LOGIN},
    {"NOPERM ", REDIS_FAULT_LOGIN},
    {"ERR invalid password", REDIS_FAULT_LOGIN},
    {"ERR Client sent AUTH", REDIS_FAULT_LOGIN},
    {"ERR AUTH ", REDIS_FAULT_LOGIN},
    {"NOSCRIPT ", REDIS_FAULT_NOSCRIPT},
    {"EXECABORT ", REDIS_FAULT_ABORTED},
    {"WRONGTYPE ", REDIS_FAULT_TYPE},
    {"ERR value is not an integer", REDIS_FAULT_TYPE},
    {"ERR value is not a valid float", REDIS_FAULT_TYPE},
    {"ERR hash value is not ", REDIS_FAULT_TYPE},
    {"ERR increment or decrement would overflow", REDIS_FAULT_TYPE},
    {"ERR increment would produce NaN or Infinity", REDIS_FAULT_TYPE},
};

enum redis_fault redis_fault_of(const redisReply *reply)
{
    struct text text;

    if (reply->type != REDIS_REPLY_ERROR) {
        return REDIS_FAULT_NONE;
    }
    text = without_script((struct text){reply->str, (size_t)reply->len});
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const char *start = faults[i].start;
        size_t length = strlen(start);

        if (begins_with(text, start) ||
            (text.length == length - 1 && start[length - 1] == ' ' &&
             memcmp(text.bytes, start, length - 1) == 0)) {
            return faults[i].fault;
        }
    }
    return REDIS_FAULT_OTHER;
}
