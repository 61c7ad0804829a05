/*
 * command_option.h - the options of a program or of a subcommand, as a table
 *
 * getopt_long(3) and help go by the same rows, which end with a name of NULL.
 *
 * Threads  any: the tables are constant.
 */
#ifndef NIXIE_COMMAND_OPTION_H
#define NIXIE_COMMAND_OPTION_H

#include <getopt.h>
#include <stddef.h>

struct command_option {
    const char *name;     /* "reason": --reason */
    char letter;          /* 0: none */
    const char *argument; /* "TEXT"; NULL: takes none */
    const char *help;
};

/* What a long option is to getopt_long(3): its letter, or above them all. */
#define COMMAND_OPTION_LONG 1000

#define COMMAND_OPTION_TABLE 24 /* the most rows */

struct command_option_table {
    struct option options[COMMAND_OPTION_TABLE + 1];
    char letters[2 * COMMAND_OPTION_TABLE + 4];
};

size_t command_option_count(const struct command_option *rows);

/*
 * prefix begins the letters: "+:", say. Of two tables, of which the second may
 * be NULL, the rows are numbered through.
 */
void command_option_make(const char *prefix, const struct command_option *rows,
                         const struct command_option *more,
                         struct command_option_table *table);

/* The row that getopt_long(3) found by such a table, or -1. */
int command_option_row(const struct command_option_table *table, int found);

/* To standard output, a row a line or more, in 80 columns. */
void command_option_print(const struct command_option *rows);

/*
 * The words of text to standard output: indented, in 80 columns. The first line
 * goes on behind what is there already, at column. An empty line parts
 * paragraphs; other newlines are blanks. Ends with a newline.
 */
void command_option_wrap(const char *text, size_t column, size_t indent);

#endif
