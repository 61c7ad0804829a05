#include "top.h"
#include "top_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US INT64_C(1000000)
#define NOW_US    (INT64_C(1700000000) * SECOND_US)

static struct top *top;
static struct top_frame frame;

static int set_up(void **state)
{
    (void)state;
    top = top_new();
    return top == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    top_free(top);
    return 0;
}

static struct event event_of(enum event_type type)
{
    struct event event;

    event_init(&event, type, NOW_US);
    event.node = text_of("mx1");
    return event;
}

static void fail_at(enum event_type type, const char *domain, int64_t at_us)
{
    struct event event = event_of(type);

    event.recipient_domain = text_of(domain);
    event.reason = text_of("user_unknown");
    top_take(top, &event, at_us);
}

static void events_are_forgotten_after_the_window(void **state)
{
    const struct event event = event_of(EVENT_DELIVERY);

    (void)state;
    top_take(top, &event, NOW_US - 901 * SECOND_US);
    top_take(top, &event, NOW_US - 899 * SECOND_US);
    top_take(top, &event, NOW_US - 59 * SECOND_US);
    top_take(top, &event, NOW_US - 9 * SECOND_US);
    top_take(top, &event, NOW_US);
    assert_int_equal(top_count(top, EVENT_DELIVERY, 1, NOW_US), 1);
    assert_int_equal(top_count(top, EVENT_DELIVERY, 10, NOW_US), 2);
    assert_int_equal(top_count(top, EVENT_DELIVERY, 60, NOW_US), 3);
    assert_int_equal(top_count(top, EVENT_DELIVERY, 900, NOW_US), 4);
    assert_int_equal(
        top_count(top, EVENT_DELIVERY, 900, NOW_US + 899 * SECOND_US), 1);
    assert_int_equal(
        top_count(top, EVENT_DELIVERY, 900, NOW_US + 900 * SECOND_US), 0);
}

static void events_in_a_sum_count_each(void **state)
{
    struct event event = event_of(EVENT_REJECTION);

    (void)state;
    event.aggregated = 1200;
    top_take(top, &event, NOW_US);
    assert_int_equal(top_count(top, EVENT_REJECTION, 10, NOW_US), 1200);
}

static void the_worst_domains_come_first(void **state)
{
    struct top_domain worst[2];

    (void)state;
    fail_at(EVENT_BOUNCE, "one.example", NOW_US);
    fail_at(EVENT_DELAY, "late.example", NOW_US);
    fail_at(EVENT_BOUNCE, "three.example", NOW_US - 14 * 60 * SECOND_US);
    fail_at(EVENT_EXPIRATION, "three.example", NOW_US);
    fail_at(EVENT_OUT_OF_BAND, "three.example", NOW_US);
    fail_at(EVENT_DELIVERY, "fine.example", NOW_US);
    assert_int_equal(top_worst(top, NOW_US, worst, 2), 2);
    assert_string_equal(worst[0].domain, "three.example");
    assert_int_equal(worst[0].failures, 3);
    assert_string_equal(worst[0].reason, "user_unknown");
    assert_string_equal(worst[1].domain, "one.example");
    assert_int_equal(top_worst(top, NOW_US + 60 * SECOND_US, worst, 2), 2);
    assert_int_equal(worst[0].failures, 2);
    assert_int_equal(top_worst(top, NOW_US + 900 * SECOND_US, worst, 2), 0);
}

static void a_heartbeat_tells_whether_the_store_is_down(void **state)
{
    struct event degraded = event_of(EVENT_STORE_DEGRADED);
    struct event beat = event_of(EVENT_HEARTBEAT);
    struct top_state told;

    (void)state;
    degraded.store_error = text_of("recorder: Connection refused");
    top_take(top, &degraded, NOW_US);
    top_take(top, &beat, NOW_US); /* of a version that does not tell */
    top_state(top, &told);
    assert_true(told.store_known && told.store_down);
    beat.store_state = text_of("down");
    top_take(top, &beat, NOW_US);
    top_state(top, &told);
    assert_string_equal(told.store_error, "recorder: Connection refused");
    beat.store_state = text_of("ok"); /* nixied was started again */
    top_take(top, &beat, NOW_US);
    top_state(top, &told);
    assert_true(told.store_known && !told.store_down);
    beat.store_state = text_of("down");
    top_take(top, &beat, NOW_US);
    top_state(top, &told);
    assert_true(told.store_down);
}

static void many_domains_take_no_more_room(void **state)
{
    struct top_domain worst[TOP_DOMAINS];

    (void)state;
    for (int i = 0; i < TOP_DOMAINS + 10; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "d%d.example", i);
        fail_at(EVENT_BOUNCE, name, NOW_US + i);
    }
    assert_int_equal(top_worst(top, NOW_US, worst, TOP_DOMAINS), TOP_DOMAINS);
    for (int i = 0; i < TOP_DOMAINS; i++) {
        assert_string_not_equal(worst[i].domain, "d0.example");
    }
}

