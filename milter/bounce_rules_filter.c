#include "bounce_rules_filter.h"

#include "bounce_rules_automaton.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BITS     64
#define HITS_MAX ((size_t)BOUNCE_FILTER_TEXT_MAX * BOUNCE_WORD_MAX)

/* One list of a pattern is its start, the others are clauses. */
#define SLOT_START 0
#define SLOTS      (1 + BOUNCE_CLAUSES_MAX)

/* A word as it was added. */
struct entry {
    struct bounce_word word;
    uint32_t pattern, slot;
};

/* Up to 64 patterns that need a word, or others of the same list. */
struct use {
    size_t place; /* in lists of the state */
    uint64_t patterns;
};

struct word {
    unsigned char length;
    bool is_start;
    uint32_t first_use, use_count;
};

struct pattern {
    uint32_t slots; /* a bit for each list it has */
    uint32_t first_start, start_count;
};

struct bounce_filter {
    struct entry *entries; /* until it is built */
    size_t entry_count, entry_size;
    struct pattern *patterns;
    size_t pattern_count, pattern_size;

    struct bounce_word *texts; /* of words, until it is built */
    struct word *words;        /* in their order as bytes */
    uint32_t word_count;
    struct use *uses;
    uint32_t *starts; /* words, pattern after pattern */
    size_t sets;      /* of 64 patterns each */
    uint64_t *preset; /* of lists: those that patterns do not have */
    struct bounce_automaton automaton;
};

struct hit {
    uint32_t at, next;
};

struct bounce_filter_state {
    uint32_t scan;    /* counts them */
    uint32_t *seen;   /* [word]: the scan that saw it last */
    uint32_t *last;   /* [word]: its last hit in that scan */
    struct hit *hits; /* of words that begin patterns */
    uint32_t hit_count;
    uint64_t *lists;    /* [slot][set]: patterns with a word of that list */
    uint64_t *possible; /* [set]: with a word of each list */
};

/* --- adding ------------------------------------------------------------ */

struct bounce_filter *bounce_filter_new(void)
{
    return calloc(1, sizeof(struct bounce_filter));
}

void bounce_filter_free(struct bounce_filter *filter)
{
    if (filter == NULL) {
        return;
    }
    free(filter->entries);
    free(filter->patterns);
    free(filter->texts);
    free(filter->words);
    free(filter->uses);
    free(filter->starts);
    free(filter->preset);
    bounce_automaton_clear(&filter->automaton);
    free(filter);
}

/* Room for one more in an array of *size elements; or NULL. */
static void *grown(void *array, size_t count, size_t *size, size_t element)
{
    size_t wanted = *size == 0 ? 256 : 2 * *size;
    void *larger = array;

    if (count == *size) {
        larger = reallocarray(array, wanted, element);
        *size = larger == NULL ? *size : wanted;
    }
    return larger;
}

static bool add_list(struct bounce_filter *filter,
                     const struct bounce_words *words, uint32_t slot)
{
    filter->patterns[filter->pattern_count].slots |= UINT32_C(1) << slot;
    for (size_t i = 0; i < words->count; i++) {
        struct entry *entries = grown(filter->entries, filter->entry_count,
                                      &filter->entry_size, sizeof *entries);

        if (entries == NULL) {
            return false;
        }
        filter->entries = entries;
        entries[filter->entry_count++] = (struct entry){
            words->words[i], (uint32_t)filter->pattern_count, slot};
    }
    return true;
}

bool bounce_filter_add(struct bounce_filter *filter,
                       const struct bounce_branch *branch)
{
    struct pattern *patterns = grown(filter->patterns, filter->pattern_count,
                                     &filter->pattern_size, sizeof *patterns);

    if (patterns == NULL) {
        return false;
    }
    filter->patterns = patterns;
    patterns[filter->pattern_count] = (struct pattern){0};
    if (branch != NULL) {
        if (branch->start != NULL &&
            !add_list(filter, branch->start, SLOT_START)) {
            return false;
        }
        for (size_t i = 0; i < branch->clause_count; i++) {
            if (!add_list(filter, branch->clauses[i], (uint32_t)i + 1)) {
                return false;
            }
        }
    }
    filter->pattern_count++;
    return true;
}

/* --- building: words and their uses ------------------------------------ */

static int compare_words(const struct bounce_word *one,
                         const struct bounce_word *other)
{
    unsigned char length =
        one->length < other->length ? one->length : other->length;
    int order = memcmp(one->bytes, other->bytes, length);

    return order != 0 ? order : one->length - other->length;
}

