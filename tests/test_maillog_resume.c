#include "event_json.h"
#include "maillog_folder.h"
#include "maillog_position.h"
#include "maillog_resume.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES 5
#define US    INT64_C(1000000)
#define START (INT64_C(1795255200) * US)
#define HERE  "0123456789abcdef"
#define OLD   "fedcba9876543210"

/* Two delivery logs of LINES lines, an event log, and who resumes. */
struct site {
    struct maillog_folder *folder;
    char paths[2][256];
    char event_log[256];
    char places[2][LINES + 1][MAILLOG_POSITION_SIZE]; /* before line n */
    struct settings_share *settings;
    struct maillog_messages *messages;
    struct maillog_schedule schedule;
    struct maillog_follow *follow;
    struct maillog_reader *reader;
    struct maillog_resume resume;
    char got[600]; /* recipients, with a blank behind each */
};

static const atomic_bool never = false;

static bool take(void *context, struct event *event)
{
    struct site *site = context;
    size_t used = strlen(site->got);

    (void)snprintf(site->got + used, sizeof site->got - used, "%.*s ",
                   (int)event->recipient.length, event->recipient.bytes);
    return true;
}

static struct maillog_follow *follow_of(const struct site *site)
{
    const char *const sources[] = {site->paths[0], site->paths[1], NULL};
    const struct maillog_follow_options options = {
        .sources = sources, .follow = true, .from_start = true};
    struct error error;
    struct maillog_follow *follow = maillog_follow_new(&options, &error);

    assert_non_null(follow);
    return follow;
}

/* Line n of source s is about sn-a@x.example, sn-b@x.example. */
static void write_logs(struct site *site)
{
    for (int s = 0; s < 2; s++) {
        for (int n = 0; n < LINES; n++) {
            char line[400];

            (void)snprintf(line, sizeof line,
                           "2026-11-21T10:00:0%d.000000+00:00 mail sm-mta[7]: "
                           "60215wXk0030%d%d: to=<%d%d-a@x.example>,"
                           "<%d%d-b@x.example>, delay=00:00:01, mailer=esmtp, "
                           "pri=1, relay=mx. [192.0.2.1], dsn=2.0.0, "
                           "stat=Sent (ok)\n",
                           n, s, n, s, n, s, n);
            maillog_folder_append(site->folder, s == 0 ? "" : ".other", line);
        }
    }
}

static void find_places(struct site *site)
{
    struct maillog_follow *follow = follow_of(site);
    int count[2] = {0, 0};
    struct maillog_line line;

    while (maillog_follow_next(follow, 0, &line) == MAILLOG_FOLLOW_LINE) {
        size_t s = line.source;

        assert_in_range(count[s], 0, LINES - 1);
        (void)text_copy(text_of(line.before), site->places[s][count[s]++],
                        MAILLOG_POSITION_SIZE);
        (void)text_copy(text_of(line.position), site->places[s][count[s]],
                        MAILLOG_POSITION_SIZE);
    }
    assert_int_equal(count[0] + count[1], 2 * LINES);
    maillog_follow_free(follow);
}

static int set_up(void **state)
{
    struct site *site = calloc(1, sizeof *site);
    void *folder;
    struct error error;
    struct maillog_reader_options options;

    assert_non_null(site);
    assert_int_equal(maillog_folder_make(&folder), 0);
    site->folder = folder;
    maillog_folder_path(site->folder, "", site->paths[0]);
    maillog_folder_path(site->folder, ".other", site->paths[1]);
    (void)snprintf(site->event_log, sizeof site->event_log, "%s/events.jsonl",
                   site->folder->path);
    write_logs(site);
    find_places(site);
    site->settings = settings_share_new(settings_of("", &error));
    site->messages = maillog_messages_new();
    maillog_schedule_init(&site->schedule);
    site->follow = follow_of(site);
    options = (struct maillog_reader_options){
        .settings = site->settings,
        .messages = site->messages,
        .schedule = &site->schedule,
        .take = take,
        .context = site,
    };
    site->reader = maillog_reader_new(&options);
    assert_non_null(site->reader);
    site->resume = (struct maillog_resume){
        .event_log = site->event_log,
        .follow = site->follow,
        .reader = site->reader,
        .messages = site->messages,
        .stopping = &never,
    };
    *state = site;
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;
    void *folder = site->folder;

    maillog_reader_free(site->reader);
    maillog_follow_free(site->follow);
    maillog_messages_free(site->messages);
    settings_share_free(site->settings);
    assert_int_equal(maillog_folder_remove(&folder), 0);
    free(site);
    return 0;
}

