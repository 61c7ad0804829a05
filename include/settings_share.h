/*
 * settings_share.h - settings that can be exchanged while they are in use
 *
 * Borrowed settings stay as they are until they are given back, however often
 * others take their place meanwhile.
 *
 * Threads  any.
 */
#ifndef NIXIE_SETTINGS_SHARE_H
#define NIXIE_SETTINGS_SHARE_H

#include <stdbool.h>

#include "settings.h"

struct settings_share;

/* New, or NULL when out of memory; takes settings if it is new. */
struct settings_share *settings_share_new(struct settings *settings);

const struct settings *settings_share_borrow(struct settings_share *share);
void settings_share_return(struct settings_share *share,
                           const struct settings *settings);

/* Whether settings that are borrowed would be lent now: asked without a lock */
bool settings_share_is_newest(struct settings_share *share,
                              const struct settings *settings);

/* From now on these are lent; takes them. False: out of memory. */
bool settings_share_replace(struct settings_share *share,
                            struct settings *settings);

/* Only when all are given back. Takes it, or NULL. */
void settings_share_free(struct settings_share *share);

#endif
