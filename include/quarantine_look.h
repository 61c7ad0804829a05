/*
 * quarantine_look.h - what Redis says of those whose strikes are too many
 *
 * Reads {NN}:due and what belongs to its fields: hash, strikes, evidence, the
 * lists, the counts of an hour. Several questions go in one pipeline. Changes
 * nothing.
 *
 * Source   the keys of store_key.h as the recorder writes them. An operator
 *          may have written there too: what is not of the type, the form or
 *          the length that the recorder makes reads as unknown.
 * Owner    fields and values are borrowed from the page they came on.
 * Errors   only when Redis does not answer, or refuses: the connection is
 *          closed then.
 * Waits    until the deadline of quarantine_look_begin().
 * Threads  one.
 */
#ifndef NIXIE_QUARANTINE_LOOK_H
#define NIXIE_QUARANTINE_LOOK_H

#include "error.h"
#include "instance.h"
#include "mailbox.h"
#include "reason.h"
#include "redis_endpoint.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#define QUARANTINE_EVIDENCE_MAX 1900 /* with the rest it fits on a line */

struct quarantine_look;

/* New, or NULL when out of memory. Arguments are borrowed for its life. */
struct quarantine_look *quarantine_look_new(struct redis_endpoint *endpoint,
                                            const char *key_prefix);
void quarantine_look_free(struct quarantine_look *look); /* or NULL */

/* Connects if need be. No later question waits longer than the deadline. */
bool quarantine_look_begin(struct quarantine_look *look, int64_t deadline_ms,
                           struct error *error);

/* Fields of the hash of each bucket; -1: the key is no hash. */
struct quarantine_sizes {
    int64_t due[STORE_BUCKETS];
    int64_t breakers[STORE_BUCKETS];
};
bool quarantine_look_sizes(struct quarantine_look *look,
                           struct quarantine_sizes *sizes, struct error *error);

/* About a thousand fields of a hash, some perhaps twice (HSCAN). */
struct quarantine_page {
    redisReply *reply; /* NULL at first */
    char cursor[24];   /* "" at first, "0": there are no more */
};
/* Frees the page before. False with error. */
bool quarantine_look_page(struct quarantine_look *look, enum store_history kind,
                          unsigned bucket, struct quarantine_page *page,
                          struct error *error);
bool quarantine_page_is_last(const struct quarantine_page *page);
size_t quarantine_page_count(const struct quarantine_page *page);
void quarantine_page_field(const struct quarantine_page *page, size_t index,
                           struct text *field, struct text *value);
void quarantine_page_free(struct quarantine_page *page);

struct quarantine_due {
    struct text field, value; /* see store_due_field(); of a domain down, up */
    bool is_domain;
    /* of an address, what field and value say; unknown as they may be */
    struct text address, scope; /* whose list */
    struct text slot; /* whose strikes: the scope, or STORE_SCOPE_ALL */
    struct text reason;
    struct text policy_scope; /* by whose policy; unknown: by that of all */
    struct mailbox mailbox;   /* of a domain without address */

    /* of quarantine_look_hashes() */
    char due_by[INSTANCE_ID_SIZE]; /* "": unknown, as all texts here */
    int64_t last_us; /* last_at, or the evidence's time; 0: unknown */
    int64_t escalation;
    int64_t failing_us, down_us; /* of a domain; 0: unknown */
    char failure_reason[REASON_NAME_MAX + 1];

    /* of quarantine_look_cases() */
    int64_t strikes; /* EVENT_UNKNOWN: nobody knows */
    bool temporary;  /* the latest reply of this reason was a 4xx */
    bool is_allowed, is_listed;
    bool waits;         /* what was requested is decided first */
    size_t lists_asked; /* keys */
    char queue_id[64 + 1];
    char message_id[255 + 1];
    char evidence[QUARANTINE_EVIDENCE_MAX + 1]; /* the newest first */
    size_t evidence_length;
};

/*
 * False when the field is none that the recorder writes there: no mailbox or
 * domain in normal form, or of another bucket. An event could not clear it.
 */
bool quarantine_due_init(struct quarantine_due *due, unsigned bucket,
                         struct text field, struct text value);

/* Whether it was requested of the list for all. */
bool quarantine_due_is_for_all(const struct quarantine_due *due);

/* Of addresses and domains. */
bool quarantine_look_hashes(struct quarantine_look *look,
                            struct quarantine_due *const *due, size_t count,
                            struct error *error);
/* Of addresses: domains are passed over. */
bool quarantine_look_cases(struct quarantine_look *look,
                           struct quarantine_due *const *due, size_t count,
                           struct error *error);

struct quarantine_counts {
    int64_t failures, deliveries;
};
/*
 * In the hour of at_us and the one before it. domain "": of all, but for the
 * three buckets with the most failures: what happens at one domain or at a few
 * is not what happens everywhere.
 */
bool quarantine_look_counts(struct quarantine_look *look, const char *domain,
                            enum reason reason, int64_t at_us,
                            struct quarantine_counts *counts,
                            struct error *error);

#endif
