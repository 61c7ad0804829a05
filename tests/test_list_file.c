#include "list_column.h"
#include "list_entry.h"
#include "list_file.h"
#include "list_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHOWN_MAX 2000

/* "2:a|b;3:!fault;" of all rows; of JSON name=value. */
static void show_row(const struct list_row *row, char shown[SHOWN_MAX])
{
    size_t used = strlen(shown);

    used += (size_t)snprintf(shown + used, SHOWN_MAX - used,
                             "%llu:", (unsigned long long)row->line);
    if (row->fault != NULL) {
        used += (size_t)snprintf(shown + used, SHOWN_MAX - used, "!%.12s",
                                 row->fault);
    }
    for (size_t i = 0; i < row->count && row->fault == NULL; i++) {
        used += (size_t)snprintf(
            shown + used, SHOWN_MAX - used, "%s%.*s%s%.*s", i > 0 ? "|" : "",
            (int)row->names[i].length,
            row->names[i].bytes == NULL ? "" : row->names[i].bytes,
            row->names[i].bytes == NULL ? "" : "=", (int)row->values[i].length,
            row->values[i].bytes == NULL ? "" : row->values[i].bytes);
    }
    (void)snprintf(shown + used, SHOWN_MAX - used, ";");
}

static void show_file(const char *bytes, size_t length, char shown[SHOWN_MAX])
{
    FILE *holds = tmpfile();
    struct list_file *file;
    struct list_row row;
    struct error error = {""};

    assert_non_null(holds);
    assert_int_equal(fwrite(bytes, 1, length, holds), length);
    assert_int_equal(fflush(holds), 0);
    assert_int_equal(lseek(fileno(holds), 0, SEEK_SET), 0);
    file = list_file_new(fileno(holds), LIST_FORM_ANY);
    assert_non_null(file);
    shown[0] = '\0';
    while (list_file_next(file, &row, &error) == LIST_FILE_ROW) {
        show_row(&row, shown);
    }
    assert_string_equal(error.text, "");
    assert_int_equal(list_file_offset(file), length);
    list_file_free(file);
    (void)fclose(holds);
}

static const struct file_row {
    const char *name, *bytes, *shown;
} file_rows[] = {
    {"lf", "a,b\nc,d\n", "1:a|b;2:c|d;"},
    {"crlf, no end of the last line", "a,b\r\nc,d", "1:a|b;2:c|d;"},
    {"a byte order mark",
     "\xef\xbb\xbf"
     "a,b\n",
     "1:a|b;"},
    {"semicolons", "a;b\n1;2,3\n", "1:a|b;2:1|2,3;"},
    {"semicolons win by number", "a;b;c,d\n", "1:a|b|c,d;"},
    {"tabs", "a\tb\nc\td\n", "1:a|b;2:c|d;"},
    {"quotes", "\"a,b\",\"c \"\"d\"\"\"\n", "1:a,b|c \"d\";"},
    {"a line end in quotes", "a,\"b\r\nc\"\nd,e\n", "1:a|b\r\nc;3:d|e;"},
    {"a quote in a bare field", "a\"b,c\n", "1:a\"b|c;"},
    {"empty fields", ",\n\"\",\n", "1:|;2:|;"},
    {"blank lines", "\n\na\n\n\nb\n", "3:a;6:b;"},
    {"an open quote costs its line alone", "a\n\"b,c\nd\n",
     "1:a;2:!a quote is o;3:d;"},
    {"text behind a quote", "a\n\"b\"c\nd\n", "1:a;2:!text stands ;3:d;"},
    {"nothing", "", ""},
    {"a lone return", "a\rb,c\n", "1:a\rb|c;"},
    {"JSON Lines", "{\"a\":\"b\",\"n\":3}\n{\"a\":null}\n", "1:a=b|n=3;2:a=;"},
    {"a line that is none", "{\"a\":\"b\"}\n{\"a\n{\"a\":\"c\"}\n",
     "1:a=b;2:!this is no J;3:a=c;"},
    {"exact bytes beside", "{\"a\":\"x\",\"a_base64\":\"/w==\"}\n",
     "1:a=\xff|a_base64=/w==;"},
    {"an array", "[\n{\"a\":1},\n{\"a\":2}\n]\n", "2:a=1;3:a=2;"},
    {"an array in an object",
     "{\"total\": 2, \"none\": [], \"results\": [{\"a\": \"[{\"},\n"
     "{\"a\": \"}\", \"b\": {\"c\": 1}}], \"links\": [{\"a\": 9}]}",
     "1:a=[{;2:a=}|b=;"},
    {"objects over lines", "{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n",
     "1:a=1;4:a=2;"},
    {"an object that does not end", "[{\"a\":1},\n{\"a\":",
     "1:a=1;2:!the file "
     "end;"},
};

