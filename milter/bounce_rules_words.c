#include "bounce_rules_words.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 30 /* groups in groups */
#define CLASS_MAX 8  /* characters of a class that are told apart */
#define KEPT_MAX  6  /* clauses on the way, of which the best are told */

/*
 * A part of a pattern. Exact: it is found where one of these words is, and
 * nothing else. Otherwise it begins with one of them, or, if there is no
 * list, with anything.
 */
struct part {
    bool exact;
    struct bounce_words *words; /* NULL: anything */
    struct bounce_words *clauses[KEPT_MAX];
    size_t clause_count;
};

struct bounce_analysis {
    const char *at;
    unsigned depth;
    bool failed; /* not understood */
    struct bounce_pool pool;
    struct bounce_branch branches[BOUNCE_BRANCHES_MAX];
};

/* --- parts ------------------------------------------------------------- */

static void keep_clause(struct part *part, struct bounce_words *words)
{
    size_t least = 0;

    if (bounce_words_worth(words) == 0) {
        return;
    }
    if (part->clause_count < KEPT_MAX) {
        part->clauses[part->clause_count++] = words;
        return;
    }
    for (size_t i = 1; i < KEPT_MAX; i++) {
        if (bounce_words_worth(part->clauses[i]) <
            bounce_words_worth(part->clauses[least])) {
            least = i;
        }
    }
    if (bounce_words_worth(words) > bounce_words_worth(part->clauses[least])) {
        part->clauses[least] = words;
    }
}

static void keep_clauses(struct part *part, const struct part *of)
{
    for (size_t i = 0; i < of->clause_count; i++) {
        keep_clause(part, of->clauses[i]);
    }
}

/* The list that narrows most, of clauses and beginning; or NULL. */
static struct bounce_words *best_of(const struct part *part)
{
    struct bounce_words *best = part->words;

    for (size_t i = 0; i < part->clause_count; i++) {
        if (bounce_words_worth(part->clauses[i]) > bounce_words_worth(best)) {
            best = part->clauses[i];
        }
    }
    return bounce_words_worth(best) > 0 ? best : NULL;
}

/* Parts that follow each other. */
struct sequence {
    struct part whole;
    struct bounce_words *words; /* that the parts since the last gap make */
    bool at_start;              /* there was no gap */
};

/* Behind the words comes something else, or too much. */
static void sequence_break(struct bounce_analysis *analysis,
                           struct sequence *sequence)
{
    if (sequence->at_start) {
        sequence->at_start = false;
        sequence->whole.words =
            bounce_words_shortest(sequence->words) >= BOUNCE_WORD_MIN
                ? sequence->words
                : NULL;
    } else {
        keep_clause(&sequence->whole, sequence->words);
    }
    sequence->words = bounce_words_of_empty(&analysis->pool);
}

static void sequence_add(struct bounce_analysis *analysis,
                         struct sequence *sequence, const struct part *part)
{
    struct bounce_words *product = NULL;

    if (part->words != NULL) {
        product =
            bounce_words_cross(&analysis->pool, sequence->words, part->words);
    }
    if (product == NULL && part->words != NULL) {
        sequence_break(analysis, sequence);
        product = part->words;
    }
    if (product != NULL) {
        sequence->words = product;
    }
    if (!part->exact) {
        sequence_break(analysis, sequence);
        keep_clauses(&sequence->whole, part);
    }
}

static struct part sequence_end(struct bounce_analysis *analysis,
                                struct sequence *sequence)
{
    if (sequence->at_start) {
        sequence->whole.exact = true;
        sequence->whole.words = sequence->words;
    } else {
        sequence_break(analysis, sequence);
    }
    return sequence->whole;
}

