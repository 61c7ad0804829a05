#include "bounce_rules_automaton.h"

#include <stdlib.h>

#define TRIES_MAX 16 /* places for a node's children, while there is one */

/* A node while the automaton is built. */
struct draft {
    uint32_t child, sibling; /* 0: no more */
    unsigned char byte;
};

static void build_classes(struct bounce_automaton *automaton,
                          const struct bounce_word *words, uint32_t count)
{
    automaton->class_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned char j = 0; j < words[i].length; j++) {
            unsigned char *class =
                &automaton->classes[(unsigned char)words[i].bytes[j]];

            if (*class == 0) {
                *class = (unsigned char)automaton->class_count++;
            }
        }
    }
}

static uint32_t find_child(const struct draft *drafts, uint32_t node,
                           unsigned char byte)
{
    uint32_t child = drafts[node].child;

    while (child != 0 && drafts[child].byte != byte) {
        child = drafts[child].sibling;
    }
    return child;
}

static void insert_word(struct bounce_automaton *automaton,
                        struct draft *drafts, const struct bounce_word *word,
                        uint32_t number)
{
    uint32_t node = 0;

    for (unsigned char i = 0; i < word->length; i++) {
        unsigned char byte = (unsigned char)word->bytes[i];
        uint32_t child = find_child(drafts, node, byte);

        if (child == 0) {
            child = automaton->node_count++;
            drafts[child] =
                (struct draft){.sibling = drafts[node].child, .byte = byte};
            automaton->ends[child] =
                (struct bounce_end){BOUNCE_NONE, BOUNCE_NONE};
            drafts[node].child = child;
        }
        node = child;
    }
    automaton->ends[node].word = number;
}

static uint32_t mark(const struct bounce_automaton *automaton, uint32_t node)
{
    const struct bounce_end *end = &automaton->ends[node];

    return end->word != BOUNCE_NONE || end->outer != BOUNCE_NONE
               ? node | BOUNCE_HAS_WORDS
               : node;
}

/* Room for the classes of a node whose first cell is this. */
static bool grow_cells(struct bounce_automaton *automaton, size_t base,
                       size_t *size)
{
    size_t wanted = base + automaton->class_count;
    struct bounce_cell *cells = automaton->cells;

    if (wanted > *size) {
        size_t larger = 2 * wanted;

        cells = reallocarray(cells, larger, sizeof *cells);
        if (cells == NULL) {
            return false;
        }
        for (size_t i = *size; i < larger; i++) {
            cells[i] = (struct bounce_cell){BOUNCE_NONE, 0};
        }
        automaton->cells = cells;
        *size = larger;
    }
    if (wanted > automaton->cell_count) {
        automaton->cell_count = wanted;
    }
    return true;
}

static bool has_room(const struct bounce_automaton *automaton,
                     const struct draft *drafts, uint32_t node, size_t base)
{
    for (uint32_t child = drafts[node].child; child != 0;
         child = drafts[child].sibling) {
        if (automaton->cells[base + automaton->classes[drafts[child].byte]]
                .parent != BOUNCE_NONE) {
            return false;
        }
    }
    return true;
}

/* The first place where the children of a node find empty cells. */
static bool place_children(struct bounce_automaton *automaton,
                           const struct draft *drafts, uint32_t node,
                           size_t *lowest, size_t *size)
{
    size_t base = *lowest;
    unsigned tries = 0;

    if (drafts[node].child == 0) {
        return true;
    }
    do {
        if (base + automaton->class_count > *size &&
            !grow_cells(automaton, base, size)) {
            return false;
        }
    } while (!has_room(automaton, drafts, node, base) && ++tries && ++base);
    if (!grow_cells(automaton, base, size)) {
        return false;
    }
    if (tries > TRIES_MAX) {
        *lowest += tries / 2; /* what lies before is as good as full */
    }
    automaton->nodes[node].base = (uint32_t)base;
    for (uint32_t child = drafts[node].child; child != 0;
         child = drafts[child].sibling) {
        automaton->cells[base + automaton->classes[drafts[child].byte]] =
            (struct bounce_cell){node,
                                 child}; /* marked when all ends are known */
    }
    return true;
}

