/*
 * bounce_rules_list.h - lists of words, of which a text has at least one
 *
 * For bounce_rules_words.h, which makes them from patterns: a list has no word
 * twice, and of a long word its first bytes.
 *
 * Owner    a pool owns its lists; they are all given back at once, by setting
 *          used to 0.
 * Threads  any, but a pool has one user at a time.
 */
#ifndef NIXIE_BOUNCE_RULES_LIST_H
#define NIXIE_BOUNCE_RULES_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define BOUNCE_WORD_MAX  12  /* bytes */
#define BOUNCE_WORD_MIN  2   /* shorter ones are everywhere */
#define BOUNCE_WORDS_MAX 128 /* of a list */
#define BOUNCE_POOL_SIZE 512 /* lists: of one pattern */

struct bounce_word {
    unsigned char length;
    bool cut; /* there was more */
    char bytes[BOUNCE_WORD_MAX];
};

struct bounce_words {
    size_t count;
    struct bounce_word words[BOUNCE_WORDS_MAX];
};

struct bounce_pool {
    size_t used;
    bool exhausted; /* what was made since is of no use */
    struct bounce_words lists[BOUNCE_POOL_SIZE];
};

/* Without a word; with the empty word. */
struct bounce_words *bounce_words_new(struct bounce_pool *pool);
struct bounce_words *bounce_words_of_empty(struct bounce_pool *pool);

/* Puts bytes behind a word, unless it is cut. */
void bounce_word_extend(struct bounce_word *word, const char *bytes,
                        size_t length);

/* False when there is no room. */
bool bounce_words_add(struct bounce_words *words,
                      const struct bounce_word *word);
bool bounce_words_add_all(struct bounce_words *words,
                          const struct bounce_words *more);

/* Each of the one followed by each of the other; NULL: too many. */
struct bounce_words *bounce_words_cross(struct bounce_pool *pool,
                                        const struct bounce_words *one,
                                        const struct bounce_words *other);

/* Bytes of the shortest word; 0 for a list without words. */
size_t bounce_words_shortest(const struct bounce_words *words);

/* How much a list, or NULL, narrows a search; 0: not at all. */
size_t bounce_words_worth(const struct bounce_words *words);

/* A word that has another one in it, or in front of it, says no more: goes. */
void bounce_words_reduce(struct bounce_words *words, bool in_front);

#endif