/* One part or the other. */
static struct part either(struct bounce_analysis *analysis,
                          const struct part *one, const struct part *other)
{
    struct part part = {.exact = one->exact && other->exact};
    struct bounce_words *best = best_of(one);
    struct bounce_words *other_best = best_of(other);

    if (one->words != NULL && other->words != NULL) {
        part.words = bounce_words_new(&analysis->pool);
        if (!bounce_words_add_all(part.words, one->words) ||
            !bounce_words_add_all(part.words, other->words)) {
            part.words = NULL;
            part.exact = false;
        }
    }
    if (best != NULL && other_best != NULL && !part.exact) {
        struct bounce_words *clause = bounce_words_new(&analysis->pool);

        if (bounce_words_add_all(clause, best) &&
            bounce_words_add_all(clause, other_best)) {
            keep_clause(&part, clause);
        }
    }
    return part;
}

/* --- syntax ------------------------------------------------------------ */

static struct part anything(void)
{
    return (struct part){0};
}

static struct part nothing(struct bounce_analysis *analysis)
{
    return (struct part){.exact = true,
                         .words = bounce_words_of_empty(&analysis->pool)};
}

static struct part fail(struct bounce_analysis *analysis)
{
    analysis->failed = true;
    return anything();
}

static bool take(struct bounce_analysis *analysis, const char *token)
{
    size_t length = strlen(token);

    if (strncmp(analysis->at, token, length) != 0) {
        return false;
    }
    analysis->at += length;
    return true;
}

static size_t character_length(const char *at)
{
    size_t length = 1;

    while (((unsigned char)at[length] & 0xc0) == 0x80) {
        length++;
    }
    return length;
}

static struct part take_character(struct bounce_analysis *analysis)
{
    struct part part = nothing(analysis);
    size_t length = character_length(analysis->at);

    bounce_word_extend(&part.words->words[0], analysis->at, length);
    analysis->at += length;
    return part;
}

/* To the brace that closes, where one opens. */
static void skip_braces(struct bounce_analysis *analysis)
{
    const char *end;

    if (*analysis->at != '{') {
        return;
    }
    end = strchr(analysis->at, '}');
    if (end == NULL) {
        analysis->failed = true;
    } else {
        analysis->at = end + 1;
    }
}

/* Behind a backslash. */
static struct part take_escape(struct bounce_analysis *analysis)
{
    static const char nowhere[] = "bBAzZ";       /* between characters */
    static const char kinds[] = "dDsSwWhHvVNRX"; /* of many */
    char byte = *analysis->at;

    if (byte == '\0') {
        return fail(analysis);
    }
    if (strchr(nowhere, byte) != NULL) {
        analysis->at++;
        return nothing(analysis);
    }
    if (strchr(kinds, byte) != NULL) {
        analysis->at++;
        if (byte == 'N') { /* \N{U+…} */
            skip_braces(analysis);
        }
        return anything();
    }
    if (byte == 'p' || byte == 'P') { /* \pL, \p{greek} */
        analysis->at++;
        if (*analysis->at != '{') {
            return fail(analysis);
        }
        skip_braces(analysis);
        return anything();
    }
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= '0' && byte <= '9')) {
        return fail(analysis);
    }
    return take_character(analysis);
}

/* The characters of a class, if they are few. */
struct class
{
    struct bounce_words *words;
    bool many;
};

