/*
 * privacy_text.h - addresses in texts that others wrote are masked
 *
 * An address, in angle brackets or not, becomes <addr>. So does the local part
 * of the recipient where it stands as a word: "user ann unknown". What is
 * written in other ways ("ann at example dot org") is not known for one.
 *
 * Threads  any.
 */
#ifndef NIXIE_PRIVACY_TEXT_H
#define NIXIE_PRIVACY_TEXT_H

#include "text.h"

#include <stddef.h>

#define PRIVACY_TEXT_MASK "<addr>"

/*
 * Up to size bytes, of a long text those at its beginning; no address is
 * masked in part. words of length 0 are none.
 */
size_t privacy_text_mask(struct text text, const struct text *words,
                         size_t word_count, char *buffer, size_t size);

/* Before the last "@" of an address; all of it where there is none. */
struct text privacy_text_local(struct text address);

#endif
