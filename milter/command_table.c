#include "command_table.h"

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80
#define WIDTH_LEAST   40
#define CELL_SIZE     24

int command_table_width(void)
{
    struct winsize size;

    if (isatty(STDOUT_FILENO) != 1 ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return WIDTH_DEFAULT;
    }
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

static int digits_of(int64_t number)
{
    char text[CELL_SIZE];

    return snprintf(text, sizeof text, "%lld", (long long)number);
}

static const char *title_of(const struct command_column *column, bool is_narrow)
{
    return is_narrow ? column->narrow : column->title;
}

/* Of a column with the blank before it. */
static int width_of(const struct command_column *column, bool is_narrow)
{
    int width = (int)strlen(title_of(column, is_narrow));

    if (column->is_percent && width < (int)strlen("99.9 %")) {
        width = (int)strlen("99.9 %");
    }
    if (!is_narrow && width < COMMAND_TABLE_WIDE) {
        width = COMMAND_TABLE_WIDE;
    }
    return 1 + (column->digits > width ? column->digits : width);
}

static int sum_of(const struct command_table *table, bool is_narrow)
{
    int sum = table->name_width;

    for (size_t i = 0; i < table->count; i++) {
        if (!table->columns[i].left_out) {
            sum += width_of(&table->columns[i], is_narrow);
        }
    }
    return sum;
}

void command_table_add(struct command_table *table, size_t column,
                       int64_t number)
{
    struct command_column *of = &table->columns[column];
    int digits = digits_of(number);

    if (digits > of->digits) {
        of->digits = digits;
    }
    of->has_number = of->has_number || number != 0;
}

int command_table_sum(const struct command_table *table)
{
    return sum_of(table, table->is_narrow);
}

void command_table_fit(struct command_table *table, int width)
{
    table->is_narrow = sum_of(table, false) > width;
    for (size_t i = 0; i < table->count; i++) {
        table->columns[i].left_out = false;
    }
    /* what says nothing goes first; then the right, which says least */
    for (size_t i = table->count;
         table->is_narrow && i > 1 && sum_of(table, true) > width; i--) {
        table->columns[i - 1].left_out = !table->columns[i - 1].has_number;
    }
    for (size_t i = table->count;
         table->is_narrow && i > 1 && sum_of(table, true) > width; i--) {
        table->columns[i - 1].left_out = true;
    }
}

void command_table_name(const struct command_table *table, struct text name)
{
    command_put(name);
    for (size_t i = name.length; i < (size_t)table->name_width; i++) {
        (void)fputc(' ', stdout);
    }
}

static void put(const struct command_table *table, size_t column,
                const char *cell)
{
    if (!table->columns[column].left_out) {
        (void)printf("%*s", width_of(&table->columns[column], table->is_narrow),
                     cell);
    }
}

void command_table_number(const struct command_table *table, size_t column,
                          int64_t number)
{
    char cell[CELL_SIZE];

    (void)snprintf(cell, sizeof cell, "%lld", (long long)number);
    put(table, column, cell);
}

void command_table_percent(const struct command_table *table, size_t column,
                           int64_t part, int64_t whole)
{
    char cell[CELL_SIZE] = "-";

    if (whole > 0) {
        const double percent = 100.0 * (double)part / (double)whole;

        (void)snprintf(cell, sizeof cell, "%.*f %%",
                       table->is_narrow && percent > 99.9 ? 0 : 1, percent);
    }
    put(table, column, cell);
}

void command_table_blank(const struct command_table *table, size_t column)
{
    put(table, column, "");
}

void command_table_head(const struct command_table *table, const char *name)
{
    command_table_name(table, text_of(name));
    for (size_t i = 0; i < table->count; i++) {
        put(table, i, title_of(&table->columns[i], table->is_narrow));
    }
}

void command_table_titles(const struct command_table *table, const char *name)
{
    command_table_head(table, name);
    (void)fputc('\n', stdout);
}

void command_table_end(const struct command_table *table)
{
    const char *before = "\nLeft out, as the terminal is narrow: ";

    for (size_t i = 0; i < table->count; i++) {
        if (table->columns[i].left_out && table->columns[i].has_number) {
            (void)printf("%s%s", before, table->columns[i].title);
            before = ", ";
        }
    }
    if (before[0] == ',') {
        (void)puts(";\n--json has all.");
    }
}
