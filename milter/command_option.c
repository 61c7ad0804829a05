#include "command_option.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS     80
#define HELP_COLUMN 27 /* where the text about an option begins */

size_t command_option_count(const struct command_option *rows)
{
    size_t count = 0;

    while (rows[count].name != NULL) {
        count++;
    }
    return count;
}

static void add_rows(const struct command_option *rows,
                     struct command_option_table *table, size_t *count,
                     size_t *used)
{
    for (; rows->name != NULL && *count < COMMAND_OPTION_TABLE; rows++) {
        table->options[*count] = (struct option){
            rows->name,
            rows->argument == NULL ? no_argument : required_argument, NULL,
            COMMAND_OPTION_LONG + (int)*count};
        (*count)++;
        if (rows->letter == 0) {
            continue;
        }
        table->options[*count - 1].val = rows->letter;
        table->letters[(*used)++] = rows->letter;
        if (rows->argument != NULL) {
            table->letters[(*used)++] = ':';
        }
    }
}

void command_option_make(const char *prefix, const struct command_option *rows,
                         const struct command_option *more,
                         struct command_option_table *table)
{
    size_t used = strlen(prefix);
    size_t count = 0;

    *table = (struct command_option_table){0};
    memcpy(table->letters, prefix, used);
    add_rows(rows, table, &count, &used);
    if (more != NULL) {
        add_rows(more, table, &count, &used);
    }
}

int command_option_row(const struct command_option_table *table, int found)
{
    for (int i = 0; table->options[i].name != NULL; i++) {
        if (table->options[i].val == found) {
            return i;
        }
    }
    return -1;
}

/* --- help -------------------------------------------------------------- */

void command_option_wrap(const char *text, size_t column, size_t indent)
{
    const char *gap = ""; /* before the next word */

    while (*text != '\0') {
        size_t length = strcspn(text, " \n");

        if (column + strlen(gap) + length > COLUMNS) {
            (void)printf("\n%*s", (int)indent, "");
            column = indent;
            gap = "";
        }
        (void)printf("%s%.*s", gap, (int)length, text);
        column += strlen(gap) + length;
        text += length;
        gap = " ";
        if (strncmp(text, "\n\n", 2) == 0) {
            (void)printf("\n\n%*s", (int)indent, "");
            column = indent;
            gap = "";
        }
        text += strspn(text, " \n");
    }
    (void)putchar('\n');
}

static void print_row(const struct command_option *row)
{
    char letter[] = "    ";
    int width;

    if (row->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    width = printf("  %.4s--%s%s%s", letter, row->name,
                   row->argument == NULL ? "" : " ",
                   row->argument == NULL ? "" : row->argument);
    if (width < 0) {
        return; /* standard output is at its end, which is told elsewhere */
    }
    if (width >= HELP_COLUMN) {
        (void)putchar('\n');
        width = 0;
    }
    (void)printf("%*s", HELP_COLUMN - width, "");
    command_option_wrap(row->help, HELP_COLUMN, HELP_COLUMN);
}

void command_option_print(const struct command_option *rows)
{
    for (; rows->name != NULL; rows++) {
        print_row(rows);
    }
}