static int compare_entries(const void *one, const void *other)
{
    const struct entry *a = one;
    const struct entry *b = other;
    int order = compare_words(&a->word, &b->word);

    if (order != 0) {
        return order;
    }
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    return (a->pattern > b->pattern) - (a->pattern < b->pattern);
}

/* The entries are in order: equal words stand together. */
static bool build_words(struct bounce_filter *filter)
{
    uint32_t use_count = 0;

    filter->texts = calloc(filter->entry_count + 1, sizeof *filter->texts);
    filter->words = calloc(filter->entry_count + 1, sizeof *filter->words);
    filter->uses = calloc(filter->entry_count + 1, sizeof *filter->uses);
    if (filter->texts == NULL || filter->words == NULL ||
        filter->uses == NULL) {
        return false;
    }
    for (size_t i = 0; i < filter->entry_count; i++) {
        const struct entry *entry = &filter->entries[i];
        size_t place = entry->slot * filter->sets + entry->pattern / BITS;
        struct word *word = &filter->words[filter->word_count];

        if (i == 0 || compare_words(&entry[-1].word, &entry->word) != 0) {
            filter->texts[filter->word_count++] = entry->word;
            word->length = entry->word.length;
            word->first_use = use_count;
        } else {
            word--;
        }
        word->is_start = word->is_start || entry->slot == SLOT_START;
        if (word->use_count == 0 ||
            filter->uses[use_count - 1].place != place) {
            filter->uses[use_count++].place = place;
            word->use_count++;
        }
        filter->uses[use_count - 1].patterns |= UINT64_C(1)
                                                << entry->pattern % BITS;
    }
    return true;
}

/* The words that begin each pattern, and the lists it does not have. */
static bool build_patterns(struct bounce_filter *filter)
{
    uint32_t count = 0;
    uint32_t word = 0;

    filter->starts = calloc(filter->entry_count + 1, sizeof *filter->starts);
    filter->preset = calloc(SLOTS * filter->sets, sizeof *filter->preset);
    if (filter->starts == NULL || filter->preset == NULL) {
        return false;
    }
    for (size_t i = 0; i < filter->entry_count; i++) {
        filter->patterns[filter->entries[i].pattern].start_count +=
            filter->entries[i].slot == SLOT_START;
    }
    for (size_t i = 0; i < filter->pattern_count; i++) {
        struct pattern *pattern = &filter->patterns[i];

        pattern->first_start = count;
        count += pattern->start_count;
        pattern->start_count = 0;
        for (size_t slot = 0; slot < SLOTS; slot++) {
            if ((pattern->slots >> slot & 1) == 0) {
                filter->preset[slot * filter->sets + i / BITS] |= UINT64_C(1)
                                                                  << i % BITS;
            }
        }
    }
    for (size_t i = 0; i < filter->entry_count; i++) {
        const struct entry *entry = &filter->entries[i];
        struct pattern *pattern = &filter->patterns[entry->pattern];

        word += i > 0 && compare_words(&entry[-1].word, &entry->word) != 0;
        if (entry->slot == SLOT_START) {
            filter->starts[pattern->first_start + pattern->start_count++] =
                word;
        }
    }
    return true;
}

bool bounce_filter_build(struct bounce_filter *filter)
{
    filter->sets = filter->pattern_count / BITS + 1;
    if (filter->entry_count > 0) {
        qsort(filter->entries, filter->entry_count, sizeof *filter->entries,
              compare_entries);
    }
    if (!build_words(filter) || !build_patterns(filter) ||
        !bounce_automaton_build(&filter->automaton, filter->texts,
                                filter->word_count)) {
        return false;
    }
    free(filter->entries);
    filter->entries = NULL;
    free(filter->texts);
    filter->texts = NULL;
    return true;
}

/* --- state ------------------------------------------------------------- */

struct bounce_filter_state *
bounce_filter_state_new(const struct bounce_filter *filter)
{
    struct bounce_filter_state *state = calloc(1, sizeof *state);

    if (state == NULL) {
        return NULL;
    }
    state->seen = calloc(filter->word_count + 1, sizeof *state->seen);
    state->last = calloc(filter->word_count + 1, sizeof *state->last);
    state->hits = calloc(HITS_MAX, sizeof *state->hits);
    state->lists = calloc(SLOTS * filter->sets, sizeof *state->lists);
    state->possible = calloc(filter->sets, sizeof *state->possible);
    if (state->seen == NULL || state->last == NULL || state->hits == NULL ||
        state->lists == NULL || state->possible == NULL) {
        bounce_filter_state_free(state);
        return NULL;
    }
    return state;
}

void bounce_filter_state_free(struct bounce_filter_state *state)
{
    if (state == NULL) {
        return;
    }
    free(state->seen);
    free(state->last);
    free(state->hits);
    free(state->lists);
    free(state->possible);
    free(state);
}