static void list_file_gives_the_rows_that_are_there(void **state)
{
    char shown[SHOWN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof file_rows / sizeof file_rows[0]; i++) {
        show_file(file_rows[i].bytes, strlen(file_rows[i].bytes), shown);
        if (strcmp(shown, file_rows[i].shown) != 0) {
            fail_msg("%s: %s, not %s", file_rows[i].name, shown,
                     file_rows[i].shown);
        }
    }
}

/* Rows at all places of the buffer, and one that is too long. */
static void list_file_passes_over_a_row_that_is_too_long(void **state)
{
    const size_t size = 1000000;
    char *bytes = malloc(size);
    char shown[SHOWN_MAX];
    size_t length = 0;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 3; i++) {
        length += (size_t)snprintf(bytes + length, size - length, "a%zu,", i);
        memset(bytes + length, 'x', i == 1 ? 300000 : 100);
        length += i == 1 ? 300000 : 100;
        bytes[length++] = '\n';
    }
    show_file(bytes, length, shown);
    assert_non_null(strstr(shown, "2:!the row is l;3:a2|"));
    bytes[0] = '[';
    length = 1;
    for (size_t i = 0; i < 20000; i++) {
        length += (size_t)snprintf(bytes + length, size - length,
                                   "{\"n\":%zu,\"a\":\"bcd\"},\n", i);
    }
    bytes[length - 2] = ']';
    {
        FILE *holds = tmpfile();
        struct list_file *file;
        struct list_row row;
        struct error error = {""};
        size_t count = 0;

        assert_non_null(holds);
        assert_int_equal(fwrite(bytes, 1, length, holds), length);
        (void)fflush(holds);
        (void)lseek(fileno(holds), 0, SEEK_SET);
        file = list_file_new(fileno(holds), LIST_FORM_ANY);
        while (list_file_next(file, &row, &error) == LIST_FILE_ROW) {
            assert_null(row.fault);
            count++;
            assert_int_equal(row.line, count);
        }
        assert_int_equal(count, 20000);
        list_file_free(file);
        (void)fclose(holds);
    }
    free(bytes);
}

static const struct time_row {
    const char *text;
    int64_t seconds; /* -1: it is none */
} time_rows[] = {
    {"2026-12-24T18:00:00Z", 1798135200},
    {"2026-12-24T18:00:00.000Z", 1798135200},
    {"2026-12-24T19:00:00+01:00", 1798135200},
    {"2026-12-24T19:00:00+0100", 1798135200},
    {"2026-12-24 18:00:00", 1798135200},
    {"2026-12-24 18:00:00 UTC", 1798135200},
    {"2026-12-24 18:00:00.5", 1798135200},
    {"2026-12-24T18:00:00", 1798135200},
    {"2026-12-24", 1798070400},
    {"1798135200", 1798135200},
    {"1798135200.000000", 1798135200},
    {"1798135200000", 1798135200},
    {"Thu, 24 Dec 2026 18:00:00 UTC", 1798135200},
    {"Thu, 24 Dec 2026 19:00:00 +0100", 1798135200},
    {"", -1},
    {"yesterday", -1},
    {"2026-13-24", -1},
    {"12345678901234567890", -1},
    {"1798135200x", -1},
};

static void list_time_takes_what_services_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof time_rows / sizeof time_rows[0]; i++) {
        int64_t us = -1000000;

        if (!list_time(text_of(time_rows[i].text), &us)) {
            us = -1000000;
        }
        if (us / 1000000 != time_rows[i].seconds) {
            fail_msg("%s: %lld", time_rows[i].text, (long long)us);
        }
    }
}

