#include "text_near.h"

#include <stdio.h>

#define WORD_MAX 32 /* of ours; what is longer is near to none */

static unsigned least(unsigned one, unsigned other)
{
    return one < other ? one : other;
}

/* Letters added, left out, exchanged, or two in each other's place. */
static unsigned distance_of(struct text one, struct text other)
{
    unsigned rows[3][WORD_MAX + 1] = {{0}};

    for (unsigned j = 0; j <= other.length; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= one.length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3];
        const unsigned *before = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= other.length; j++) {
            unsigned same = one.bytes[i - 1] == other.bytes[j - 1] ? 0 : 1;

            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + same);
            if (i > 1 && j > 1 && one.bytes[i - 1] == other.bytes[j - 2] &&
                one.bytes[i - 2] == other.bytes[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
    }
    return rows[one.length % 3][other.length];
}

/* "supp" is the beginning of a word, whatever follows. */
static bool begins(struct text typed, struct text word)
{
    return typed.length >= 2 && typed.length < word.length &&
           memcmp(typed.bytes, word.bytes, typed.length) == 0;
}

struct text_near text_near_new(struct text typed)
{
    return (struct text_near){typed, {NULL, 0}, 0};
}

void text_near_offer(struct text_near *near, struct text word)
{
    /* a slip in a short word, a few in a long one */
    unsigned most = 1U + (unsigned)(near->typed.length / 5);
    unsigned distance;

    if (near->typed.length > WORD_MAX || word.length > WORD_MAX) {
        return;
    }
    distance = begins(near->typed, word) ? 1 : distance_of(near->typed, word);
    if (distance <= most && distance < word.length &&
        distance < near->typed.length &&
        (near->best.bytes == NULL || distance < near->distance)) {
        near->best = word;
        near->distance = distance;
    }
}

const char *text_near_ask(const struct text_near *near,
                          char question[TEXT_NEAR_SIZE])
{
    question[0] = '\0';
    if (near->best.bytes != NULL) {
        (void)snprintf(question, TEXT_NEAR_SIZE, "; did you mean \"%.*s\"?",
                       (int)near->best.length, near->best.bytes);
    }
    return question;
}
