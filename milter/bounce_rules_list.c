#include "bounce_rules_list.h"

#include <string.h>

struct bounce_words *bounce_words_new(struct bounce_pool *pool)
{
    struct bounce_words *words = &pool->lists[pool->used];

    if (pool->used + 1 < BOUNCE_POOL_SIZE) {
        pool->used++;
    } else {
        pool->exhausted = true; /* the last one is written over */
    }
    words->count = 0;
    return words;
}

struct bounce_words *bounce_words_of_empty(struct bounce_pool *pool)
{
    struct bounce_words *words = bounce_words_new(pool);

    words->count = 1;
    words->words[0] = (struct bounce_word){0};
    return words;
}

static bool word_is(const struct bounce_word *one,
                    const struct bounce_word *other)
{
    return one->length == other->length && one->cut == other->cut &&
           memcmp(one->bytes, other->bytes, one->length) == 0;
}

bool bounce_words_add(struct bounce_words *words,
                      const struct bounce_word *word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (word_is(&words->words[i], word)) {
            return true;
        }
    }
    if (words->count == BOUNCE_WORDS_MAX) {
        return false;
    }
    words->words[words->count++] = *word;
    return true;
}

bool bounce_words_add_all(struct bounce_words *words,
                          const struct bounce_words *more)
{
    for (size_t i = 0; i < more->count; i++) {
        if (!bounce_words_add(words, &more->words[i])) {
            return false;
        }
    }
    return true;
}

void bounce_word_extend(struct bounce_word *word, const char *bytes,
                        size_t length)
{
    size_t room = BOUNCE_WORD_MAX - word->length;

    if (word->cut) {
        return;
    }
    if (length > room) {
        word->cut = true;
        length = room;
    }
    memcpy(word->bytes + word->length, bytes, length);
    word->length = (unsigned char)(word->length + length);
}

struct bounce_words *bounce_words_cross(struct bounce_pool *pool,
                                        const struct bounce_words *one,
                                        const struct bounce_words *other)
{
    struct bounce_words *product = bounce_words_new(pool);

    for (size_t i = 0; i < one->count; i++) {
        for (size_t j = 0; j < other->count; j++) {
            struct bounce_word word = one->words[i];

            bounce_word_extend(&word, other->words[j].bytes,
                               other->words[j].length);
            word.cut = word.cut || other->words[j].cut;
            if (!bounce_words_add(product, &word)) {
                pool->used--;
                return NULL;
            }
        }
    }
    return product;
}

size_t bounce_words_shortest(const struct bounce_words *words)
{
    size_t length = BOUNCE_WORD_MAX;

    for (size_t i = 0; i < words->count; i++) {
        if (words->words[i].length < length) {
            length = words->words[i].length;
        }
    }
    return words->count == 0 ? 0 : length;
}

size_t bounce_words_worth(const struct bounce_words *words)
{
    size_t length = words == NULL ? 0 : bounce_words_shortest(words);

    return length < BOUNCE_WORD_MIN
               ? 0
               : length * 16 + BOUNCE_WORDS_MAX / words->count;
}

static bool contains(const struct bounce_word *word,
                     const struct bounce_word *part, bool at_start)
{
    for (size_t i = 0; i + part->length <= word->length; i++) {
        if (memcmp(word->bytes + i, part->bytes, part->length) == 0) {
            return true;
        }
        if (at_start) {
            break;
        }
    }
    return false;
}

void bounce_words_reduce(struct bounce_words *words, bool at_start)
{
    size_t kept = 0;

    for (size_t i = 0; i < words->count; i++) {
        bool needed = true;

        for (size_t j = 0; j < words->count && needed; j++) {
            bool is_same = words->words[i].length == words->words[j].length;

            needed = i == j ||
                     !contains(&words->words[i], &words->words[j], at_start) ||
                     (is_same && i < j);
        }
        if (needed) {
            struct bounce_word word = words->words[i];

            words->words[i] = words->words[kept];
            words->words[kept++] = word;
        }
    }
    words->count = kept;
}