/* One character of a class, a range or an escape. */
static void take_member(struct bounce_analysis *analysis, struct class *class)
{
    struct bounce_word word = {0};

    if (analysis->at[0] == '[' && strchr(":.=", analysis->at[1]) != NULL &&
        analysis->at[1] != '\0') {
        analysis->failed = true; /* [[:alpha:]] */
        return;
    }
    if (analysis->at[0] == '\\') {
        char next = analysis->at[1];

        if ((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') ||
            (next >= '0' && next <= '9')) {
            class->many = true;
            /* no more than a letter, so that a bracket is not taken for one */
            analysis->failed =
                analysis->failed || strchr("dDsSwWhHvVb", next) == NULL;
            analysis->at += 2;
            return;
        }
        analysis->at++;
    }
    if (*analysis->at == '\0') {
        analysis->failed = true;
        return;
    }
    bounce_word_extend(&word, analysis->at, character_length(analysis->at));
    analysis->at += character_length(analysis->at);
    class->many = class->many || !bounce_words_add(class->words, &word) ||
                  class->words->count > CLASS_MAX;
}

/* Behind a bracket. */
static struct part take_class(struct bounce_analysis *analysis)
{
    struct class class = {.words = bounce_words_new(&analysis->pool)};
    bool first = true;

    if (take(analysis, "^")) {
        class.many = true;
    }
    while (!analysis->failed && (first || *analysis->at != ']')) {
        first = false;
        take_member(analysis, &class);
        if (analysis->at[0] == '-' && analysis->at[1] != ']') {
            class.many = true; /* a range: its end is one more member */
            analysis->at++;
            take_member(analysis, &class);
        }
    }
    if (analysis->failed || *analysis->at != ']') {
        return fail(analysis);
    }
    analysis->at++;
    return class.many ? anything()
                      : (struct part){.exact = true, .words = class.words};
}

static struct part take_branches(struct bounce_analysis *analysis);

/* Behind a parenthesis. */
static struct part take_group(struct bounce_analysis *analysis)
{
    static const char *const looks[] = {"?=", "?!", "?<=", "?<!"};
    struct part part;
    bool looks_around = false;

    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        looks_around = looks_around || take(analysis, looks[i]);
    }
    if (!looks_around && !take(analysis, "?:") &&
        (*analysis->at == '?' || *analysis->at == '*')) {
        return fail(analysis);
    }
    if (++analysis->depth > DEPTH_MAX) {
        return fail(analysis);
    }
    part = take_branches(analysis);
    analysis->depth--;
    if (!take(analysis, ")")) {
        return fail(analysis);
    }
    return looks_around ? nothing(analysis) : part;
}

static struct part take_atom(struct bounce_analysis *analysis)
{
    switch (*analysis->at) {
    case '(':
        analysis->at++;
        return take_group(analysis);
    case '[':
        analysis->at++;
        return take_class(analysis);
    case '\\':
        analysis->at++;
        return take_escape(analysis);
    case '.':
        analysis->at++;
        return anything();
    case '^':
    case '$':
        analysis->at++;
        return nothing(analysis);
    case '*':
    case '+':
    case '?':
    case '{':
        return fail(analysis);
    default:
        return take_character(analysis);
    }
}

/* {2}, {2,}, {2,5}; what else begins with a brace is not understood. */
static bool take_braces(struct bounce_analysis *analysis, unsigned *least,
                        bool *once)
{
    const char *at = analysis->at + 1;
    size_t digits = strspn(at, "0123456789");

    if (digits == 0 || digits > 5) {
        analysis->failed = true;
        return false;
    }
    *least = strspn(at, "0") == digits ? 0 : 1;
    *once = digits == 1 && at[0] <= '1';
    at += digits;
    if (*at == ',') {
        size_t more = strspn(at + 1, "0123456789");

        *once = *once && more == 1 && at[1] == '1';
        at += 1 + more;
    } else {
        *once = *once && *least == 1;
    }
    if (*at != '}') {
        analysis->failed = true;
        return false;
    }
    analysis->at = at + 1;
    return true;
}

/* What stands behind an atom: how often it may come. */
static bool take_repeat(struct bounce_analysis *analysis, unsigned *least,
                        bool *once)
{
    *least = 0;
    *once = false;
    switch (*analysis->at) {
    case '{':
        if (!take_braces(analysis, least, once)) {
            return false;
        }
        break;
    case '?':
        *once = true;
        analysis->at++;
        break;
    case '+':
        *least = 1;
        analysis->at++;
        break;
    case '*':
        analysis->at++;
        break;
    default:
        return false;
    }
    if (*analysis->at == '?' || *analysis->at == '+') {
        analysis->at++; /* lazy or possessive: how, not whether */
    }
    return true;
}

