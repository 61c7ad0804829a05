#include "delay_notice_template.h"
#include "scratch.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct delay_notice_template *parse(const char *text,
                                           struct error *error)
{
    return delay_notice_template_parse("t.txt", text_of(text), error);
}

static struct delay_notice_template *good(const char *text)
{
    struct error error = {""};
    struct delay_notice_template *template = parse(text, &error);

    if (template == NULL) {
        fail_msg("%s", error.text);
    }
    return template;
}

static void
delay_notice_template_parse_names_line_and_remedy_of_each_fault(void **state)
{
    static const struct row {
        const char *text, *error;
    } rows[] = {
        {"", "t.txt:1: the first line must be"},
        {"Hello\n\ntext\n", "t.txt:1: the first line must be"},
        {"Subject:\n\ntext\n", "t.txt:1: the first line must be"},
        {"Subject:  \n\ntext\n", "t.txt:1: the first line must be"},
        {"Subject: a", "t.txt:2: an empty line must"},
        {"Subject: a\ntext\n", "t.txt:2: an empty line must"},
        {"Subject: a\nBcc: b@c\n\ntext\n", "t.txt:2: an empty line must"},
        {"Subject: a\n\n", "t.txt:2: there is no text; write one"},
        {"Subject: a\n\n \n\n", "t.txt:4: there is no text; write one"},
        {"Subject: a\n\nx\n%{recipent}\n",
         "t.txt:4: no such placeholder: \"%{recipent}\"; write one of "
         "recipient reply attempts_left next_attempt_at expires_at "
         "first_attempt_at attempt sender node message_id"},
        {"Subject: %{}\n\nx\n", "t.txt:1: no such placeholder: \"%{}\""},
        {"Subject: a\n\n%{ reply}\n", "t.txt:3: no such placeholder"},
        {"Subject: a\n\n%{Reply}\n", "t.txt:3: no such placeholder"},
        {"Subject: a\n\nx %{reply\n}\n", "t.txt:3: \"%{\" without \"}\""},
        {"Subject: a\n\nx %{", "t.txt:3: \"%{\" without \"}\""},
        {"Subject: a\n\nx\xff\n", "t.txt:3: not UTF-8; save"},
        {"Subject: \xe1\n\nx\n", "t.txt:1: not UTF-8; save"},
        {"Subject: a\n\nx\rBcc: y\n", "t.txt:3: a control character"},
        {"Subject: a\rb\n\nx\n", "t.txt:1: a control character"},
        {"Subject: a\n\nx\n\x1b[1m\n", "t.txt:4: a control character"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};

        assert_null(parse(rows[i].text, &error));
        if (strncmp(error.text, rows[i].error, strlen(rows[i].error)) != 0) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
    }
}

static void delay_notice_template_parse_bounds_subject_and_places(void **state)
{
    GString *text = g_string_new("Subject: a\n\n");
    struct error error = {""};
    char *subject;
    (void)state;

    for (int i = 0; i < DELAY_NOTICE_PLACES_MAX; i++) {
        g_string_append(text, "%{reply}\n");
    }
    delay_notice_template_free(good(text->str));
    g_string_append(text, "%{reply}\n");
    assert_null(parse(text->str, &error));
    assert_non_null(strstr(error.text, "t.txt:67: more than 64"));
    g_string_printf(text, "Subject: %*s\n\nx\n", DELAY_NOTICE_SUBJECT_MAX, "a");
    subject = text->str;
    assert_null(parse(subject, &error));
    assert_non_null(strstr(error.text, "t.txt:1: a subject has at most 500"));
    (void)g_string_free(text, TRUE);
}

