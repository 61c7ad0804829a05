/*
 * bounce_rules_file.h - a rule file, a line after the other
 *
 * For bounce_rules.h: rules as they were written, patterns not compiled yet.
 *
 * Owner    the list owns its entries; entries own their texts.
 * Errors   name file and line, and what to write instead.
 */
#ifndef NIXIE_BOUNCE_RULES_FILE_H
#define NIXIE_BOUNCE_RULES_FILE_H

#include "bounce_rules.h"
#include "bounce_rules_match.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct bounce_entry {
    struct bounce_rule rule; /* its texts are the members below */
    struct bounce_conditions conditions;
    char *id;
    char *pattern; /* NULL: none */
};

struct bounce_list {
    struct bounce_entry **entries;
    size_t count, size;
};

/*
 * Appends the rules of a file; path names it in errors and rules, and must
 * outlive them. False with error: the list has what came before it.
 */
bool bounce_rules_read(FILE *file, const char *path, struct bounce_list *list,
                       struct error *error);

void bounce_list_clear(struct bounce_list *list);

#endif
