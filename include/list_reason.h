/*
 * list_reason.h - why a service has an address on its list, in our words
 *
 * A cause that the service names goes by a table. Of a bounce the remote
 * system's reply is judged by the bounce rules, if the file has it: what they
 * do not know is "suppressed", on a provider's list.
 *
 * Threads  a struct list_reasons has one user at a time.
 */
#ifndef NIXIE_LIST_REASON_H
#define NIXIE_LIST_REASON_H

#include "bounce_rules.h"
#include "list_column.h"
#include "reason.h"
#include "text.h"

#include <stdbool.h>

struct list_reasons;

/* New; rules are borrowed. NULL when out of memory. */
struct list_reasons *list_reasons_new(const struct bounce_rules *rules);
void list_reasons_free(struct list_reasons *reasons); /* takes it, or NULL */

/* What a row of a service says of it; unknown where it says nothing. */
struct list_cause {
    enum list_preset preset;
    struct text cause, who, code, reply;
};

/* reasons may be NULL. */
enum reason list_reason_of(struct list_reasons *reasons,
                           const struct list_cause *cause);

#endif
