/*
 * suppression_track.h - the thread that keeps the suppression cache current
 *
 * While Redis answers it follows it (suppression_follow.h); when the talk
 * breaks, or Redis is silent for two seconds, the cache is stale, and it tries
 * again, 50 ms to 1 s apart. Where Redis does not track keys for us it tries
 * every 30 s, where the list is too large every ten minutes.
 *
 * Log      one line when the cache is lost, for whatever cause, and one when
 *          it is current again.
 * Owner    endpoint, key_prefix and the listener's context are borrowed.
 * Threads  _new() and _free() from one; the others from any, without a lock.
 */
#ifndef NIXIE_SUPPRESSION_TRACK_H
#define NIXIE_SUPPRESSION_TRACK_H

#include "error.h"
#include "suppression.h"
#include "suppression_cache.h"

#include <stdbool.h>
#include <stdint.h>

struct suppression_track;

/* New and running, or NULL with error. */
struct suppression_track *
suppression_track_new(const struct suppression_options *options,
                      struct error *error);
/* Takes it, or NULL; up to a second while Redis does not answer. */
void suppression_track_free(struct suppression_track *track);

const struct suppression_cache *
suppression_track_cache(const struct suppression_track *track);

enum suppression_cache_status
suppression_track_status(const struct suppression_track *track, int64_t now_ms);

/*
 * Whether the cache has every change from more than 5 ms ago: it is current,
 * and the thread has had a processor, or no name waits for it.
 */
bool suppression_track_is_current(struct suppression_track *track,
                                  int64_t now_ms);

/*
 * Whether the cache has been the whole list once, and how long ago that is
 * known to have been so.
 */
bool suppression_track_age(const struct suppression_track *track,
                           int64_t now_ms, int64_t *age_ms);

void suppression_track_state(const struct suppression_track *track,
                             struct suppression_cache_state *state);

#endif