/* --- the event log ----------------------------------------------------- */

struct file {
    FILE *stream;
    int64_t seq;
    const char *instance;
};

static void put(struct file *file, struct event *event)
{
    char line[EVENT_LINE_MAX];
    size_t length;

    event->seq = file->seq++;
    event->instance = text_of(file->instance);
    event->node = text_of("mx.example");
    (void)snprintf(event->event_id, sizeof event->event_id,
                   "019aa7c2-0000-7000-8000-000000000000");
    length = event_json_encode(event, line);
    assert_int_equal(fwrite(line, 1, length, file->stream), length);
}

static struct file begin_file(const struct site *site, const char *suffix,
                              const char *instance, int64_t seq)
{
    char path[300];
    struct file file = {.seq = seq, .instance = instance};
    struct event event;

    (void)snprintf(path, sizeof path, "%s%s", site->event_log, suffix);
    file.stream = fopen(path, "we");
    assert_non_null(file.stream);
    event_init(&event, EVENT_LOG_OPEN, START);
    event.file_number = 1 + seq / 1000;
    event.file_nonce = text_of("0123456789abcdef0123456789abcdef");
    event.version = text_of("0");
    put(&file, &event);
    return file;
}

static void put_mark(struct file *file, const char *position)
{
    struct event event;

    event_init(&event, EVENT_MARK, START);
    event.maillog_position = text_of(position);
    put(file, &event);
}

static void put_event(struct file *file, const char *place, unsigned number,
                      const char *diagnostic)
{
    char position[MAILLOG_POSITION_SIZE + 12];
    struct event event;

    event_init(&event, EVENT_DELIVERY, START);
    (void)snprintf(position, sizeof position, number > 0 ? "%s#%u" : "%s",
                   place, number);
    event.origin = text_of("maillog");
    event.recipient = text_of("x@x.example");
    event.diagnostic = text_of(diagnostic);
    event.maillog_position = text_of(position);
    put(file, &event);
}

static void end_file(struct file *file)
{
    assert_int_equal(fclose(file->stream), 0);
}

