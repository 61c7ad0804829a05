#include "envelope_check.h"
#include "redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#define SKIPPED 77

struct store {
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct suppression *list;
    redisContext *client;
};

static struct store store;

static void run(const char *command)
{
    redisReply *reply = redisCommand(store.client, command);

    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static struct settings *load(const char *text)
{
    char path[] = "/tmp/nixie-check-XXXXXX";
    int fd = mkstemp(path);
    struct error error = {""};
    struct settings *settings;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    assert_int_equal(close(fd), 0);
    settings = settings_load(path, &error);
    assert_int_equal(unlink(path), 0);
    assert_non_null(settings);
    return settings;
}

static enum envelope_verdict check(const struct settings *settings,
                                   const char *recipient, bool null_sender)
{
    struct mailbox mailbox;
    struct envelope_answer answer;
    struct envelope_question question = {.settings = settings,
                                         .list = store.list,
                                         .mailbox = &mailbox,
                                         .null_sender = null_sender};

    assert_int_not_equal(
        mailbox_parse(text_of(recipient), &settings->mailbox_rules, &mailbox),
        MAILBOX_INVALID);
    envelope_check(&question, &answer);
    return answer.verdict;
}

static void envelope_check_weighs_lists_modes_and_exemptions(void **state)
{
    static const struct {
        const char *settings;
        const char *recipient;
        bool null_sender;
        enum envelope_verdict verdict;
    } rows[] = {
        {"", "free@example.org", false, ENVELOPE_PASS},
        {"", "ann@example.org", false, ENVELOPE_SUPPRESS},
        {"", "ANN@EXAMPLE.ORG.", false, ENVELOPE_SUPPRESS},
        {"", "ann+tag@example.org", false, ENVELOPE_PASS},
        {"domain \"example.org\" { fold_tags = true }\n", "ann+tag@example.org",
         false, ENVELOPE_SUPPRESS},
        {"", "ann@example.org", true, ENVELOPE_EXEMPT},
        {"", "watched@example.org", false, ENVELOPE_OBSERVE},
        {"mode = \"observe\"\n", "ann@example.org", false, ENVELOPE_OBSERVE},
        {"", "any@gone.example", false, ENVELOPE_SUPPRESS},
        {"", "postmaster@gone.example", false, ENVELOPE_EXEMPT},
        {"exempt = {}\n", "postmaster@gone.example", false, ENVELOPE_SUPPRESS},
        {"exempt = {\"@gone.example\"}\n", "any@gone.example", false,
         ENVELOPE_EXEMPT},
        {"", "kept@gone.example", false, ENVELOPE_PASS}, /* allow wins */
    };

    (void)state;
    run("SET nixie:suppress:ann@example.org note");
    run("HSET nixie:suppress:watched@example.org mode observe");
    run("SADD nixie:suppress:@gone.example x");
    run("SET nixie:allow:kept@gone.example x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings *settings = load(rows[i].settings);
        enum envelope_verdict verdict =
            check(settings, rows[i].recipient, rows[i].null_sender);

        if (verdict != rows[i].verdict) {
            fail_msg("%s%s: verdict %d instead of %d", rows[i].settings,
                     rows[i].recipient, (int)verdict, (int)rows[i].verdict);
        }
        settings_free(settings);
    }
}

static void envelope_check_asks_where_the_mail_is_put_too(void **state)
{
    static const struct {
        const char *recipient;
        const char *delivered;
        enum envelope_verdict verdict;
        const char *pattern;
    } rows[] = {
        {"free@b.example", "put@mx.example", ENVELOPE_SUPPRESS,
         "put@mx.example"},
        {"typed@b.example", "put@mx.example", ENVELOPE_SUPPRESS,
         "typed@b.example"},
        {"typed@b.example", "free@mx.example", ENVELOPE_SUPPRESS,
         "typed@b.example"},
        {"free@b.example", "free@mx.example", ENVELOPE_PASS, ""},
        {"allowed@b.example", "put@mx.example", ENVELOPE_PASS, ""},
        {"postmaster@b.example", "put@mx.example", ENVELOPE_EXEMPT,
         "put@mx.example"},
    };
    struct settings *settings = load("");

    (void)state;
    run("SET nixie:suppress:put@mx.example x");
    run("SET nixie:suppress:typed@b.example x");
    run("SET nixie:allow:allowed@b.example x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox mailbox;
        struct mailbox delivered;
        struct envelope_answer answer;
        struct envelope_question question = {.settings = settings,
                                             .list = store.list,
                                             .mailbox = &mailbox,
                                             .delivered = &delivered};

        assert_int_equal(
            mailbox_parse(text_of(rows[i].recipient), NULL, &mailbox),
            MAILBOX_OK);
        assert_int_equal(
            mailbox_parse(text_of(rows[i].delivered), NULL, &delivered),
            MAILBOX_OK);
        envelope_check(&question, &answer);
        assert_int_equal(answer.verdict, rows[i].verdict);
        if (rows[i].pattern[0] != '\0') {
            assert_string_equal(answer.entry.pattern.text, rows[i].pattern);
        }
    }
    settings_free(settings);
}

static void envelope_check_without_store_follows_the_setting(void **state)
{
    const struct redis_endpoint_options where = {"unix:/nonexistent/redis.sock",
                                                 "", ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&where, &error);
    const struct suppression_options options = {.endpoint = endpoint,
                                                .key_prefix = "nixie:",
                                                .timeout_ms = 50,
                                                .connections = 1};
    struct suppression *list = suppression_new(&options, &error);
    struct suppression *kept = store.list;
    struct settings *accept = load("");
    struct settings *refuse = load("on_store_failure = \"tempfail\"\n");
    struct settings *observe =
        load("on_store_failure = \"tempfail\"\nmode = \"observe\"\n");

    (void)state;
    store.list = list;
    assert_int_equal(check(accept, "a@b.example", false), ENVELOPE_PASS);
    assert_int_equal(check(refuse, "a@b.example", false), ENVELOPE_TEMPFAIL);
    assert_int_equal(check(refuse, "a@b.example", true), ENVELOPE_PASS);
    assert_int_equal(check(refuse, "abuse@b.example", false), ENVELOPE_PASS);
    assert_int_equal(check(observe, "a@b.example", false), ENVELOPE_PASS);
    store.list = kept;
    settings_free(accept);
    settings_free(refuse);
    settings_free(observe);
    suppression_free(list);
    redis_endpoint_free(endpoint);
}

static void envelope_reply_fills_in_and_stays_printable(void **state)
{
    static const struct {
        const char *refusal;
        const char *reason;
        const char *added_at;
        const char *text;
    } rows[] = {
        {"550 5.7.1 Recipient suppressed: %R%s [%i]", "user_unknown",
         "2026-11-02T10:00:00Z",
         "Recipient suppressed: user_unknown since 2026-11-02 [s-1]"},
        {"550 5.7.1 Recipient suppressed: %R%s [%i]", "", "",
         "Recipient suppressed: listed [s-1]"},
        {"550 5.7.1 %R%s", "a\r\n250 ok\xff%d", "yesterday", "a??250 ok??d"},
        {"550 5.7.1 %r 100%%", "x", "2026-11-02", "ann?@example.org 100%%"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct suppression_entry entry = {.list = STORE_SUPPRESS};
        struct envelope_reply reply;
        char text[400];
        struct settings *settings;

        (void)snprintf(text, sizeof text, "refusal = \"%s\"\n",
                       rows[i].refusal);
        settings = load(text);
        (void)text_copy(text_of(rows[i].reason), entry.reason,
                        sizeof entry.reason);
        (void)text_copy(text_of(rows[i].added_at), entry.added_at,
                        sizeof entry.added_at);
        envelope_reply(settings, &entry, "ann\n@example.org", "s-1", &reply);
        assert_string_equal(reply.code, "550");
        assert_string_equal(reply.enhanced_status, "5.7.1");
        assert_string_equal(reply.text, rows[i].text);
        settings_free(settings);
    }
}

static void envelope_reply_never_outgrows_its_line(void **state)
{
    struct suppression_entry entry = {.list = STORE_SUPPRESS};
    struct envelope_reply reply;
    char text[480] = "refusal = \"550 5.7.1 ";
    struct settings *settings;

    (void)state;
    for (size_t used = strlen(text); used < 390; used += 2) {
        memcpy(text + used, "%r", 3);
    }
    memcpy(text + strlen(text), "\"\n", 3);
    settings = load(text);
    envelope_reply(settings, &entry,
                   "0123456789012345678901234567890123456789@example.org",
                   "s-1", &reply);
    assert_in_range(strlen(reply.text), 400, sizeof reply.text - 1);
    settings_free(settings);
}

static bool start_store(void)
{
    struct redis_endpoint_options where = {NULL, "", ""};
    struct suppression_options options = {
        .key_prefix = "nixie:", .timeout_ms = 1000, .connections = 2};
    struct error error = {""};

    store.server = redis_server_start(NULL);
    if (store.server == NULL) {
        return false;
    }
    where.location = redis_server_location(store.server);
    store.endpoint = redis_endpoint_new(&where, &error);
    options.endpoint = store.endpoint;
    store.list = suppression_new(&options, &error);
    store.client = redisConnectUnix(where.location + strlen("unix:"));
    return store.list != NULL && store.client != NULL;
}

static void envelope_check_asks_the_scope_before_all(void **state)
{
    static const char sections[] =
        "scope \"news\" { senders = {\"@news.example\"} }\n"
        "scope \"try\" { senders = {\"@try.example\"} mode = \"observe\" }\n"
        "on_store_failure = \"tempfail\"\n";
    static const struct {
        const char *scope, *recipient, *of;
        enum envelope_verdict verdict;
    } rows[] = {
        {NULL, "opted@example.org", "", ENVELOPE_PASS},
        {"news", "opted@example.org", "news", ENVELOPE_SUPPRESS},
        {"try", "opted@example.org", "", ENVELOPE_PASS},
        {"news", "dead@example.org", "", ENVELOPE_SUPPRESS},
        {"try", "dead@example.org", "", ENVELOPE_OBSERVE},
        {"news", "both@example.org", "news", ENVELOPE_SUPPRESS},
        {"try", "tried@example.org", "try", ENVELOPE_OBSERVE},
        {"news", "wanted@example.org", "", ENVELOPE_PASS},
        {NULL, "wanted@example.org", "", ENVELOPE_SUPPRESS},
    };
    struct settings *settings = load(sections);

    (void)state;
    run("SET nixie:suppress@news:opted@example.org x");
    run("SET nixie:suppress:dead@example.org x");
    run("SET nixie:suppress@news:both@example.org x");
    run("SET nixie:suppress:both@example.org x");
    run("SET nixie:suppress@try:tried@example.org x");
    run("SET nixie:allow@news:wanted@example.org x");
    run("SET nixie:suppress:wanted@example.org x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox mailbox;
        struct envelope_answer answer;
        struct envelope_question question = {
            .settings = settings,
            .list = store.list,
            .mailbox = &mailbox,
            .scope = scope_find(settings, text_of(rows[i].scope))};

        assert_int_equal(
            mailbox_parse(text_of(rows[i].recipient), NULL, &mailbox),
            MAILBOX_OK);
        envelope_check(&question, &answer);
        assert_int_equal(answer.verdict, rows[i].verdict);
        if (rows[i].verdict != ENVELOPE_PASS) {
            assert_string_equal(answer.entry.scope, rows[i].of);
        }
    }
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_check_weighs_lists_modes_and_exemptions),
        cmocka_unit_test(envelope_check_asks_the_scope_before_all),
        cmocka_unit_test(envelope_check_asks_where_the_mail_is_put_too),
        cmocka_unit_test(envelope_check_without_store_follows_the_setting),
        cmocka_unit_test(envelope_reply_fills_in_and_stays_printable),
        cmocka_unit_test(envelope_reply_never_outgrows_its_line),
    };
    int failed;

    if (!start_store()) {
        return SKIPPED;
    }
    failed = cmocka_run_group_tests_name("envelope_check", tests, NULL, NULL);
    redisFree(store.client);
    suppression_free(store.list);
    redis_endpoint_free(store.endpoint);
    redis_server_stop(store.server);
    return failed;
}
