/*
 * reply_text_memory.h - normal forms of replies that come again
 *
 * A server says the same to all: "550 5.1.1 <ann@example.org>: User unknown",
 * and only who is named changes. A normal form that was made is found by the
 * reply without "<address>" and "host[ip]", where these are so plain that they
 * are masked whatever they are.
 *
 * Bounds    REPLY_TEXT_MEMORY_SIZE replies; of a place the last. What is long,
 *           or odd, is normalised each time.
 * Threads   one user at a time.
 */
#ifndef NIXIE_REPLY_TEXT_MEMORY_H
#define NIXIE_REPLY_TEXT_MEMORY_H

#include "reply_text.h"

#define REPLY_TEXT_MEMORY_SIZE 256

struct reply_text_memory;

struct reply_text_memory *reply_text_memory_new(void); /* NULL: no memory */
void reply_text_memory_free(struct reply_text_memory *memory); /* or NULL */

/* As reply_text_normalise(); memory may be NULL. */
void reply_text_memory_normalise(struct reply_text_memory *memory,
                                 struct text reply, struct reply_text *text);

#endif
