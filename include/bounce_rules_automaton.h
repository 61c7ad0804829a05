/*
 * bounce_rules_automaton.h - all of many words in one pass over a text
 *
 * Aho and Corasick, 1975: a node is what was read last, as far as words begin
 * with it. Used by bounce_rules_filter.c alone; what reads a byte is inline,
 * as it is done for each byte of each reply.
 *
 * Owner    the automaton is the caller's, its arrays are its own.
 * Threads  once built it is read-only and shared.
 */
#ifndef NIXIE_BOUNCE_RULES_AUTOMATON_H
#define NIXIE_BOUNCE_RULES_AUTOMATON_H

#include "bounce_rules_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOUNCE_NONE      UINT32_MAX
#define BOUNCE_HAS_WORDS (UINT32_C(1) << 31) /* in a step: words end there */

/*
 * Children of a node are in cells from base on, at the class of their byte; a
 * cell belongs to whom its parent says, as children of many nodes lie between
 * each other.
 */
struct bounce_node {
    uint32_t base;
    uint32_t fail; /* the node of the longest other end of what was read */
};

struct bounce_cell {
    uint32_t parent; /* BOUNCE_NONE: it is nobody's */
    uint32_t child;  /* a node and BOUNCE_HAS_WORDS */
};

/* The words that end in a node. */
struct bounce_end {
    uint32_t word;  /* its place among the words; BOUNCE_NONE: none */
    uint32_t outer; /* a node where a shorter one ends; BOUNCE_NONE */
};

struct bounce_automaton {
    struct bounce_end *ends;   /* [node] */
    struct bounce_node *nodes; /* [node]; 0 is the root */
    struct bounce_cell *cells;
    size_t cell_count;
    uint32_t *first_steps; /* [class]: of the root, which has no others */
    uint32_t node_count;
    unsigned class_count;
    unsigned char classes[256]; /* 0: bytes of no word */
};

/* Of words that differ. False: no memory; to be cleared all the same. */
bool bounce_automaton_build(struct bounce_automaton *automaton,
                            const struct bounce_word *words, uint32_t count);

/* Frees what it has, not itself. */
void bounce_automaton_clear(struct bounce_automaton *automaton);

/* As bounce_automaton_step(), by the class of a byte. */
static inline uint32_t
bounce_automaton_step_class(const struct bounce_automaton *automaton,
                            uint32_t node, unsigned class)
{
    while (node != 0) {
        const struct bounce_cell *cell =
            &automaton->cells[automaton->nodes[node].base + class];

        if (cell->parent == node) {
            return cell->child;
        }
        node = automaton->nodes[node].fail;
    }
    return automaton->first_steps[class];
}

/* The node behind a byte, and BOUNCE_HAS_WORDS. */
static inline uint32_t
bounce_automaton_step(const struct bounce_automaton *automaton, uint32_t node,
                      unsigned char byte)
{
    return bounce_automaton_step_class(automaton, node,
                                       automaton->classes[byte]);
}

#endif