/* A node's children fail to where its own failure goes on with their byte. */
static void set_fails(struct bounce_automaton *automaton,
                      const struct draft *drafts, uint32_t node)
{
    for (uint32_t child = drafts[node].child; child != 0;
         child = drafts[child].sibling) {
        uint32_t fail = 0;

        if (node != 0) {
            fail = bounce_automaton_step_class(
                automaton, automaton->nodes[node].fail,
                automaton->classes[drafts[child].byte]);
        }
        automaton->nodes[child].fail = fail;
        automaton->ends[child].outer = automaton->ends[fail].word != BOUNCE_NONE
                                           ? fail
                                           : automaton->ends[fail].outer;
    }
}

/* Level by level, as a node fails to one of a level above. */
static bool build_levels(struct bounce_automaton *automaton,
                         struct draft *drafts, uint32_t *queue)
{
    uint32_t done = 0;
    uint32_t queued = 1;
    size_t lowest = 0;
    size_t size = 0;

    if (!grow_cells(automaton, 0, &size)) { /* for nodes without a child, too */
        return false;
    }
    queue[0] = 0;
    while (done < queued) {
        uint32_t node = queue[done++];

        if (node != 0 &&
            !place_children(automaton, drafts, node, &lowest, &size)) {
            return false;
        }
        for (uint32_t child = drafts[node].child; child != 0;
             child = drafts[child].sibling) {
            if (node == 0) {
                automaton->first_steps[automaton->classes[drafts[child].byte]] =
                    child;
            }
            queue[queued++] = child;
        }
        set_fails(automaton, drafts, node);
    }
    for (size_t i = 0; i < automaton->cell_count; i++) {
        if (automaton->cells[i].parent != BOUNCE_NONE) {
            automaton->cells[i].child =
                mark(automaton, automaton->cells[i].child);
        }
    }
    for (unsigned i = 0; i < automaton->class_count; i++) {
        automaton->first_steps[i] = mark(automaton, automaton->first_steps[i]);
    }
    return true;
}

/* Gives back what turned out to be too much. */
static void *fitted(void *array, size_t count, size_t element)
{
    void *smaller = reallocarray(array, count, element);

    return smaller == NULL ? array : smaller;
}

bool bounce_automaton_build(struct bounce_automaton *automaton,
                            const struct bounce_word *words, uint32_t count)
{
    size_t most = (size_t)count * BOUNCE_WORD_MAX + 1;
    struct draft *drafts = calloc(most, sizeof *drafts);
    uint32_t *queue = NULL;
    bool built = false;

    build_classes(automaton, words, count);
    automaton->ends = calloc(most, sizeof *automaton->ends);
    if (drafts == NULL || automaton->ends == NULL) {
        goto out;
    }
    automaton->node_count = 1;
    automaton->ends[0] = (struct bounce_end){BOUNCE_NONE, BOUNCE_NONE};
    for (uint32_t i = 0; i < count; i++) {
        insert_word(automaton, drafts, &words[i], i);
    }
    queue = calloc(automaton->node_count, sizeof *queue);
    automaton->nodes = calloc(automaton->node_count, sizeof *automaton->nodes);
    automaton->first_steps =
        calloc(automaton->class_count, sizeof *automaton->first_steps);
    automaton->ends =
        fitted(automaton->ends, automaton->node_count, sizeof *automaton->ends);
    if (queue != NULL && automaton->nodes != NULL &&
        automaton->first_steps != NULL) {
        built = build_levels(automaton, drafts, queue);
    }
    if (built) {
        automaton->cells = fitted(automaton->cells, automaton->cell_count,
                                  sizeof *automaton->cells);
    }
out:
    free(drafts);
    free(queue);
    return built;
}

void bounce_automaton_clear(struct bounce_automaton *automaton)
{
    free(automaton->ends);
    free(automaton->nodes);
    free(automaton->cells);
    free(automaton->first_steps);
}
