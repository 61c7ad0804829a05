/*
 * report_memory.h - what a report owns, given back at once
 *
 * Owner    what is taken lives as long as the memory.
 * Errors   the first that fails is remembered: who takes much looks once.
 * Threads  one user at a time.
 */
#ifndef NIXIE_REPORT_MEMORY_H
#define NIXIE_REPORT_MEMORY_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

struct report_memory;

/* New, or NULL. At most `limit` bytes are given out. */
struct report_memory *report_memory_new(size_t limit);
void report_memory_free(struct report_memory *memory); /* or NULL */

/* Forgets what was given out, keeps the room. */
void report_memory_reset(struct report_memory *memory);

/* NULL when there is no more. */
void *report_memory_take(struct report_memory *memory, size_t size);

/* Gives back the end of what was taken last: it is `used` bytes now. */
void report_memory_shrink(struct report_memory *memory, const void *last,
                          size_t used);

bool report_memory_failed(const struct report_memory *memory);
size_t report_memory_size(const struct report_memory *memory);

/*
 * A copy, at most `most` bytes, without broken UTF-8 at its end; each line end,
 * with the blanks around it, is one space. Empty when text is empty.
 */
struct text report_memory_text(struct report_memory *memory, struct text text,
                               size_t most);

#endif
