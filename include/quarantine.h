/*
 * quarantine.h - recipients whose strikes have reached a limit
 *
 * The recorder's script notes in {NN}:due who has reached a limit. Here that
 * becomes a line of the log: suppression_added, or suppression_withheld when
 * an entry of somebody stands already, the recipient is allowed, or the
 * breaker is open. Applying that line clears what is due, so nothing is
 * decided twice: quarantine_run() is called only when all of the log is
 * applied, by the thread that applies it. Of a store that several nixied
 * share each takes what is due by its own events (field due_by of the
 * recipient).
 *
 * Domains that go down or come back are noted and told the same way.
 *
 * Withheld too (withheld_by policy) is what has a reason that does not exist
 * or whose failures do not count any more, or that has fewer strikes left than
 * its policy wants: a delivery was told of late, their window is over, or the
 * limit is another now. A field of {NN}:due that no event
 * could clear, being no recorder's, is passed over and told once; of what
 * belongs to a recipient, keys of another type read as unknown.
 *
 * The breaker: see policy.h. It opens with an event breaker_opened, with
 * recipient_domain unless it is for all, reason and expires_at, and closes
 * with breaker_closed at its time, by whom opened it. quarantine_breaker.h
 * reads the ones that are open.
 *
 * Should what was decided be due still, Redis refuses to clear it: that is
 * told once, and nothing is decided for a minute, so that the log does not
 * fill with the same.
 *
 * Waits    at most QUARANTINE_MS for Redis, then goes on at the next run.
 * Errors   are logged once when they begin and end.
 * Threads  one.
 */
#ifndef NIXIE_QUARANTINE_H
#define NIXIE_QUARANTINE_H

#include "event_log.h"
#include "redis_endpoint.h"
#include "settings_share.h"

#include <stdbool.h>

#define QUARANTINE_MS 3000

struct quarantine_options {
    struct redis_endpoint *endpoint; /* borrowed, like all of them */
    const char *key_prefix;
    struct settings_share *settings; /* policies, breaker */
    struct event_log *log;
};

struct quarantine;

struct quarantine *quarantine_new(const struct quarantine_options *options);
void quarantine_free(struct quarantine *quarantine); /* or NULL */

/*
 * Decides what is due by one of the instances (ended by NULL). Appends
 * nothing while the log holds events back, and stops at the first it cannot
 * write.
 */
void quarantine_run(struct quarantine *quarantine,
                    const char *const *instances);

#endif
