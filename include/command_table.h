/*
 * command_table.h - a table of numbers that fits the terminal
 *
 * Each row has a name and numbers. Where the wide form does not fit, titles
 * are shortened and columns are as wide as they must be; then those without a
 * number other than 0 go, then those on the right, which is told.
 *
 * Use      command_table_add() of every number, command_table_fit(), titles,
 *          rows, command_table_end(). All goes to standard output.
 * Owner    the columns are the caller's.
 */
#ifndef NIXIE_COMMAND_TABLE_H
#define NIXIE_COMMAND_TABLE_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_TABLE_WIDE 11 /* of a column, where there is room */

struct command_column {
    const char *title;
    const char *narrow;
    bool is_percent; /* numbers that may have some among them, too */
    /* kept here: */
    int digits;
    bool has_number;
    bool left_out;
};

struct command_table {
    int name_width;
    struct command_column *columns;
    size_t count;
    bool is_narrow;
};

/* Of the terminal; 80 where there is none. */
int command_table_width(void);

void command_table_add(struct command_table *table, size_t column,
                       int64_t number);
void command_table_fit(struct command_table *table, int width);
int command_table_sum(const struct command_table *table); /* its width now */

void command_table_titles(const struct command_table *table, const char *name);
/* Likewise, without the end of the line. */
void command_table_head(const struct command_table *table, const char *name);
void command_table_name(const struct command_table *table, struct text name);
void command_table_number(const struct command_table *table, size_t column,
                          int64_t number);
void command_table_percent(const struct command_table *table, size_t column,
                           int64_t part, int64_t whole);
void command_table_blank(const struct command_table *table, size_t column);
void command_table_end(const struct command_table *table);

#endif
