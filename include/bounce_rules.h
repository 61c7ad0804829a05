/*
 * bounce_rules.h - what replies mean: the rule files, read and matched
 *
 * Rules stand in order, file after file; the first that holds wins. A rule
 * holds when all its conditions do and its pattern is found in the text, in
 * the form of reply_text.h. The format is in bounce-rules(5).
 *
 * One pass over the text finds the words that the patterns cannot do without;
 * the few patterns that have all of theirs are then tried with PCRE2, compiled
 * for the processor, only where they may begin (bounce_rules_filter.h). Each
 * try has a limit of steps, so that no text takes long.
 *
 * Measured on one core of an EPYC with 546 rules and replies of 118 bytes, no
 * two alike: 367,000 a second, normalising included; a loop over the same
 * patterns with PCRE2 alone: 4,800. Of 421 rules Hyperscan 5.4 had 394 in one
 * database: 72,000, and 30 s to compile them instead of 0.1 s, as most share
 * their words. tests/bench/bench_classify prints the first two.
 *
 * Owner    bounce_rules_load() gives a new set; what is found lives with it.
 *          It is read-only, so threads share it, each with its own scratch;
 *          a pattern that is looked for the first time is compiled then.
 * Errors   of loading name file and line, and what to write instead.
 * Threads  a scratch has one user at a time, and serves the set it was made
 *          for.
 */
#ifndef NIXIE_BOUNCE_RULES_H
#define NIXIE_BOUNCE_RULES_H

#include "error.h"
#include "reason.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define BOUNCE_RULES_LINE_MAX 4096
#define BOUNCE_RULES_MAX      10000 /* of a file */
#define BOUNCE_RULES_ID_MAX   64

/* Where in the transaction the reply came; to be used as bits. */
enum bounce_stage {
    BOUNCE_STAGE_UNKNOWN = 0,
    BOUNCE_STAGE_CONNECT = 1,
    BOUNCE_STAGE_EHLO = 2,
    BOUNCE_STAGE_MAIL = 4,
    BOUNCE_STAGE_RCPT = 8,
    BOUNCE_STAGE_DATA = 16,
    BOUNCE_STAGE_EOM = 32,
};

struct bounce_rule {
    const char *id;
    const char *path; /* of its file */
    unsigned line;
    enum reason reason;
    enum failure_type failure_type; /* the reason's, or the rule's own */
    const char *pattern;            /* NULL: conditions alone */
};

/* What is asked about. */
struct bounce_question {
    struct text text;            /* as reply_text_normalise() makes it */
    int reply_code;              /* 0: unknown */
    const char *enhanced_status; /* "": unknown */
    struct text remote_mta;      /* its host name, in any case */
    enum bounce_stage stage;
};

struct bounce_rules_source {
    const char *path;
    bool optional; /* no error if it does not exist */
};

struct bounce_rules;
struct bounce_scratch;

/* New, or NULL with error. Files are read in the order given. */
struct bounce_rules *
bounce_rules_load(const struct bounce_rules_source *sources, size_t count,
                  struct error *error);
void bounce_rules_free(struct bounce_rules *rules);

size_t bounce_rules_count(const struct bounce_rules *rules);

/* In order; index is below the count. Borrowed. */
const struct bounce_rule *bounce_rules_at(const struct bounce_rules *rules,
                                          size_t index);

/* New, or NULL when out of memory. */
struct bounce_scratch *bounce_scratch_new(const struct bounce_rules *rules);
void bounce_scratch_free(struct bounce_scratch *scratch);

/* The first rule that holds, or NULL. */
const struct bounce_rule *
bounce_rules_match(const struct bounce_rules *rules,
                   struct bounce_scratch *scratch,
                   const struct bounce_question *question);

/*
 * All rules that hold, in order, at most `most`; returns how many there are
 * in found.
 */
size_t bounce_rules_match_all(const struct bounce_rules *rules,
                              struct bounce_scratch *scratch,
                              const struct bounce_question *question,
                              const struct bounce_rule **found, size_t most);

/* "rcpt"; and back: false when no stage has that name. */
const char *bounce_stage_name(enum bounce_stage stage);
bool bounce_stage_parse(struct text name, enum bounce_stage *stage);

#endif
