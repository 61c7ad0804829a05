#include "suppression_database.h"

#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define AGAIN_MS 500

void suppression_database_begin(struct suppression_database *database,
                                const char *key_prefix)
{
    memset(database, 0, sizeof *database);
    (void)snprintf(database->key, sizeof database->key, "%s{00}:database",
                   key_prefix);
}

void suppression_database_forget(struct suppression_database *database)
{
    database->is_known = false;
    database->has_none = false;
}

bool suppression_database_is_due(const struct suppression_database *database,
                                 int64_t now_ms)
{
    return !database->is_refused &&
           ((!database->is_known && !database->is_busy) ||
            now_ms - database->asked_ms >= AGAIN_MS);
}

static bool draw(char token[SUPPRESSION_DATABASE_TOKEN])
{
    unsigned char bytes[(SUPPRESSION_DATABASE_TOKEN - 1) / 2];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return false;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

bool suppression_database_ask(struct suppression_database *database,
                              struct redis_link *link, int64_t now_ms)
{
    const char *words[] = {"HGET", database->key, "token", database->drawn};

    database->asked_ms = now_ms;
    database->drawn[0] = '\0';
    if (database->has_none && draw(database->drawn)) {
        words[0] = "HSETNX";
    }
    return redis_link_command(link, database->drawn[0] == '\0' ? 3 : 4, words,
                              NULL);
}

/* What is there, "" for nothing; of one not of our making what we can keep. */
static bool is_another(struct suppression_database *database, struct text token)
{
    const size_t most = sizeof database->token - 1;
    bool differs;

    token.length =
        strnlen(token.bytes, token.length < most ? token.length : most);
    differs = database->is_known && !text_is(token, database->token);
    (void)text_copy(token, database->token, sizeof database->token);
    database->is_known = true;
    return differs;
}

/* One that cannot be made, for want of memory or rights: it has none. */
static void take_made(struct suppression_database *database,
                      const redisReply *reply)
{
    database->has_none = false;
    if (reply->type != REDIS_REPLY_INTEGER) {
        (void)is_another(database, text_of(""));
    } else if (reply->integer == 1) {
        (void)is_another(database, text_of(database->drawn));
    } /* else another node was first: asked again */
}

bool suppression_database_take(struct suppression_database *database,
                               const redisReply *reply)
{
    if (database->drawn[0] != '\0') {
        take_made(database, reply);
        return false;
    }
    database->is_busy = redis_fault_of(reply) == REDIS_FAULT_BUSY;
    if (reply->type == REDIS_REPLY_STRING) {
        return is_another(database,
                          (struct text){reply->str, (size_t)reply->len});
    }
    if (reply->type == REDIS_REPLY_NIL && database->is_known) {
        return is_another(database, text_of(""));
    }
    database->has_none = reply->type == REDIS_REPLY_NIL;
    database->is_refused = reply->type != REDIS_REPLY_NIL && !database->is_busy;
    return false;
}