static void the_newest_change_is_the_first(void **state)
{
    struct event event = event_of(EVENT_SUPPRESSION_ADDED);

    (void)state;
    assert_null(top_added(top, 0));
    for (int i = 0; i < TOP_CHANGES + 5; i++) {
        char pattern[32];

        (void)snprintf(pattern, sizeof pattern, "u%d@example.org", i);
        event.suppression_pattern = text_of(pattern);
        top_take(top, &event, NOW_US);
    }
    assert_string_equal(top_added(top, 0)->pattern, "u68@example.org");
    assert_string_equal(top_added(top, TOP_CHANGES - 1)->pattern,
                        "u5@example.org");
    assert_null(top_added(top, TOP_CHANGES));
}

/* Whether a line of the frame begins so. */
static bool has_line(const char *begin, enum top_look look)
{
    for (int i = 0; i < frame.count; i++) {
        if (strncmp(frame.lines[i].text, begin, strlen(begin)) == 0) {
            return frame.lines[i].look == look;
        }
    }
    return false;
}

static void draw(int columns, int rows)
{
    frame.columns = columns;
    frame.rows = rows;
    top_frame_draw(top, NOW_US, &frame);
}

static void the_frame_tells_what_is_wrong(void **state)
{
    struct event beat = event_of(EVENT_HEARTBEAT);
    struct event down = event_of(EVENT_STORE_DEGRADED);

    (void)state;
    draw(100, 40);
    assert_true(has_line("recorder   no heartbeat", TOP_WARNING));
    assert_true(has_line("store      no trouble told", TOP_GOOD));
    assert_true(has_line("notable    nothing", TOP_PLAIN));
    beat.lag_seconds = 70;
    beat.applied_seq = 5;
    beat.seq = 9;
    top_take(top, &beat, NOW_US);
    draw(100, 40);
    assert_true(has_line("recorder   lag 70 s at ", TOP_WARNING));
    beat.timestamp_us -= 151 * SECOND_US;
    top_take(top, &beat, NOW_US);
    down.store_error = text_of("lookups: \x1b[2J refused");
    top_take(top, &down, NOW_US);
    draw(100, 40);
    assert_true(has_line("recorder   lag 70 s at ", TOP_BAD));
    assert_true(
        has_line("store      down: lookups: \\x1b[2J refused", TOP_BAD));
    assert_true(has_line("notable    store_degraded 1", TOP_WARNING));
}

static void hostile_texts_stay_within_the_frame(void **state)
{
    static char longest[8000];
    struct event event = event_of(EVENT_SUPPRESSION_ADDED);

    (void)state;
    memset(longest, 0x1b, sizeof longest);
    event.suppression_pattern = (struct text){longest, sizeof longest};
    event.suppression_reason = (struct text){longest, sizeof longest};
    event.node = (struct text){longest, sizeof longest};
    event.origin = (struct text){longest, sizeof longest};
    top_take(top, &event, NOW_US);
    event.type = EVENT_BOUNCE;
    event.recipient_domain = (struct text){longest, sizeof longest};
    event.reason = (struct text){longest, sizeof longest};
    top_take(top, &event, NOW_US);
    for (int columns = -1; columns < 400; columns += 7) {
        for (int rows = -1; rows < 300; rows += 13) {
            draw(columns, rows);
            assert_true(frame.count <= (rows < 1 ? 1 : rows));
            for (int i = 0; i < frame.count; i++) {
                const char *text = frame.lines[i].text;

                assert_true(strlen(text) <=
                            (size_t)(columns < 1 ? 1 : columns));
                for (; *text != '\0'; text++) {
                    assert_in_range(*text, ' ', '~');
                }
            }
        }
    }
    json_decref(top_frame_json(top, NOW_US));
}

static void programs_get_the_same(void **state)
{
    json_t *object;

    (void)state;
    fail_at(EVENT_BOUNCE, "one.example", NOW_US);
    object = top_frame_json(top, NOW_US);
    assert_int_equal(
        json_integer_value(json_object_get(
            json_object_get(json_object_get(object, "types"), "bounce"),
            "900s")),
        1);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(object, "domains"), 0), "domain")),
        "one.example");
    json_decref(object);
}

#define LOOKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOKS(events_are_forgotten_after_the_window),
        LOOKS(events_in_a_sum_count_each),
        LOOKS(the_worst_domains_come_first),
        LOOKS(a_heartbeat_tells_whether_the_store_is_down),
        LOOKS(many_domains_take_no_more_room),
        LOOKS(the_newest_change_is_the_first),
        LOOKS(the_frame_tells_what_is_wrong),
        LOOKS(hostile_texts_stay_within_the_frame),
        LOOKS(programs_get_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