/* --- scanning ---------------------------------------------------------- */

static void see_word(const struct bounce_filter *filter,
                     struct bounce_filter_state *state, uint32_t number,
                     size_t end)
{
    const struct word *word = &filter->words[number];

    if (state->seen[number] != state->scan) {
        const struct use *use = &filter->uses[word->first_use];

        state->seen[number] = state->scan;
        state->last[number] = BOUNCE_NONE;
        for (uint32_t i = 0; i < word->use_count; i++) {
            state->lists[use[i].place] |= use[i].patterns;
        }
    }
    if (word->is_start) {
        struct hit *hit = &state->hits[state->hit_count];

        hit->at = (uint32_t)(end - word->length);
        hit->next = state->last[number];
        state->last[number] = state->hit_count++;
    }
}

static void begin_scan(const struct bounce_filter *filter,
                       struct bounce_filter_state *state)
{
    state->hit_count = 0;
    if (++state->scan == 0) { /* after four billions of them */
        memset(state->seen, 0, filter->word_count * sizeof *state->seen);
        state->scan = 1;
    }
    memcpy(state->lists, filter->preset,
           SLOTS * filter->sets * sizeof *state->lists);
}

void bounce_filter_scan(const struct bounce_filter *filter,
                        struct bounce_filter_state *state, struct text text)
{
    size_t length = text.length < BOUNCE_FILTER_TEXT_MAX
                        ? text.length
                        : BOUNCE_FILTER_TEXT_MAX;
    const struct bounce_automaton *automaton = &filter->automaton;
    uint32_t node = 0;

    begin_scan(filter, state);
    for (size_t i = 0; i < length; i++) {
        uint32_t step = bounce_automaton_step(automaton, node,
                                              (unsigned char)text.bytes[i]);

        node = step & ~BOUNCE_HAS_WORDS;
        if (step == node) {
            continue;
        }
        for (uint32_t end = node; end != BOUNCE_NONE;
             end = automaton->ends[end].outer) {
            if (automaton->ends[end].word != BOUNCE_NONE) {
                see_word(filter, state, automaton->ends[end].word, i + 1);
            }
        }
    }
    for (size_t i = 0; i < filter->sets; i++) {
        uint64_t patterns = ~UINT64_C(0);

        for (size_t slot = 0; slot < SLOTS; slot++) {
            patterns &= state->lists[slot * filter->sets + i];
        }
        state->possible[i] = patterns;
    }
}

/* Bits below count of a set. */
static uint64_t below(size_t count)
{
    return count == 0 ? 0 : ~UINT64_C(0) >> (BITS - count);
}

size_t bounce_filter_next(const struct bounce_filter *filter,
                          const struct bounce_filter_state *state,
                          size_t pattern)
{
    size_t set = pattern / BITS;
    uint64_t left;

    if (pattern >= filter->pattern_count) {
        return BOUNCE_FILTER_NONE;
    }
    left = state->possible[set] & ~below(pattern % BITS);
    while (left == 0) {
        if (++set == filter->sets) {
            return BOUNCE_FILTER_NONE;
        }
        left = state->possible[set];
    }
    pattern = set * BITS + (size_t)__builtin_ctzll(left);
    return pattern < filter->pattern_count ? pattern : BOUNCE_FILTER_NONE;
}

/* --- places ------------------------------------------------------------ */

static bool find_place(const struct bounce_filter *filter,
                       const struct bounce_filter_state *state,
                       const struct pattern *pattern,
                       struct bounce_filter_place *place)
{
    for (; place->word < pattern->start_count; place->word++) {
        uint32_t word = filter->starts[pattern->first_start + place->word];

        if (state->seen[word] == state->scan) {
            place->hit = state->last[word];
            place->at = state->hits[place->hit].at;
            return true;
        }
    }
    return false;
}

bool bounce_filter_first(const struct bounce_filter *filter,
                         const struct bounce_filter_state *state,
                         size_t pattern, struct bounce_filter_place *place)
{
    *place = (struct bounce_filter_place){0};
    return find_place(filter, state, &filter->patterns[pattern], place);
}

bool bounce_filter_more(const struct bounce_filter *filter,
                        const struct bounce_filter_state *state, size_t pattern,
                        struct bounce_filter_place *place)
{
    uint32_t next = state->hits[place->hit].next;

    if (next != BOUNCE_NONE) {
        place->hit = next;
        place->at = state->hits[next].at;
        return true;
    }
    place->word++;
    return find_place(filter, state, &filter->patterns[pattern], place);
}
