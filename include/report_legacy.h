/*
 * report_legacy.h - bounces in words: whom they are about, and why
 *
 * Each address in the text is weighed by where it stands: alone on a line, in
 * front of a reply, behind words such as "rcpt to"; the best ones are the
 * recipients. What stands near is the diagnostic. What formats have of their
 * own is in report_legacy_rows.c, a row each.
 *
 * Threads  any.
 */
#ifndef NIXIE_REPORT_LEGACY_H
#define NIXIE_REPORT_LEGACY_H

#include "report_build.h"
#include "report_sign.h"
#include "report_words.h"

struct report_legacy {
    const struct report_signs *signs;
    struct report_words *words;
    struct text to; /* of the returned message, if it is there; or unknown */
    bool returned;  /* a message, or its headers */
};

/* Adds the recipients; returns how they were found, NULL: there are none. */
const char *report_legacy_read(const struct report_legacy *legacy,
                               struct report_build *build);

/*
 * What the words say of address: the reply or sentence near it. May be empty;
 * of the only recipient of a report anything in it counts.
 */
struct text report_legacy_said(struct report_memory *memory,
                               struct report_words *words, struct text address,
                               bool only);

/* Of whom the text near address says that it comes: an alias; or unknown. */
struct text report_legacy_expanded(struct report_words *words,
                                   struct text address);

/* --- rows of formats ----------------------------------------------------- */

/* What words in front of an address make of it; lower case. */
struct report_label {
    const char *words;
    int weight; /* 0: never a recipient */
};

enum report_weight {
    REPORT_WEIGHT_NEVER = 0,
    REPORT_WEIGHT_LEAST = 20,  /* somewhere in the text */
    REPORT_WEIGHT_OWN = 50,    /* well placed, but the report went to it */
    REPORT_WEIGHT_REPLY = 60,  /* in the line of a reply */
    REPORT_WEIGHT_NAMED = 75,  /* behind "recipient", "to" a verb */
    REPORT_WEIGHT_LEADS = 85,  /* in front of a sentence, with a colon */
    REPORT_WEIGHT_LISTED = 90, /* alone on its line */
};

extern const struct report_label report_labels[];
extern const size_t report_label_count;

/* Words of bounces in general, lower case. */
extern const char *const report_failure_words[];
extern const size_t report_failure_word_count;
extern const char *const report_delay_words[];
extern const size_t report_delay_word_count;
extern const char *const report_expansion_words[];
extern const size_t report_expansion_word_count;
extern const char *const report_success_words[];
extern const size_t report_success_word_count;

/*
 * What a format means that gives no reply: all texts that are not NULL must be
 * there. `means` stands for a diagnostic.
 */
struct report_format {
    const char *name;
    const char *from;  /* in From, lower case */
    const char *words; /* in the text, lower case */
    const char *means;
};

extern const struct report_format report_formats[];
extern const size_t report_format_count;

/* The first that fits, or NULL. */
const struct report_format *
report_legacy_format(const struct report_signs *signs,
                     const struct report_words *words);

#endif