static void delay_notice_template_fill_puts_values_in_their_places(void **state)
{
    static const struct row {
        const char *text, *subject, *filled;
    } rows[] = {
        {"Subject: a\n\nb", "a", "b\n"},
        {"SUBJECT:a \r\n\r\nb\r\nc\r\n", "a", "b\nc\n"},
        {"\xef\xbb\xbfSubject: a\n\nb\n", "a", "b\n"},
        {"Subject: %{recipient}!\n\n%{sender}%{sender}", "[r]!", "[s][s]\n"},
        {"Subject: 100 %\n\n50 % {x} %%{reply} $ %s %n\n", "100 %",
         "50 % {x} %%{reply} $ %s %n\n"},
        {"Subject: a\n\n%{attempt}/%{attempts_left}\n", "a", "[a]/-\n"},
        {"Subject: a\n\n\n%{node} \xc3\xa9\n\n", "a", "\n[n] \xc3\xa9\n\n"},
    };
    /* what a value holds is not looked at again */
    const struct delay_notice_values values = {{
        [DELAY_NOTICE_RECIPIENT] = "[r]",
        [DELAY_NOTICE_SENDER] = "[s]",
        [DELAY_NOTICE_ATTEMPT] = "[a]",
        [DELAY_NOTICE_NODE] = "[n]",
        [DELAY_NOTICE_REPLY] = "{reply} $ %{sender} %s",
    }};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct delay_notice_template *template = good(rows[i].text);
        struct delay_notice_prose prose;
        const char *expected = rows[i].filled;

        delay_notice_template_fill(template, &values, &prose);
        assert_string_equal(prose.subject, rows[i].subject);
        if (strstr(rows[i].text, "%{reply}") != NULL) {
            expected = "50 % {x} %{reply} $ %{sender} %s $ %s %n\n";
        }
        assert_string_equal(prose.text, expected);
        g_free(prose.subject);
        g_free(prose.text);
        delay_notice_template_free(template);
    }
}

static void write_file(const char *folder, const char *name, size_t size)
{
    char *path = g_strdup_printf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs("Subject: a\n\n", file) >= 0);
    for (size_t i = 12; i < size; i++) {
        assert_int_equal(fputc('x', file), 'x');
    }
    assert_int_equal(fclose(file), 0);
    g_free(path);
}

static void
delay_notice_template_load_says_what_to_do_about_a_file(void **state)
{
    static const struct row {
        const char *language, *words;
    } rows[] = {
        {"en", NULL},
        {"long", "/delay.long.txt:1: longer than 16384 bytes; write it"},
        {"none", "/delay.none.txt:1: No such file or directory; write it as "
                 "nixie.conf(5) says, or change delay_notice_folder and "
                 "delay_notice_language"},
        {"folder", "/delay.folder.txt:1: no regular file; write it"},
    };
    char folder[SCRATCH_SIZE];
    char *inner;
    (void)state;

    scratch_make(folder);
    inner = g_strdup_printf("%s/delay.folder.txt", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    write_file(folder, "delay.en.txt", DELAY_NOTICE_TEMPLATE_MAX);
    write_file(folder, "delay.long.txt", DELAY_NOTICE_TEMPLATE_MAX + 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *language = g_strdup(rows[i].language);
        const struct settings settings = {.delay_notice_folder = folder,
                                          .delay_notice_language = language};
        struct error error = {""};
        struct delay_notice_template *template =
            delay_notice_template_load(&settings, &error);

        assert_int_equal(template != NULL, rows[i].words == NULL);
        if (rows[i].words != NULL && (strncmp(error.text, folder, 6) != 0 ||
                                      !strstr(error.text, rows[i].words))) {
            fail_msg("%s gave %s", rows[i].language, error.text);
        }
        delay_notice_template_free(template);
        g_free(language);
    }
    g_free(inner);
    scratch_remove(folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            delay_notice_template_parse_names_line_and_remedy_of_each_fault),
        cmocka_unit_test(delay_notice_template_parse_bounds_subject_and_places),
        cmocka_unit_test(
            delay_notice_template_fill_puts_values_in_their_places),
        cmocka_unit_test(
            delay_notice_template_load_says_what_to_do_about_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
