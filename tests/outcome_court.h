/*
 * outcome_court.h - a judge of outcomes with all it needs, for its tests
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_OUTCOME_COURT_H
#define NIXIE_TESTS_OUTCOME_COURT_H

#include "lists_world.h"
#include "outcome.h"

#include <stddef.h>

extern const char court_rules[];

/* New, with these rules; more is further configuration. */
struct settings *court_settings(const char *rules, const char *more);

struct court {
    struct settings_share *settings;
    struct suppression *list;
    struct unclassified *unclassified;
    struct outcome_judge *judge;
};

/* With court_rules. */
struct court court_open(struct world *world, const char *more);
void court_close(struct court *court);

/* Of ann@example.org, decided by the remote. */
struct event court_event(enum event_type type);

/* Reason, type, rule, limits: "mailbox_full soft full 5/3/30d", "... not". */
void court_describe(const struct event *event, char *line, size_t size);

struct court_row {
    enum event_type type;
    const char *reply;
    const char *expected;
};
void court_check(struct court *court, const struct court_row *rows,
                 size_t count);
#define CHECK(court, rows)                                                     \
    court_check(court, rows, sizeof(rows) / sizeof *(rows))

#endif