static struct part repeat(struct bounce_analysis *analysis, struct part part,
                          unsigned least, bool once)
{
    struct bounce_words *words;

    if (least > 0) {
        part.exact = part.exact && once;
        return part;
    }
    if (!once || !part.exact) {
        return anything();
    }
    words = bounce_words_of_empty(&analysis->pool);
    if (!bounce_words_add_all(words, part.words)) {
        return anything();
    }
    part.words = words;
    return part;
}

static struct part take_sequence(struct bounce_analysis *analysis)
{
    struct sequence sequence = {.words = bounce_words_of_empty(&analysis->pool),
                                .at_start = true};

    while (!analysis->failed && *analysis->at != '\0' && *analysis->at != '|' &&
           *analysis->at != ')') {
        size_t used = analysis->pool.used;
        struct part part = take_atom(analysis);
        unsigned least;
        bool once;

        if (!analysis->failed && take_repeat(analysis, &least, &once)) {
            part = repeat(analysis, part, least, once);
        }
        if (part.exact && part.words->count == 1 && sequence.words != NULL &&
            !part.words->words[0].cut) { /* most of them: a letter */
            const struct bounce_word *word = &part.words->words[0];

            for (size_t i = 0; i < sequence.words->count; i++) {
                bounce_word_extend(&sequence.words->words[i], word->bytes,
                                   word->length);
            }
            analysis->pool.used = used;
        } else {
            sequence_add(analysis, &sequence, &part);
        }
    }
    return sequence_end(analysis, &sequence);
}

/* Of a group: the depth of calls is that of groups, which has a limit. */
static struct part take_branches(struct bounce_analysis *analysis)
{
    struct part part = take_sequence(analysis);

    while (!analysis->failed && take(analysis, "|")) {
        struct part other = take_sequence(analysis);

        part = either(analysis, &part, &other);
    }
    return part;
}

/* --- branches ---------------------------------------------------------- */

/* The best first. */
static void tell_clauses(struct part *part, struct bounce_branch *branch)
{
    while (branch->clause_count < BOUNCE_CLAUSES_MAX &&
           part->clause_count > 0) {
        size_t best = 0;

        for (size_t i = 1; i < part->clause_count; i++) {
            if (bounce_words_worth(part->clauses[i]) >
                bounce_words_worth(part->clauses[best])) {
                best = i;
            }
        }
        bounce_words_reduce(part->clauses[best], false);
        branch->clauses[branch->clause_count++] = part->clauses[best];
        part->clauses[best] = part->clauses[--part->clause_count];
    }
}

static void tell_branch(struct part *part, struct bounce_branch *branch)
{
    branch->start = NULL;
    branch->clause_count = 0;
    tell_clauses(part, branch);
    if (bounce_words_worth(part->words) > 0) {
        bounce_words_reduce(part->words, true);
        branch->start = part->words;
    }
}

struct bounce_analysis *bounce_analysis_new(void)
{
    return calloc(1, sizeof(struct bounce_analysis));
}

void bounce_analysis_free(struct bounce_analysis *analysis)
{
    free(analysis);
}

size_t bounce_analysis_run(struct bounce_analysis *analysis,
                           const char *pattern,
                           const struct bounce_branch **branches)
{
    size_t count = 0;

    analysis->at = pattern;
    analysis->depth = 0;
    analysis->failed = false;
    analysis->pool.used = 0;
    analysis->pool.exhausted = false;
    *branches = analysis->branches;
    do {
        struct bounce_branch *branch = &analysis->branches[count];
        struct part part;

        if (count++ == BOUNCE_BRANCHES_MAX) {
            return 0;
        }
        branch->begin = (size_t)(analysis->at - pattern);
        part = take_sequence(analysis);
        branch->end = (size_t)(analysis->at - pattern);
        tell_branch(&part, branch);
    } while (!analysis->failed && take(analysis, "|"));
    return analysis->failed || analysis->pool.exhausted || *analysis->at != '\0'
               ? 0
               : count;
}
