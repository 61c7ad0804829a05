#include "clock.h"
#include "recorder_effect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT     "2026-11-02T19:43:01.123456Z"
#define ANN    "nixie:{00}:recipient:ann@example.org"
#define DOMAIN "nixie:{20}:domain:example.org"
#define STATS  "nixie:{00}:stats:2026110219"

static const char *const words[] = {
    [EFFECT_ADD] = "add",       [EFFECT_FIRST] = "first",
    [EFFECT_LAST] = "last",     [EFFECT_IF_LAST] = "iflast",
    [EFFECT_SET] = "set",       [EFFECT_DELETE] = "delete",
    [EFFECT_EXPIRE] = "expire",
};

static const struct event_row {
    const char *name;
    enum event_type type;
    const char *recipient, *domain, *reason, *status, *text, *queue_id;
    const char *suppression_reason, *pattern, *scope, *added_at, *expires_at,
        *mode;
    const char *effects; /* operation key field value, a line each */
} rows[] = {
    {.name = "a reception only counts, and keeps the latest time",
     .type = EVENT_RECEPTION,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .effects = "add " ANN " receptions 1\n"
                "last " ANN " last_reception_at " AT "\n"
                "add " STATS " reception 1\n"
                "add " DOMAIN " receptions 1\n"
                "last " DOMAIN " last_reception_at " AT "\n"},
    {.name = "a rejection tells what was said",
     .type = EVENT_REJECTION,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "user_unknown",
     .status = "5.1.1",
     .text = "no such user",
     .queue_id = "4bXk2s1Zq",
     .effects = "add " ANN " rejections 1\n"
                "first " ANN " first_at " AT "\n"
                "last " ANN " last_at " AT "\n"
                "iflast " ANN " last_type rejection\n"
                "iflast " ANN " last_reason user_unknown\n"
                "iflast " ANN " last_enhanced_status 5.1.1\n"
                "iflast " ANN " last_diagnostic no such user\n"
                "iflast " ANN " last_queue_id 4bXk2s1Zq\n"
                "add " STATS " rejection|user_unknown 1\n"
                "add " DOMAIN " rejections 1\n"
                "first " DOMAIN " first_at " AT "\n"
                "last " DOMAIN " last_at " AT "\n"
                "iflast " DOMAIN " last_type rejection\n"},
    {.name = "what a later outcome does not say is removed",
     .type = EVENT_WOULD_SUPPRESS,
     .recipient = "ann@example.org",
     .suppression_reason = "complaint",
     .reason = "policy",
     .effects = "add " ANN " would_suppress 1\n"
                "first " ANN " first_at " AT "\n"
                "last " ANN " last_at " AT "\n"
                "iflast " ANN " last_type would_suppress\n"
                "iflast " ANN " last_reason complaint\n"
                "iflast " ANN " last_enhanced_status \n"
                "iflast " ANN " last_diagnostic \n"
                "iflast " ANN " last_queue_id \n"
                "add " STATS " would_suppress|complaint 1\n"},
    {.name = "an address too long for a key counts for its domain",
     .type = EVENT_SUPPRESSED,
     .domain = "example.org",
     .effects = "add " DOMAIN " suppressed 1\n"
                "first " DOMAIN " first_at " AT "\n"
                "last " DOMAIN " last_at " AT "\n"
                "iflast " DOMAIN " last_type suppressed\n"
                "add nixie:{20}:stats:2026110219 suppressed 1\n"},
    {.name = "an added entry replaces the one before",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@Example.ORG",
     .suppression_reason = "user_unknown",
     .added_at = "2026-11-01T00:00:00.000000Z",
     .expires_at = "2026-12-02T19:43:01.000001Z",
     .mode = "observe",
     .effects = "delete nixie:suppress:ann@example.org  \n"
                "set nixie:suppress:ann@example.org reason user_unknown\n"
                "set nixie:suppress:ann@example.org added_at "
                "2026-11-01T00:00:00.000000Z\n"
                "set nixie:suppress:ann@example.org mode observe\n"
                "expire nixie:suppress:ann@example.org  1796240582\n"
                "add " STATS " suppression_added 1\n"},
    {.name = "an entry without fields has the time it was added",
     .type = EVENT_SUPPRESSION_UPDATED,
     .pattern = "@example.org",
     .scope = "news",
     .mode = "enforce",
     .effects = "delete nixie:suppress@news:@example.org  \n"
                "set nixie:suppress@news:@example.org added_at " AT "\n"
                "add nixie:{20}:stats:2026110219 suppression_updated 1\n"},
    {.name = "a removed entry is deleted",
     .type = EVENT_SUPPRESSION_REMOVED,
     .pattern = "@example.org",
     .effects = "delete nixie:suppress:@example.org  \n"
                "add nixie:{20}:stats:2026110219 suppression_removed 1\n"},
    {.name = "the allow list is written the same way",
     .type = EVENT_ALLOW_ADDED,
     .pattern = "ann@example.org",
     .effects = "delete nixie:allow:ann@example.org  \n"
                "set nixie:allow:ann@example.org added_at " AT "\n"
                "add " STATS " allow_added 1\n"},
    {.name = "and deleted",
     .type = EVENT_ALLOW_REMOVED,
     .pattern = "ann@example.org",
     .effects = "delete nixie:allow:ann@example.org  \n"
                "add " STATS " allow_removed 1\n"},
    {.name = "a pattern that is none does nothing",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "",
     .effects = ""},
    {.name = "a scope that fits no key does nothing",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@example.org",
     .scope = "a:b",
     .effects = ""},
    {.name = "log_open has no effect", .type = EVENT_LOG_OPEN, .effects = ""},
    {.name = "heartbeat has no effect", .type = EVENT_HEARTBEAT, .effects = ""},
    {.name = "gap has no effect", .type = EVENT_GAP, .effects = ""},
    {.name = "store_degraded has no effect",
     .type = EVENT_STORE_DEGRADED,
     .effects = ""},
    {.name = "store_recovered has no effect",
     .type = EVENT_STORE_RECOVERED,
     .effects = ""},
};

