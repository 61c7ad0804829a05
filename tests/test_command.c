#include "command.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 8

static enum command_status run_nothing(const struct command_call *call)
{
    (void)call;
    return COMMAND_OK;
}

static const struct command sample = {
    .name = "sample",
    .arguments = "PATTERN...",
    .summary = "for this test",
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_nothing,
    .options = {{"note", 'n', "TEXT", "a text"},
                {"observe", 0, NULL, "a switch"}},
};

/* Output goes to a file while something runs; the descriptor to go back to. */
static int redirect(int descriptor, FILE *to)
{
    int before = fcntl(descriptor, F_DUPFD_CLOEXEC, 10);

    (void)fflush(stdout);
    assert_true(before >= 0);
    assert_true(dup2(fileno(to), descriptor) >= 0);
    return before;
}

static void restore(int descriptor, int before)
{
    (void)fflush(stdout);
    assert_true(dup2(before, descriptor) >= 0);
    assert_int_equal(close(before), 0);
}

static void command_parse_follows_the_table(void **state)
{
    static const struct row {
        const char *words[WORDS_MAX];
        enum command_status expected;
        const char *note;
        const char *observe;
        bool json;
        int arguments;
    } rows[] = {
        {{"a"}, COMMAND_OK, NULL, NULL, false, 1},
        {{"a", "b"}, COMMAND_OK, NULL, NULL, false, 2},
        {{"a", "--json"}, COMMAND_OK, NULL, NULL, true, 1},
        {{"--note", "x", "a"}, COMMAND_OK, "x", NULL, false, 1},
        {{"a", "--note=x y"}, COMMAND_OK, "x y", NULL, false, 1},
        {{"a", "-n", "x"}, COMMAND_OK, "x", NULL, false, 1},
        {{"a", "-n", ""}, COMMAND_OK, "", NULL, false, 1},
        {{"-nx", "a", "--observe"}, COMMAND_OK, "x", "", false, 1},
        {{"--", "--json"}, COMMAND_OK, NULL, NULL, false, 1},
        {{"--help"}, COMMAND_NO, NULL, NULL, false, 0},
        {{"-h"}, COMMAND_NO, NULL, NULL, false, 0},
        {{NULL}, COMMAND_FAULT, NULL, NULL, false, 0},
        {{"a", "b", "c"}, COMMAND_FAULT, NULL, NULL, false, 0},
        {{"a", "--note"}, COMMAND_FAULT, NULL, NULL, false, 0},
        {{"a", "--observe=1"}, COMMAND_FAULT, NULL, NULL, false, 0},
        {{"a", "--nonsense"}, COMMAND_FAULT, NULL, NULL, false, 0},
        {{"a", "-x"}, COMMAND_FAULT, NULL, NULL, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_call call = {.command = &sample};
        char *argv[WORDS_MAX + 2] = {strdup("sample")};
        FILE *complaints = tmpfile();
        enum command_status status;
        int argc = 1;
        int before;

        assert_non_null(complaints);
        while (rows[i].words[argc - 1] != NULL) {
            argv[argc] = strdup(rows[i].words[argc - 1]);
            argc++;
        }
        before = redirect(STDERR_FILENO, complaints);
        status = command_parse(&call, argc, argv);
        restore(STDERR_FILENO, before);
        assert_int_equal(status, rows[i].expected);
        assert_int_equal(lseek(fileno(complaints), 0, SEEK_END) > 0,
                         status == COMMAND_FAULT);
        if (status == COMMAND_OK) {
            const char *note = command_value(&call, "note");

            assert_string_equal(note == NULL ? "-" : note,
                                rows[i].note == NULL ? "-" : rows[i].note);
            assert_int_equal(command_value(&call, "observe") != NULL,
                             rows[i].observe != NULL);
            assert_int_equal(call.json, rows[i].json);
            assert_int_equal(call.argument_count, rows[i].arguments);
        }
        assert_null(command_value(&call, "unheard-of"));
        assert_int_equal(fclose(complaints), 0);
        for (int j = 0; j < argc; j++) {
            free(argv[j]);
        }
    }
}

static void command_put_lets_nothing_steer_the_terminal(void **state)
{
    static const struct row {
        const char *bytes;
        size_t length;
        const char *shown;
    } rows[] = {
        {"ann@example.org", 15, "ann@example.org"},
        {"\"a\\\"b\"@x", 8, "\"a\\\"b\"@x"},
        {"\x1b[31m", 5, "\\x1b[31m"},
        {"a\0b", 3, "a\\x00b"},
        {"\r\n\t\x7f", 4, "\\x0d\\x0a\\x09\\x7f"},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"\xff\xfe", 2, "\\xff\\xfe"},
        {"\xc3", 1, "\\xc3"},
        {"\xc2\x9b"
         "31m",
         5, "\\xc2\\x9b31m"},                   /* CSI, U+009B */
        {"\xe2\x80\xae", 3, "\\xe2\\x80\\xae"}, /* U+202E, right to left */
        {"\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8"}, /* U+2028, a line's end */
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xe2\x80\x8b", 3, "\\xe2\\x80\\x8b"}, /* U+200B, no width */
        {"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
        {"", 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FILE *output = tmpfile();
        char shown[64] = "";
        int before;

        assert_non_null(output);
        before = redirect(STDOUT_FILENO, output);
        command_put((struct text){rows[i].bytes, rows[i].length});
        restore(STDOUT_FILENO, before);
        rewind(output);
        assert_true(fread(shown, 1, sizeof shown - 1, output) < sizeof shown);
        assert_string_equal(shown, rows[i].shown);
        assert_int_equal(fclose(output), 0);
    }
}

static void command_json_set_keeps_exact_bytes_beside(void **state)
{
    json_t *object = json_object();

    (void)state;
    command_json_set(object, "good", text_of("gr\xc3\xbc\xc3\x9f"));
    command_json_set(object, "bad", (struct text){"a\xff\0", 3});
    command_json_set(object, "none", (struct text){NULL, 0});
    assert_string_equal(json_string_value(json_object_get(object, "good")),
                        "gr\xc3\xbc\xc3\x9f");
    assert_null(json_object_get(object, "good_base64"));
    assert_string_equal(json_string_value(json_object_get(object, "bad")),
                        "a\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(
        json_string_value(json_object_get(object, "bad_base64")), "Yf8A");
    assert_int_equal(json_object_size(object), 3);
    json_decref(object);
}

static void command_duration_names_two_units(void **state)
{
    static const struct row {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {0, "0s"},       {59, "59s"},      {60, "1m 0s"},    {3599, "59m 59s"},
        {3661, "1h 1m"}, {86400, "1d 0h"}, {90061, "1d 1h"}, {-1, "-1s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[COMMAND_DURATION_SIZE];

        command_duration(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

/* --- what is typed ------------------------------------------------------ */

static struct settings *defaults(void)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);

    assert_string_equal(error.text, "");
    assert_non_null(settings);
    return settings;
}

static void command_new_pattern_refuses_what_hardly_matches(void **state)
{
    static const struct row {
        const char *typed;
        const char *told; /* NULL: taken */
    } rows[] = {
        {"ann@example.org", NULL},
        {"@example.org", NULL},
        {"@.example.org", NULL},
        {"ann@", NULL},
        {"Ann <ann@example.org>", NULL},
        {"ann.@example.org", NULL}, /* there are such mailboxes */
        {"\"a@b\"@example.org", NULL},
        {"ann@[192.0.2.1]", NULL},
        {"@[192.0.2.1]", NULL},
        {"ann@192.0.2.example", NULL},
        {"ann@192.0.2.1", "brackets"},
        {"@192.0.2.1", "write ann@[192.0.2.1]"},
        {"@.192.0.2.1", "brackets"},
        {"*@example.org", "no globs"},
        {"@*.example.org", "no globs"},
        {"ann@*", "no globs"},
        {"@..example.org", "no domain"},
        {"ann@example.org:25", "no domain"},
        {"ann@@example.org", "one @"},
        {"mailto:ann@example.org", "quotes"},
        {"nixie:suppress:ann@example.org", "a key"},
        {"nixie:suppress@news:ann@example.org", "a key"},
        {"nixie:allow:@example.org", "a key"},
        {"foo", "no mailbox or pattern"},
    };
    struct settings *settings = defaults();
    const struct command_call call = {.command = &sample, .settings = settings};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox_pattern pattern;
        FILE *complaints = tmpfile();
        char told[1024] = "";
        int before;
        bool taken;

        assert_non_null(complaints);
        before = redirect(STDERR_FILENO, complaints);
        taken = command_new_pattern(&call, rows[i].typed, &pattern);
        restore(STDERR_FILENO, before);
        rewind(complaints);
        assert_true(fread(told, 1, sizeof told - 1, complaints) < sizeof told);
        if (taken != (rows[i].told == NULL) ||
            (!taken && strstr(told, rows[i].told) == NULL)) {
            fail_msg("%s: %s", rows[i].typed, told);
        }
        assert_int_equal(fclose(complaints), 0);
    }
    settings_free(settings);
}

static void command_mailbox_takes_one_mailbox_only(void **state)
{
    static const struct row {
        const char *typed;
        bool taken;
        const char *told; /* "": nothing */
    } rows[] = {
        {"ann@example.org", true, ""},
        {"ann%example.org", true, ""}, /* resolved: there is no domain */
        {"ann%example.org@example.net", true, "resolved only"},
        {"example.org!ann@example.net", true, "resolved only"},
        {"@example.org", false, "write an address"},
        {"@.example.org", false, "write an address"},
        {"ann@", false, "write an address"},
        {"ann", false, "write an address"},
        {"ann smith@example.org", false, "no mailbox"},
    };
    struct settings *settings = defaults();
    const struct command_call call = {.command = &sample, .settings = settings};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FILE *complaints = tmpfile();
        struct mailbox mailbox;
        char told[1024] = "";
        int before;
        bool taken;

        assert_non_null(complaints);
        before = redirect(STDERR_FILENO, complaints);
        taken = command_mailbox(&call, rows[i].typed, &mailbox);
        restore(STDERR_FILENO, before);
        rewind(complaints);
        assert_true(fread(told, 1, sizeof told - 1, complaints) < sizeof told);
        if (taken != rows[i].taken || strstr(told, rows[i].told) == NULL ||
            (told[0] != '\0') != (rows[i].told[0] != '\0')) {
            fail_msg("%s: %s", rows[i].typed, told);
        }
        assert_int_equal(fclose(complaints), 0);
    }
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_parse_follows_the_table),
        cmocka_unit_test(command_put_lets_nothing_steer_the_terminal),
        cmocka_unit_test(command_json_set_keeps_exact_bytes_beside),
        cmocka_unit_test(command_duration_names_two_units),
        cmocka_unit_test(command_new_pattern_refuses_what_hardly_matches),
        cmocka_unit_test(command_mailbox_takes_one_mailbox_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
