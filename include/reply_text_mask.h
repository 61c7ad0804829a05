/*
 * reply_text_mask.h - what differs from message to message is masked
 *
 * The second half of reply_text.h, which tells what becomes what. A walk over
 * the runs between brackets, quotes and blanks: each is copied or masked. It
 * only goes forward, but for an address, which is known by its "@" when its
 * local part is behind.
 *
 * Threads  any.
 */
#ifndef NIXIE_REPLY_TEXT_MASK_H
#define NIXIE_REPLY_TEXT_MASK_H

#include "reply_text.h"
#include "text.h"

/* Bytes of clean text; there is room for what masking makes shorter. */
#define REPLY_TEXT_CLEAN_MAX (2 * REPLY_TEXT_MAX)

/*
 * Appends clean text (UTF-8, lower case, single blanks) to *text, whose code
 * and enhanced status are known already, or found here within the text.
 */
void reply_text_mask(struct text clean, struct reply_text *text);

#endif