static void fill(const struct event_row *row, struct event *event)
{
    int64_t us;

    assert_true(clock_parse(AT, strlen(AT), &us));
    event_init(event, row->type, us);
    event->recipient = text_of(row->recipient);
    event->recipient_domain = text_of(row->domain);
    event->reason = text_of(row->reason);
    event->enhanced_status = text_of(row->status);
    event->diagnostic = text_of(row->text);
    event->queue_id = text_of(row->queue_id);
    event->suppression_reason = text_of(row->suppression_reason);
    event->suppression_pattern = text_of(row->pattern);
    event->suppression_added_at = text_of(row->added_at);
    event->suppression_expires_at = text_of(row->expires_at);
    event->suppression_mode = text_of(row->mode);
    event->scope = text_of(row->scope);
}

static void print(const struct effect *effects, size_t count, FILE *file)
{
    for (size_t i = 0; i < count; i++) {
        const struct effect *effect = &effects[i];

        (void)fprintf(file, "%s %s %.*s %.*s\n", words[effect->operation],
                      effect->key.text, (int)effect->field.length,
                      effect->field.length > 0 ? effect->field.bytes : "",
                      (int)effect->value.length,
                      effect->value.length > 0 ? effect->value.bytes : "");
    }
}

static struct effect *new_effects(void)
{
    struct effect *effects = calloc(EFFECT_MAX, sizeof *effects);

    assert_non_null(effects);
    return effects;
}

static void each_type_has_the_effects_of_its_row(void **state)
{
    struct effect *effects = new_effects();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[4096] = "";
        FILE *file = fmemopen(text, sizeof text, "w");
        struct event event;

        assert_non_null(file);
        fill(&rows[i], &event);
        print(effects, recorder_effects("nixie:", &event, effects), file);
        assert_int_equal(fclose(file), 0);
        if (strcmp(text, rows[i].effects) != 0) {
            print_error("%s:\n%s", rows[i].name, text);
        }
        assert_string_equal(text, rows[i].effects);
    }
    free(effects);
}

/* The script gets what is of one bucket in one piece. */
static void effects_of_a_bucket_stand_side_by_side(void **state)
{
    struct effect *effects = new_effects();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool left[STORE_BUCKETS] = {false};
        struct event event;
        size_t count;

        fill(&rows[i], &event);
        count = recorder_effects("nixie:", &event, effects);
        for (size_t j = 0; j < count; j++) {
            assert_false(left[effects[j].bucket]);
            if (j + 1 < count && effects[j + 1].bucket != effects[j].bucket) {
                left[effects[j].bucket] = true;
            }
        }
    }
    free(effects);
}

static void long_texts_are_cut_between_characters(void **state)
{
    struct effect *effects = new_effects();
    char text[1000];
    struct event event;
    size_t count;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = text_of("ann@example.org");
    event.reason = (struct text){text + 1, 301}; /* begins with half of one */
    event.diagnostic = (struct text){text, 701};
    count = recorder_effects("nixie:", &event, effects);
    for (size_t i = 0; i < count; i++) {
        assert_true(effects[i].value.length <= EVENT_DIAGNOSTIC_MAX);
        assert_true(effects[i].field.length <= 64 + 1 + 9);
        if (text_is(effects[i].field, "last_diagnostic")) {
            assert_int_equal(effects[i].value.length, 512);
        }
    }
    free(effects);
}

static void an_address_over_the_limit_has_no_key(void **state)
{
    struct effect *effects = new_effects();
    char recipient[MAILBOX_MAX + 1];
    struct event event;

    (void)state;
    memset(recipient, 'a', sizeof recipient);
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = (struct text){recipient, sizeof recipient};
    assert_int_equal(recorder_effects("nixie:", &event, effects), 0);
    event.recipient.length = MAILBOX_MAX;
    assert_int_not_equal(recorder_effects("nixie:", &event, effects), 0);
    free(effects);
}

static void bytes_of_strangers_stay_as_they_are(void **state)
{
    static const char strange[] = "a\0b\r\n*3{07}:}\"@x";
    struct effect *effects = new_effects();
    struct event event;
    size_t count;

    (void)state;
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = (struct text){strange, sizeof strange - 1};
    event.reason = event.recipient;
    count = recorder_effects("nixie:", &event, effects);
    assert_int_equal(count, 9);
    assert_true(effects[0].key.length > sizeof strange - 1);
    assert_memory_equal(effects[0].key.text + effects[0].key.length -
                            (sizeof strange - 1),
                        strange, sizeof strange - 1);
    assert_int_equal(effects[8].field.length,
                     strlen("rejection|") + sizeof strange - 1);
    free(effects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_the_effects_of_its_row),
        cmocka_unit_test(effects_of_a_bucket_stand_side_by_side),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(an_address_over_the_limit_has_no_key),
        cmocka_unit_test(bytes_of_strangers_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