/* What a follower gives that goes on from there. */
static void go_on(struct site *site, uint64_t positions, const char *got)
{
    struct maillog_line line;
    struct error error = {""};

    if (!maillog_resume(&site->resume, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(site->resume.positions, positions);
    while (maillog_follow_next(site->follow, 0, &line) == MAILLOG_FOLLOW_LINE) {
        if (line.source == 0) { /* the other one has places of its own */
            assert_true(maillog_reader_line(site->reader, &line));
        }
    }
    assert_string_equal(site->got, got);
}

#define LAST "04-a@x.example 04-b@x.example "

/* --- places ------------------------------------------------------------ */

static void an_empty_folder_tells_no_place(void **state)
{
    go_on(*state, 0,
          "00-a@x.example 00-b@x.example 01-a@x.example 01-b@x.example "
          "02-a@x.example 02-b@x.example 03-a@x.example 03-b@x.example " LAST);
}

static void the_last_place_of_each_source_counts(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    struct maillog_line line;

    put_event(&file, site->places[0][2], 0, "ok");
    put_mark(&file, site->places[1][5]);
    put_event(&file, site->places[0][4], 0, "ok");
    end_file(&file);
    go_on(site, 3, LAST);
    assert_int_equal(maillog_follow_next(site->follow, 0, &line),
                     MAILLOG_FOLLOW_IDLE); /* nothing of the other */
}

static void events_of_a_line_that_are_there_are_skipped(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);

    put_event(&file, site->places[0][4], 1, "ok");
    end_file(&file);
    go_on(site, 1, "04-b@x.example ");
}

static void places_of_other_sources_are_passed_over(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    struct maillog_position other;
    char text[MAILLOG_POSITION_SIZE];

    put_event(&file, site->places[0][4], 0, "ok");
    assert_true(maillog_position_parse(site->places[0][1], &other));
    other.source++;
    (void)maillog_position_format(&other, text);
    put_event(&file, text, 1, "ok");
    put_event(&file, "nonsense", 0, "ok");
    end_file(&file);
    go_on(site, 1, LAST);
}

/* A lost state folder: what the instance before wrote goes on. */
static void files_of_another_instance_tell_places(void **state)
{
    struct site *site = *state;
    struct file old = begin_file(site, ".1", OLD, 1000);
    struct file here = begin_file(site, "", HERE, 5000);

    put_event(&old, site->places[0][4], 0, "ok");
    end_file(&old);
    put_mark(&here, site->places[1][1]);
    end_file(&here);
    go_on(site, 2, LAST);
}

static void younger_files_count_whatever_their_names(void **state)
{
    struct site *site = *state;
    struct file young = begin_file(site, ".1", HERE, 9000);
    struct file old = begin_file(site, ".2", OLD, 1000);

    put_event(&young, site->places[0][4], 0, "ok");
    end_file(&young);
    put_event(&old, site->places[0][1], 0, "ok");
    end_file(&old);
    go_on(site, 2, LAST);
}

/* --- damage ------------------------------------------------------------ */

/* The recorder never sees the event of a torn line: it must come again. */
static void torn_lines_tell_no_place_wherever_they_end(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    char bytes[EVENT_LINE_MAX];
    long begin;
    long length;

    put_event(&file, site->places[0][4], 0, "ok");
    begin = ftell(file.stream);
    put_event(&file, site->places[0][5], 0, "} \\\"} {\"}\" }");
    length = ftell(file.stream) - begin;
    end_file(&file);
    file.stream = fopen(site->event_log, "re");
    assert_non_null(file.stream);
    assert_int_equal(fseek(file.stream, begin, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, (size_t)length, file.stream), length);
    end_file(&file);
    for (long cut = 0; cut < length - 2; cut++) {
        struct maillog_resume resume = site->resume;
        struct error error;

        assert_int_equal(truncate(site->event_log, begin), 0);
        file.stream = fopen(site->event_log, "ae");
        assert_non_null(file.stream);
        assert_int_equal(fwrite(bytes, 1, (size_t)cut, file.stream), cut);
        assert_int_equal(fputc('\n', file.stream), '\n');
        end_file(&file);
        assert_true(maillog_resume(&resume, &error));
        assert_int_equal(resume.positions, 1);
    }
    go_on(site, 1, LAST);
}

static void foreign_and_empty_files_are_passed_over(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    char path[300];
    FILE *stream;

    put_event(&file, site->places[0][4], 0, "ok");
    end_file(&file);
    (void)snprintf(path, sizeof path, "%s.empty", site->event_log);
    stream = fopen(path, "we");
    assert_non_null(stream);
    assert_int_equal(fclose(stream), 0);
    (void)snprintf(path, sizeof path, "%s.foreign", site->event_log);
    stream = fopen(path, "we");
    assert_non_null(stream);
    (void)fprintf(stream, "{\"maillog_position\":\"%s\"}\n",
                  site->places[0][1]);
    assert_int_equal(fclose(stream), 0);
    go_on(site, 1, LAST);
}

/* --- messages ---------------------------------------------------------- */

static void messages_are_known_again(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    struct maillog_message found;
    struct event event;
    struct error error;

    event_init(&event, EVENT_RECEPTION, START);
    event.queue_id = text_of("3F1A2C0B7D");
    event.recipient = text_of("a@x.example");
    event.sender = text_of("s@x.example");
    put(&file, &event);
    event_init(&event, EVENT_DELAY, START + US);
    event.queue_id = text_of("3F1A2C0B7D");
    event.recipient = text_of("a@x.example");
    event.attempt = 7;
    event.diagnostic = text_of("452 4.2.2 full");
    put(&file, &event);
    end_file(&file);
    assert_true(maillog_resume(&site->resume, &error));
    maillog_messages_find(site->messages, text_of("3F1A2C0B7D"), START + 2 * US,
                          text_of("a@x.example"), text_of(NULL), &found);
    assert_true(found.seen);
    assert_int_equal(found.attempts, 7);
    assert_string_equal(found.sender.bytes, "s@x.example");
    assert_string_equal(found.last_diagnostic.bytes, "452 4.2.2 full");
}

static void what_was_forwarded_is_known_under_its_new_id(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    struct maillog_message found;
    struct event event;
    struct error error;

    event_init(&event, EVENT_RECEPTION, START);
    event.queue_id = text_of("3F1A2C0B7D");
    event.sender = text_of("s@x.example");
    event.recipient = text_of("a@x.example");
    put(&file, &event);
    event_init(&event, EVENT_MARK, START + US);
    event.queue_id = text_of("3F1A2C0B7D");
    event.recipient = text_of("a@x.example");
    event.forwarded_as = text_of("4A2B3C0D1E");
    event.maillog_position = text_of(site->places[0][1]);
    put(&file, &event);
    end_file(&file);
    assert_true(maillog_resume(&site->resume, &error));
    assert_int_equal(site->resume.positions, 1);
    maillog_messages_find(site->messages, text_of("4A2B3C0D1E"), START + 2 * US,
                          text_of("a@x.example"), text_of("far@y.example"),
                          &found);
    assert_true(found.seen);
    assert_true(text_is(found.sender, "s@x.example"));
}

/* Of what lies far back only places are looked for. */
static void messages_of_long_ago_are_left_alone(void **state)
{
    struct site *site = *state;
    struct file file = begin_file(site, "", HERE, 1000);
    struct maillog_message found;
    struct event event;
    struct error error;

    event_init(&event, EVENT_RECEPTION, START);
    event.queue_id = text_of("3F1A2C0B7D");
    event.recipient = text_of("a@x.example");
    put(&file, &event);
    put_event(&file, site->places[0][4], 0, "ok");
    event.queue_id = text_of("3F1A2C0B7E");
    site->resume.message_bytes = 250;
    put(&file, &event);
    end_file(&file);
    assert_true(maillog_resume(&site->resume, &error));
    assert_int_equal(site->resume.positions, 1);
    maillog_messages_find(site->messages, text_of("3F1A2C0B7D"), START + 2 * US,
                          text_of("a@x.example"), text_of(NULL), &found);
    assert_false(found.known);
    maillog_messages_find(site->messages, text_of("3F1A2C0B7E"), START + 2 * US,
                          text_of("a@x.example"), text_of(NULL), &found);
    assert_true(found.seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_folder_tells_no_place),
        TEST(the_last_place_of_each_source_counts),
        TEST(events_of_a_line_that_are_there_are_skipped),
        TEST(places_of_other_sources_are_passed_over),
        TEST(files_of_another_instance_tell_places),
        TEST(younger_files_count_whatever_their_names),
        TEST(torn_lines_tell_no_place_wherever_they_end),
        TEST(foreign_and_empty_files_are_passed_over),
        TEST(messages_are_known_again),
        TEST(what_was_forwarded_is_known_under_its_new_id),
        TEST(messages_of_long_ago_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