static const struct preset_row {
    enum list_preset preset;
    const char *names[6];
} preset_rows[] = {
    {LIST_PRESET_NONE, {"email"}},
    {LIST_PRESET_NONE, {"pattern", "scope", "reason", "origin"}},
    {LIST_PRESET_SPARKPOST, {"recipient", "type", "source", "description"}},
    {LIST_PRESET_SES, {"Email address", "Reason", "Last update time"}},
    {LIST_PRESET_SES, {"EmailAddress", "Reason", "LastUpdateTime"}},
    {LIST_PRESET_SES, {"emailAddress", "reason"}},
    {LIST_PRESET_SENDGRID, {"status", "created", "reason", "email"}},
    {LIST_PRESET_SENDGRID, {"email", "created"}},
    {LIST_PRESET_MAILGUN, {"address", "code", "error", "created_at"}},
    {LIST_PRESET_POSTMARK,
     {"EmailAddress", "SuppressionReason", "Origin", "CreatedAt"}},
};

static void list_preset_is_told_by_the_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof preset_rows / sizeof preset_rows[0]; i++) {
        struct text names[6];
        struct list_columns columns;
        size_t count = 0;

        while (count < 6 && preset_rows[i].names[count] != NULL) {
            names[count] = text_of(preset_rows[i].names[count]);
            count++;
        }
        assert_int_equal(list_preset_told(names, count), preset_rows[i].preset);
        assert_true(
            list_columns_bind(preset_rows[i].preset, names, count, &columns));
    }
}

static void the_date_of_an_ses_row_is_found(void **state)
{
    static const char *const names[] = {
        "LastUpdateTime", "Last update time", "last_updated",
        "Last update",    "Date added",       "Added at",
        "created_at",     "Timestamp",        "date"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(list_column_member(LIST_PRESET_SES, text_of(names[i])),
                         LIST_ADDED_AT);
    }
}

static const struct cause_row {
    enum list_preset preset;
    const char *cause, *who;
    enum reason reason;
} cause_rows[] = {
    {LIST_PRESET_SPARKPOST, "Spam Complaint", "", REASON_COMPLAINT},
    {LIST_PRESET_SPARKPOST, "List Unsubscribe", "", REASON_UNSUBSCRIBE},
    {LIST_PRESET_SPARKPOST, "Bounce Rule", "", REASON_SUPPRESSED},
    {LIST_PRESET_SPARKPOST, "Something new", "", REASON_SUPPRESSED},
    {LIST_PRESET_SES, "complaint", "", REASON_COMPLAINT},
    {LIST_PRESET_SES, "BOUNCE", "", REASON_SUPPRESSED},
    {LIST_PRESET_MAILGUN, "*", "", REASON_UNSUBSCRIBE},
    {LIST_PRESET_POSTMARK, "HardBounce", "Recipient", REASON_SUPPRESSED},
    {LIST_PRESET_POSTMARK, "SpamComplaint", "Recipient", REASON_COMPLAINT},
    {LIST_PRESET_POSTMARK, "ManualSuppression", "Customer", REASON_BLOCKLISTED},
    {LIST_PRESET_POSTMARK, "ManualSuppression", "Recipient",
     REASON_UNSUBSCRIBE},
};

static void list_reason_translates_what_services_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cause_rows / sizeof cause_rows[0]; i++) {
        const struct list_cause cause = {
            cause_rows[i].preset, text_of(cause_rows[i].cause),
            text_of(cause_rows[i].who), text_of(""), text_of("")};

        assert_int_equal(list_reason_of(NULL, &cause), cause_rows[i].reason);
    }
}

static void list_reason_word_is_one_that_clients_may_see(void **state)
{
    char word[LIST_REASON_SIZE];

    (void)state;
    list_reason_word(text_of("User  Unknown!"), word);
    assert_string_equal(word, "user_unknown_");
    list_reason_word(text_of("x.y-z_1"), word);
    assert_string_equal(word, "x.y-z_1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_file_gives_the_rows_that_are_there),
        cmocka_unit_test(list_file_passes_over_a_row_that_is_too_long),
        cmocka_unit_test(list_time_takes_what_services_write),
        cmocka_unit_test(list_preset_is_told_by_the_names),
        cmocka_unit_test(the_date_of_an_ses_row_is_found),
        cmocka_unit_test(list_reason_translates_what_services_say),
        cmocka_unit_test(list_reason_word_is_one_that_clients_may_see),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
