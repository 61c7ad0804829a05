/* The event log is the test's own: what it takes is kept, until it fails. */
#include "event_log.h"
#include "maillog.h"
#include "scratch.h"
#include "settings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REFUSALS 50
#define PATIENCE 2000 /* looks */
#define LOOK_US  5000

static struct {
    atomic_int marks, refusals;
    atomic_int asked;    /* whether it fails, while it does */
    atomic_bool failing; /* as soon as it has the first refusal */
    atomic_int marks_then;
} kept;

void event_log_state(struct event_log *log, struct event_log_state *state)
{
    (void)log;
    memset(state, 0, sizeof *state);
    state->failing = atomic_load(&kept.failing);
    if (state->failing) {
        atomic_fetch_add(&kept.asked, 1);
    }
}

enum event_log_result event_log_append(struct event_log *log,
                                       struct event *event)
{
    (void)log;
    if (event->type == EVENT_MARK) {
        atomic_fetch_add(&kept.marks, 1);
    } else if (event->type == EVENT_REJECTION) {
        atomic_fetch_add(&kept.refusals, 1);
        atomic_store(&kept.marks_then, atomic_load(&kept.marks));
        atomic_store(&kept.failing, true);
    }
    return EVENT_LOG_WRITTEN;
}

static void add_line(const char *path, const char *line)
{
    FILE *file = fopen(path, "ae");

    assert_non_null(file);
    assert_true(fputs(line, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void wait_for(const atomic_int *number, int least)
{
    for (int i = 0; i < PATIENCE && atomic_load(number) < least; i++) {
        (void)usleep(LOOK_US);
    }
    assert_in_range(atomic_load(number), least, INT32_MAX);
}

/* What is counted and was not told is read again: its place stays untold. */
static void no_mark_passes_over_what_is_counted_and_not_told(void **state)
{
    char folder[SCRATCH_SIZE];
    char log[64];
    char path[64];
    struct maillog_options options = {.messages = maillog_messages_new()};
    char text[600];
    struct error error = {""};
    struct settings *settings;
    struct maillog *maillog;

    scratch_make(folder);
    (void)snprintf(log, sizeof log, "%s/mail.log", folder);
    add_line(log, "one\n");
    (void)snprintf(text, sizeof text,
                   "node = \"mx.example.com\"\nmaillog = {\"%s\"}\n"
                   "event_log = \"%s/events.jsonl\"\n"
                   "maillog_rejections = \"all\"\nretry_schedule = {10}\n"
                   "bounce_rules = {}\nclient_event_rate = 1\n",
                   log, folder);
    (void)snprintf(path, sizeof path, "%s/nixie.conf", folder);
    scratch_write(path, text);
    settings = settings_load(path, &error);
    assert_non_null(settings);
    assert_true(settings_load_rules(settings, &error));
    options.settings = settings_share_new(settings);
    assert_non_null(options.settings);
    maillog = maillog_start(&options, &error);
    if (maillog == NULL) {
        fail_msg("%s", error.text);
    }
    wait_for(&kept.marks, 1); /* where it begins */
    for (int i = 0; i < REFUSALS; i++) {
        (void)snprintf(text, sizeof text,
                       "2026-11-21T10:00:00.000000+00:00 mail "
                       "postfix/smtpd[2]: NOQUEUE: reject: RCPT from "
                       "c.example[192.0.2.9]: 550 5.1.1 <r%d@b.example>: "
                       "Recipient address rejected: User unknown; "
                       "from=<a@c.example> to=<r%d@b.example> proto=ESMTP "
                       "helo=<c.example>\n",
                       i, i);
        add_line(log, text);
    }
    wait_for(&kept.asked, 3); /* the sum waits for room */
    maillog_stop(maillog);
    assert_int_equal(atomic_load(&kept.refusals), 1);
    assert_int_equal(atomic_load(&kept.marks), atomic_load(&kept.marks_then));
    settings_share_free(options.settings);
    maillog_messages_free(options.messages);
    scratch_remove(folder);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mark_passes_over_what_is_counted_and_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
