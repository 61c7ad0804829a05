#include "session_recipient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *no_domains[] = {NULL};
static const struct settings settings = {.local_domains = no_domains};
static const struct session session = {.mta_domain = "mx.test",
                                       .settings = &settings};

static void recipient_is_refused_only_with_a_status_or_a_code(void **state)
{
    static const struct {
        struct recipient_macros macros;
        bool refused;
    } rows[] = {
        {{"error", "5.1.1", "550 5.1.1 User unknown"}, true}, /* Sendmail */
        {{"error", "4.2.0", "Mailbox busy"}, true},           /* Postfix */
        {{"error", NULL, "550 5.7.1 no"}, true},
        {{"error", NULL, NULL}, false},
        {{"error", "some.host", "a@b.test"}, false}, /* a transport's name */
        {{"error", "2.1.5", "fine"}, false},
        {{"local", "", "ann"}, false},
        {{"relay", "[192.0.2.1]", "a@b.test"}, false},
        {{NULL, NULL, NULL}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(recipient_is_refused(&rows[i].macros),
                         rows[i].refused);
    }
}

static void recipient_read_takes_the_reading_of_the_mta(void **state)
{
    static const struct {
        const char *path;
        struct recipient_macros macros;
        const char *address;   /* "" : no mailbox */
        const char *delivered; /* "" : no other */
    } rows[] = {
        {"<a@b.test>", {"relay", "h", "A@b.test"}, "a@b.test", ""},
        {"<a%b.test@mx.test>", {"relay", "h", "a@b.test"}, "a@b.test", ""},
        {"<a@b.test>", {NULL, NULL, NULL}, "a@b.test", ""},
        /* of a local recipient Sendmail tells the user alone */
        {"<ann>", {"local", "", "ann"}, "ann@mx.test", ""},
        {"<Ann@MX.test.>", {"local", "", "ann"}, "ann@mx.test", ""},
        {"<ann@[192.0.2.1]>",
         {"local", "", "ann"},
         "ann@[192.0.2.1]",
         "ann@mx.test"},
        {"<ann%mx.test@other.test>",
         {"local", "", "ann"},
         "ann%mx.test@other.test",
         "ann@mx.test"},
        {"<info@other.test>",
         {"local", "", "ann"},
         "info@other.test",
         "ann@mx.test"},
        {"<ann@other.test>", {"local", "", ""}, "ann@other.test", ""},
        /* quotes in the middle, of which other MTAs make nothing */
        {"<v\"ic\"tim@b.test>",
         {"relay", "h", "v\"ic\"tim@b.test"},
         "victim@b.test",
         ""},
        {"<\"\"victim@b.test>",
         {"relay", "h", "\"\"victim@b.test"},
         "victim@b.test",
         ""},
        {"<a\"b\\\"c\"@b.test>",
         {"relay", "h", "a\"b\\\"c\"@b.test"},
         "\"ab\\\"c\"@b.test",
         ""},
        {"<\"\"ann@mx.test>", {"local", "", "\"\"ann"}, "ann@mx.test", ""},
        {"<a\"b>", {"local", "", "a\"b"}, "", "ab@mx.test"},
        {"<@>", {NULL, NULL, NULL}, "", ""},
        {"<>", {NULL, NULL, NULL}, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox read = {"", 0, 0, "", 0};
        struct mailbox delivered = {"", 0, 0, "", 0};
        bool found = recipient_read(&session, rows[i].path, false,
                                    &rows[i].macros, &read) == MAILBOX_OK;
        bool elsewhere = recipient_read_delivered(
            &session, &rows[i].macros, found ? &read : NULL, &delivered);

        if (strcmp(found ? read.address : "", rows[i].address) != 0 ||
            strcmp(elsewhere ? delivered.address : "", rows[i].delivered) !=
                0) {
            fail_msg("%s: read as %s, delivered to %s", rows[i].path,
                     found ? read.address : "nobody",
                     elsewhere ? delivered.address : "no other");
        }
    }
}

static void recipient_read_survives_any_length(void **state)
{
    char path[3000];
    const struct recipient_macros macros = {"local", "", path};

    (void)state;
    for (size_t length = 1; length < sizeof path; length += 7) {
        struct mailbox mailbox;

        memset(path, '"', length);
        for (size_t i = 1; i < length; i += 3) {
            path[i] = i % 2 == 0 ? '\\' : 'a';
        }
        path[length] = '\0';
        (void)recipient_read_delivered(&session, &macros, NULL, &mailbox);
        path[length / 2] = '@';
        (void)recipient_read(&session, path, false, &macros, &mailbox);
        (void)recipient_read_delivered(&session, &macros, NULL, &mailbox);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipient_is_refused_only_with_a_status_or_a_code),
        cmocka_unit_test(recipient_read_takes_the_reading_of_the_mta),
        cmocka_unit_test(recipient_read_survives_any_length),
    };

    return cmocka_run_group_tests_name("session_recipient", tests, NULL, NULL);
}
