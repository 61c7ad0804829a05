#include "suppression_database.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1000

/* As after _ask(), which needs a link. */
static bool take_bytes(struct suppression_database *database, int type,
                       char *bytes, size_t length)
{
    const redisReply reply = {.type = type, .str = bytes, .len = length};

    database->asked_ms = NOW_MS;
    database->drawn[0] = '\0';
    return suppression_database_take(database, &reply);
}

static bool take(struct suppression_database *database, int type, char *words)
{
    return take_bytes(database, type, words, strlen(words));
}

/* The list is asked for meanwhile, and says it louder. */
static void who_is_busy_is_not_asked_at_once_again(void **state)
{
    static const char *const answers[] = {
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script.",
        "MISCONF Errors writing to the AOF file",
        "CLUSTERDOWN The cluster is down",
    };

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct suppression_database database;
        char answer[128];

        (void)snprintf(answer, sizeof answer, "%s", answers[i]);
        suppression_database_begin(&database, "nixie:");
        assert_true(suppression_database_is_due(&database, NOW_MS));
        assert_false(take(&database, REDIS_REPLY_ERROR, answer));
        assert_false(suppression_database_is_due(&database, NOW_MS + 1));
        assert_true(suppression_database_is_due(&database, NOW_MS + 1000));
        assert_false(take(&database, REDIS_REPLY_STRING, (char[]){"token"}));
        suppression_database_forget(&database);
        assert_true(suppression_database_is_due(&database, NOW_MS + 1));
    }
}

static void who_refuses_is_not_asked_again(void **state)
{
    struct suppression_database database;

    (void)state;
    suppression_database_begin(&database, "nixie:");
    assert_false(
        take(&database, REDIS_REPLY_ERROR, (char[]){"WRONGTYPE Operation"}));
    assert_false(suppression_database_is_due(&database, NOW_MS + 60000));
}

/* Not of our making, yet one and the same. */
static void any_token_is_the_same_the_next_time(void **state)
{
    struct suppression_database database;
    char token[100];

    (void)state;
    memset(token, 'a', sizeof token - 1);
    for (size_t length = 0; length < sizeof token; length++) {
        token[length] = '\0';
        suppression_database_begin(&database, "nixie:");
        assert_false(take(&database, REDIS_REPLY_STRING, token));
        assert_false(take(&database, REDIS_REPLY_STRING, token));
        assert_true(take(&database, REDIS_REPLY_STRING, (char[]){"other"}));
        token[length] = 'a';
    }
    token[5] = '\0';
    suppression_database_begin(&database, "nixie:");
    assert_false(take_bytes(&database, REDIS_REPLY_STRING, token, 10));
    assert_false(take_bytes(&database, REDIS_REPLY_STRING, token, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_busy_is_not_asked_at_once_again),
        cmocka_unit_test(who_refuses_is_not_asked_again),
        cmocka_unit_test(any_token_is_the_same_the_next_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
