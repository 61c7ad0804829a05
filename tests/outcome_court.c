#include "outcome_court.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 86400

const char court_rules[] =
    "unknown user_unknown /user unknown/\n"
    "temporarily account_disabled:soft /temporarily disabled/\n"
    "disabled account_disabled /account disabled/\n"
    "full mailbox_full /mailbox full/\n"
    "spam spam_content stage=eom /\\bspam\\b/\n"
    "theirs recipient_refused mta=mx.example.net /go away/\n"
    "away unreachable /timed out/\n"
    "noise ignore /out of office/\n";

/* --- settings ---------------------------------------------------------- */

static char *write_file(const char *name, const char *text)
{
    char *path =
        g_strdup_printf("/tmp/nixie-outcome-%ld-%s", (long)getpid(), name);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

struct settings *court_settings(const char *rules, const char *more)
{
    char *rules_path = write_file("rules", rules);
    char *text =
        g_strdup_printf("bounce_rules = {\"%s\"}\n%s", rules_path, more);
    char *path = write_file("conf", text);
    struct error error = {""};
    struct settings *settings = settings_load(path, &error);

    assert_string_equal(error.text, "");
    assert_non_null(settings);
    assert_true(settings_load_rules(settings, &error));
    (void)unlink(path);
    (void)unlink(rules_path);
    g_free(path);
    g_free(text);
    g_free(rules_path);
    return settings;
}

struct court court_open(struct world *world, const char *more)
{
    struct court court = {
        .settings = settings_share_new(court_settings(court_rules, more)),
        .list = lists_new(world->endpoint, TIMEOUT, 2, NULL),
        .unclassified = unclassified_new(world->endpoint, "nixie:"),
    };
    struct outcome_judge_options options = {court.settings, court.list,
                                            court.unclassified};

    assert_non_null(court.unclassified);
    court.judge = outcome_judge_new(&options);
    assert_non_null(court.judge);
    return court;
}

void court_close(struct court *court)
{
    outcome_judge_free(court->judge);
    unclassified_free(court->unclassified);
    suppression_free(court->list);
    settings_share_free(court->settings);
}

/* --- rows -------------------------------------------------------------- */

struct event court_event(enum event_type type)
{
    struct event event;

    event_init(&event, type, INT64_C(1800000000000000));
    event.recipient = text_of("ann@example.org");
    event.recipient_domain = text_of("example.org");
    event.decided_by = text_of("remote");
    return event;
}

static const char *shown(struct text text, char buffer[80])
{
    return text.bytes == NULL ? "-" : text_escape(text, buffer, 80);
}

void court_describe(const struct event *event, char *line, size_t size)
{
    char reason[80];
    char type[80];
    char rule[80];
    char counted[80] = "";

    if (event->counted == 1) {
        (void)snprintf(counted, sizeof counted, "%lld/%lld/%lldd",
                       (long long)event->strike_limit,
                       (long long)event->strike_days,
                       (long long)event->strike_window_seconds / DAY);
    } else {
        assert_int_equal(event->strike_limit, EVENT_UNKNOWN);
        assert_int_equal(event->strike_days, EVENT_UNKNOWN);
        assert_int_equal(event->strike_window_seconds, EVENT_UNKNOWN);
        (void)snprintf(counted, sizeof counted, "%s",
                       event->counted == 0 ? "not" : "-");
    }
    (void)snprintf(line, size, "%s %s %s %s", shown(event->reason, reason),
                   shown(event->failure_type, type), shown(event->rule, rule),
                   counted);
}

void court_check(struct court *court, const struct court_row *rows,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct event event = court_event(rows[i].type);
        struct outcome_facts facts = {.reply = text_of(rows[i].reply),
                                      .believed = true};
        char line[400];

        outcome_judge(court->judge, &facts, &event);
        court_describe(&event, line, sizeof line);
        if (strcmp(line, rows[i].expected) != 0) {
            fail_msg("%s \"%s\": %s, not %s", event_type_name(rows[i].type),
                     rows[i].reply, line, rows[i].expected);
        }
    }
}
