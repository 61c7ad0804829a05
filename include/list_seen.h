/*
 * list_seen.h - which keys a file has had already
 *
 * Keeps 11 to 22 bytes a key, up to LIST_SEEN_MAX of them; later ones are not
 * remembered. Two keys are taken for one once in 10^19.
 *
 * Threads  one.
 */
#ifndef NIXIE_LIST_SEEN_H
#define NIXIE_LIST_SEEN_H

#include "store_key.h"

#include <stdbool.h>
#include <stddef.h>

#define LIST_SEEN_MAX ((size_t)12 * 1024 * 1024)

struct list_seen;

struct list_seen *list_seen_new(void); /* NULL: out of memory */
void list_seen_free(struct list_seen *seen);

/* Whether it was there before; now it is. */
bool list_seen_add(struct list_seen *seen, const struct store_key *key);

#endif
