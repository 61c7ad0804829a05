#include "command_option.h"
#include "shown.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_SIZE 4096

static const struct command_option rows[] = {
    {"note", 'n', "TEXT", "a text"},
    {"observe", 0, NULL, "a switch"},
    {"an-option-of-many-letters", 'a', "ARGUMENT", "beside which nothing fits"},
    {NULL, 0, NULL, NULL},
};
static const struct command_option more[] = {
    {"json", 0, NULL, "JSON"},
    {"help", 'h', NULL, "this"},
    {NULL, 0, NULL, NULL},
};

static char output[OUTPUT_SIZE];

/* What show() prints to standard output. */
static const char *shown(void (*show)(const void *), const void *argument)
{
    struct shown shown_here;

    shown_begin(&shown_here);
    show(argument);
    shown_end(&shown_here, output, sizeof output);
    return output;
}

static void show_rows(const void *argument)
{
    command_option_print(argument);
}

static void show_text(const void *argument)
{
    command_option_wrap(argument, 0, 2);
}

static void both_tables_are_numbered_through(void **state)
{
    struct command_option_table table;

    (void)state;
    command_option_make("+:", rows, more, &table);
    assert_string_equal(table.letters, "+:n:a:h");
    assert_string_equal(table.options[4].name, "help");
    assert_null(table.options[5].name);
    assert_int_equal(table.options[0].has_arg, required_argument);
    assert_int_equal(table.options[1].has_arg, no_argument);
    assert_int_equal(command_option_row(&table, 'n'), 0);
    assert_int_equal(command_option_row(&table, table.options[1].val), 1);
    assert_int_equal(command_option_row(&table, table.options[3].val), 3);
    assert_int_equal(command_option_row(&table, 'h'), 4);
    assert_int_equal(command_option_row(&table, '?'), -1);
    assert_int_equal(command_option_row(&table, ':'), -1);
}

static void options_stand_in_columns(void **state)
{
    (void)state;
    assert_string_equal(shown(show_rows, rows),
                        "  -n, --note TEXT          a text\n"
                        "      --observe            a switch\n"
                        "  -a, --an-option-of-many-letters ARGUMENT\n"
                        "                           beside which nothing "
                        "fits\n");
}

static void text_is_wrapped_at_eighty_columns(void **state)
{
    static const struct row {
        const char *title;
        const char *text;
        const char *expected;
    } texts[] = {
        {"nothing", "", "\n"},
        {"newlines are blanks", "a\nb  c\n", "a b c\n"},
        {"paragraphs stay", "a\n\nb", "a\n\n  b\n"},
        {"80 letters fit",
         "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff "
         "ggggggggg hhhhhhhhhh i",
         "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff "
         "ggggggggg hhhhhhhhhh\n  i\n"},
        {"81 do not",
         "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff "
         "ggggggggg hhhhhhhhhhh",
         "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff "
         "ggggggggg\n  hhhhhhhhhhh\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(shown(show_text, texts[i].text), texts[i].expected) != 0) {
            fail_msg("%s: \"%s\"", texts[i].title, output);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_tables_are_numbered_through),
        cmocka_unit_test(options_stand_in_columns),
        cmocka_unit_test(text_is_wrapped_at_eighty_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
