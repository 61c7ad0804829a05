#include "clock.h"
#include "command_tail.h"
#include "event_follow.h"
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_US 1700000000000000

static const struct command command = {
    .name = "tail",
    .options = {{.name = "type"},
                {.name = "recipient"},
                {.name = "domain"},
                {.name = "reason"},
                {.name = "origin"},
                {.name = "queue-id"},
                {.name = "since"},
                {.name = "until"}},
};

/* "name=value" and so on, up to four. */
struct options {
    const char *words[4];
};

static bool take(const struct options *options, struct tail_filter *filter)
{
    static struct settings settings;
    static char kept[4][128];
    struct command_call call = {.command = &command, .settings = &settings};

    for (size_t i = 0; i < 4 && options->words[i] != NULL; i++) {
        char *equals;

        (void)snprintf(kept[i], sizeof kept[i], "%s", options->words[i]);
        equals = strchr(kept[i], '=');
        *equals = '\0';
        for (size_t row = 0; command.options[row].name != NULL; row++) {
            if (strcmp(command.options[row].name, kept[i]) == 0) {
                call.values[row] = equals + 1;
            }
        }
    }
    return tail_filter_take(filter, &call, NOW_US);
}

static struct event bounce(void)
{
    struct event event;

    event_init(&event, EVENT_BOUNCE, NOW_US - 3600000000);
    event.recipient = text_of("ann@example.org");
    event.recipient_domain = text_of("example.org");
    event.reason = text_of("user_unknown");
    event.origin = text_of("maillog");
    event.queue_id = text_of("4bXk2s1Zq");
    return event;
}

static void filters_take_what_fits_all_of_them(void **state)
{
    static const struct {
        struct options options;
        bool wanted;
    } rows[] = {
        {{{NULL}}, true},
        {{{"type=bounce"}}, true},
        {{{"type=delay,bounce"}}, true},
        {{{"type=delay"}}, false},
        {{{"recipient=Ann@EXAMPLE.org"}}, true},
        {{{"recipient=bob@example.org"}}, false},
        {{{"domain=example.org"}}, true},
        {{{"domain=@Example.ORG."}}, true},
        {{{"domain=org"}}, false},
        {{{"reason=user_unknown"}}, true},
        {{{"reason=user"}}, false},
        {{{"origin=maillog"}}, true},
        {{{"origin=session"}}, false},
        {{{"queue-id=4bXk2s1Zq"}}, true},
        {{{"queue-id=4bXk2s1Z"}}, false},
        {{{"since=2h"}}, true},
        {{{"since=30m"}}, false},
        {{{"until=30m"}}, true},
        {{{"until=2h"}}, false},
        {{{"since=2h", "until=30m"}}, true},
        {{{"since=2023-11-14"}}, true},
        {{{"since=2023-11-15T00:00:00Z"}}, false},
        {{{"type=bounce", "domain=example.org", "reason=user_unknown",
           "queue-id=4bXk2s1Zq"}},
         true},
        {{{"type=bounce", "domain=example.org", "reason=user_unknown",
           "queue-id=other"}},
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct event event = bounce();
        struct tail_filter filter;

        assert_true(take(&rows[i].options, &filter));
        assert_int_equal(filter.any, rows[i].options.words[0] != NULL);
        if (tail_filter_wants(&filter, &event) != rows[i].wanted) {
            fail_msg("row %zu, %s", i, rows[i].options.words[0]);
        }
    }
}

static void a_change_is_found_by_its_pattern(void **state)
{
    static const struct options by_domain = {{"domain=example.org"}};
    static const struct options by_reason = {{"reason=complaint"}};
    static const char *const patterns[] = {"ann@example.org", "@example.org",
                                           "@.example.org", "ann@", "@"};
    static const bool wanted[] = {true, true, false, false, false};
    struct tail_filter filter;
    struct event event;

    (void)state;
    event_init(&event, EVENT_SUPPRESSION_ADDED, NOW_US);
    event.suppression_reason = text_of("complaint");
    assert_true(take(&by_reason, &filter));
    assert_true(tail_filter_wants(&filter, &event));
    assert_true(take(&by_domain, &filter));
    assert_false(tail_filter_wants(&filter, &event));
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        event.suppression_pattern = text_of(patterns[i]);
        assert_int_equal(tail_filter_wants(&filter, &event), wanted[i]);
    }
}

