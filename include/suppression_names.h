/*
 * suppression_names.h - keys that Redis named and that are to be asked about
 *
 * Each key once, in the order they came, with what was known before.
 *
 * Threads  one.
 */
#ifndef NIXIE_SUPPRESSION_NAMES_H
#define NIXIE_SUPPRESSION_NAMES_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suppression_names;

struct suppression_name {
    uint64_t fingerprint;
    struct text key;  /* borrowed until the next _add() or _clear() */
    bool was_present; /* before it was named */
};

struct suppression_names *suppression_names_new(void); /* NULL: no memory */
void suppression_names_free(struct suppression_names *names);

/* Copies the key. True too when it is there already; false: no memory. */
bool suppression_names_add(struct suppression_names *names,
                           const struct suppression_name *name);
/* False: it is not there. */
bool suppression_names_find(const struct suppression_names *names,
                            uint64_t fingerprint,
                            struct suppression_name *name);

size_t suppression_names_count(const struct suppression_names *names);
struct suppression_name
suppression_names_at(const struct suppression_names *names, size_t index);

/* After many names the memory for them is given back. */
void suppression_names_clear(struct suppression_names *names);

#endif
