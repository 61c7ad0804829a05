/*
 * text_near.h - the word that somebody meant
 *
 * For messages only: nothing is ever done by a guess.
 *
 * Owner    the best word is one that was offered: borrowed.
 * Threads  one; a struct text_near is filled word by word.
 */
#ifndef NIXIE_TEXT_NEAR_H
#define NIXIE_TEXT_NEAR_H

#include "text.h"

struct text_near {
    struct text typed;
    struct text best; /* unknown: none is near */
    unsigned distance;
};

struct text_near text_near_new(struct text typed);
void text_near_offer(struct text_near *near, struct text word);

#define TEXT_NEAR_SIZE 80
/* "; did you mean \"top\"?", or "" when no word is near. */
const char *text_near_ask(const struct text_near *near,
                          char question[TEXT_NEAR_SIZE]);

#endif