static void records_for_programs_are_shown_when_asked_for(void **state)
{
    static const struct options none = {{NULL}};
    static const struct options asked = {{"type=heartbeat"}};
    struct tail_filter filter;
    struct event event;

    (void)state;
    event_init(&event, EVENT_HEARTBEAT, NOW_US);
    assert_true(take(&none, &filter));
    assert_false(tail_filter_wants(&filter, &event));
    assert_true(take(&asked, &filter));
    assert_true(tail_filter_wants(&filter, &event));
}

static void wrong_filters_are_refused(void **state)
{
    static const struct options rows[] = {
        {{"type=bounced"}},         {{"type="}},
        {{"type=bounce,"}},         {{"type=,bounce"}},
        {{"recipient=a b@c@"}},     {{"domain="}},
        {{"domain=exa mple.org"}},  {{"origin=mars"}},
        {{"since=yesterday"}},      {{"until="}},
        {{"since=1h", "until=2h"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tail_filter filter;

        if (take(&rows[i], &filter)) {
            fail_msg("%s", rows[i].words[0]);
        }
    }
}

/* --- following --------------------------------------------------------- */

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    scratch_make(folder);
    (void)snprintf(path, sizeof path, "%s/events.jsonl", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static void append(const char *to, const char *text)
{
    FILE *file = fopen(to, "ae");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A log_open record: files are known by it. */
static void begin(const char *to, int number)
{
    char line[2048];

    (void)snprintf(
        line, sizeof line,
        "{\"schema\":\"nixie/1\",\"seq\":%d,\"timestamp\":"
        "\"2026-11-22T00:00:00.000000Z\",\"event_id\":"
        "\"019aa7c2-0000-7000-8000-000000000000\",\"type\":\"log_open\","
        "\"node\":\"n\",\"instance\":\"0123456789abcdef\",\"file_number\":%d,"
        "\"file_nonce\":\"0123456789abcdef0123456789abcdef\",\"version\":\"0\","
        "\"padding\":\"%01000d\"}\n",
        number * 100, number, 0);
    append(to, line);
}

static void rotate(int number)
{
    char renamed[160];

    (void)snprintf(renamed, sizeof renamed, "%s.%d", path, number);
    assert_int_equal(rename(path, renamed), 0);
}

static void assert_next(struct event_follow *follow, const char *wanted)
{
    const char *line;
    size_t length;

    do { /* the first of each file says nothing here */
        enum event_follow_result result =
            event_follow_next(follow, &line, &length);

        if (result != EVENT_FOLLOW_LINE) {
            assert_int_equal(result, EVENT_FOLLOW_END);
            assert_null(wanted);
            return;
        }
    } while (line[0] == '{');
    assert_non_null(wanted);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(line, wanted, length);
}

static void each_line_is_given_once_through_rotations(void **state)
{
    const struct event_follow_options options = {
        .path = path, .rotations = true, .lines = 1};
    struct event_follow *follow = event_follow_new(&options);

    (void)state;
    assert_non_null(follow);
    assert_false(event_follow_open(follow)); /* not there yet */
    assert_next(follow, NULL);
    begin(path, 1);
    append(path, "one\ntwo\n");
    assert_next(follow, "one"); /* a file that comes is read from its start */
    rotate(1);
    assert_next(follow, "two");
    begin(path, 2);
    append(path, "three\n");
    rotate(2);
    begin(path, 3);
    append(path, "four\nhal");
    assert_next(follow, "three"); /* two rotations between two looks */
    assert_next(follow, "four");
    assert_next(follow, NULL);
    append(path, "f\n");
    assert_next(follow, "half");
    assert_next(follow, NULL);
    event_follow_free(follow);
}

static bool is_not_two(void *context, const char *line, size_t length)
{
    (void)context;
    return line != NULL && line[0] != '{' &&
           !text_is((struct text){line, length}, "two");
}

static bool is_not_header(void *context, const char *line, size_t length)
{
    (void)context;
    return line != NULL && length > 0 && line[0] != '{';
}

static void it_begins_with_the_last_that_are_wanted(void **state)
{
    const struct event_follow_options options = {
        .path = path, .lines = 2, .wanted = is_not_two};
    struct event_follow *follow = event_follow_new(&options);

    (void)state;
    begin(path, 1);
    append(path, "zero\none\ntwo\nthree\ntwo\n");
    assert_true(event_follow_open(follow));
    assert_next(follow, "one");
    assert_next(follow, "two"); /* who reads leaves it out */
    assert_next(follow, "three");
    event_follow_free(follow);
}

static void the_last_lines_are_found_before_a_rotation(void **state)
{
    static const struct {
        long lines;
        const char *first;
    } rows[] = {{5, "one"}, {3, "one"}, {2, "two"}, {1, "three"}, {0, NULL}};

    (void)state;
    begin(path, 1);
    append(path, "one\ntwo\n");
    rotate(1);
    begin(path, 2);
    rotate(2);
    begin(path, 3);
    append(path, "three\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct event_follow_options options = {.path = path,
                                                     .rotations = true,
                                                     .lines = rows[i].lines,
                                                     .wanted = is_not_header};
        struct event_follow *follow = event_follow_new(&options);

        assert_true(event_follow_open(follow));
        assert_next(follow, rows[i].first);
        if (rows[i].lines > 2) {
            assert_next(follow, "two");
        }
        if (rows[i].lines > 1) {
            assert_next(follow, "three");
        }
        assert_next(follow, NULL);
        event_follow_free(follow);
    }
}

/* As much as nobody looks through for a few lines. */
static void the_last_lines_leave_nothing_out_in_between(void **state)
{
    const struct event_follow_options options = {
        .path = path, .rotations = true, .lines = 3, .wanted = is_not_header};
    struct event_follow *follow = event_follow_new(&options);

    (void)state;
    assert_non_null(follow);
    begin(path, 1);
    append(path, "one\n");
    rotate(1);
    begin(path, 2);
    append(path, "two\n");
    assert_int_equal(truncate(path, (off_t)300 * 1024 * 1024), 0);
    rotate(2);
    begin(path, 3);
    append(path, "three\n");
    assert_true(event_follow_open(follow));
    assert_next(follow, "three");
    assert_next(follow, NULL);
    event_follow_free(follow);
}

static void since_begins_in_older_files(void **state)
{
    struct event_follow_options options = {
        .path = path, .rotations = true, .since_us = 1};
    struct event_follow *follow = event_follow_new(&options);

    (void)state;
    begin(path, 1);
    append(path, "one\n");
    rotate(1);
    begin(path, 2);
    append(path, "two\n");
    assert_true(event_follow_open(follow));
    assert_next(follow, "one");
    assert_next(follow, "two");
    assert_next(follow, NULL);
    event_follow_free(follow);
    options.since_us = clock_now_us() + 3600000000;
    follow = event_follow_new(&options);
    assert_true(event_follow_open(follow));
    assert_next(follow, "two"); /* the current one is always read */
    event_follow_free(follow);
}

static void a_truncated_file_is_read_again(void **state)
{
    const struct event_follow_options options = {
        .path = path, .rotations = true, .lines = 1};
    struct event_follow *follow = event_follow_new(&options);
    const char *line;
    size_t length;

    (void)state;
    begin(path, 1);
    append(path, "one\n");
    assert_true(event_follow_open(follow));
    assert_next(follow, "one");
    assert_int_equal(truncate(path, 0), 0);
    append(path, "two\n");
    assert_int_equal(event_follow_next(follow, &line, &length),
                     EVENT_FOLLOW_TRUNCATED);
    assert_next(follow, "two");
    event_follow_free(follow);
}

#define FOLLOWS(test)                                                          \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_take_what_fits_all_of_them),
        cmocka_unit_test(a_change_is_found_by_its_pattern),
        cmocka_unit_test(records_for_programs_are_shown_when_asked_for),
        cmocka_unit_test(wrong_filters_are_refused),
        FOLLOWS(each_line_is_given_once_through_rotations),
        FOLLOWS(it_begins_with_the_last_that_are_wanted),
        FOLLOWS(the_last_lines_are_found_before_a_rotation),
        FOLLOWS(the_last_lines_leave_nothing_out_in_between),
        FOLLOWS(since_begins_in_older_files),
        FOLLOWS(a_truncated_file_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
