#include "maillog_folder.h"
#include "maillog_rotation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void names_of_rotated_files_are_known_and_no_others(void **state)
{
    static const struct {
        const char *base, *name;
        bool known;
    } rows[] = {
        {"mail.log", "mail.log.1", true},
        {"mail.log", "mail.log.0", true},
        {"mail.log", "mail.log.12.gz", true},
        {"mail.log", "mail.log.2.xz", true},
        {"mail.log", "mail.log.2.zst", true},
        {"mail.log", "mail.log.2.bz2", true},
        {"mail.log", "mail.log-20261121", true},
        {"mail.log", "mail.log-20261121.gz", true},
        {"mail.log", "mail.log-2026112122", true},
        {"mail.log", "mail.log.2026-11-21", true},
        {"mail.log", "mail.log-2026-11-21T22:30:00.gz", true},
        {"mail.log", "mail.log-20261121-223000", true},
        {"mail.log", "mail.log-1795212000", true},
        {"mail.log", "mail.1.log", true},
        {"mail.log", "mail-20261121.log", true},
        {"mail.log", "mail-20261121.log.gz", true},
        {"maillog", "maillog-20261121", true},
        {"maillog", "maillog.1", true},
        {"mail", "mail-20261121.xz", true},
        {"mail.log", "mail.log", false},
        {"mail.log", "mail.log.gz", false},
        {"mail.log", "mail.log.", false},
        {"mail.log", "mail.log.old", false},
        {"mail.log", "mail.log.1.bak", false},
        {"mail.log", "mail.log~", false},
        {"mail.log", "mail.log1", false},
        {"mail.log", "mail.log..1", false},
        {"mail.log", "mail.log-21112026", false}, /* no such month */
        {"mail.log", "mail.log.1234567", false},
        {"mail.log", "mail.log-123456789012345678901234", false},
        {"mail.log", "mail.err.1", false},
        {"mail.log", "mail.log", false},
        {"mail.log", "mail.err", false},
        {"mail.log", "mail.err.log", false},
        {"mail.log", "mail", false},
        {"mail", "mail.err", false},
        {"mail", "mail.err-20261121", false},
        {"mail", "mail.warn.1", false},
        {"mail", "mail.log.1", false},
        {".log", ".log", false},
        {".log", "1.log", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (maillog_rotation_knows(rows[i].base, rows[i].name) !=
            rows[i].known) {
            fail_msg("%s of %s", rows[i].name, rows[i].base);
        }
    }
}

/* The row, by what stands behind the log's name, oldest first. */
static void expect_row(const struct maillog_folder *folder, const char *row)
{
    struct maillog_rotation rotation;
    struct error error;
    char found[1024] = "";
    size_t used = 0;

    assert_true(maillog_rotation_list(folder->log, &rotation, &error));
    for (size_t i = 0; i < rotation.count; i++) {
        const struct maillog_rotation_file *file = &rotation.file[i];
        const char *name = strrchr(file->path, '/') + 1;

        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s%s",
                                 i == 0 ? "" : " ", file->odd ? "?" : "",
                                 file->current ? "current" : name);
    }
    assert_string_equal(found, row);
    maillog_rotation_free(&rotation);
}

static void files_stand_in_the_order_of_their_numbers(void **state)
{
    const struct maillog_folder *folder = *state;

    expect_row(folder, "");
    maillog_folder_append(folder, ".1", "1\n");
    maillog_folder_append(folder, ".10.gz", "10\n");
    maillog_folder_append(folder, ".2.gz", "2\n");
    maillog_folder_touch(folder, ".10.gz", 2000000000);
    expect_row(folder, "mail.log.10.gz mail.log.2.gz mail.log.1");
    maillog_folder_append(folder, "", "0\n");
    maillog_folder_append(folder, ".old", "old\n");
    expect_row(folder,
               "?mail.log.old mail.log.10.gz mail.log.2.gz mail.log.1 current");
}

#define LINE(stamp) stamp " mx postfix/qmgr[1]: 3F1A2C0B7D: removed\n"

static void
numbers_that_count_upwards_are_seen_by_what_is_in_the_files(void **state)
{
    const struct maillog_folder *folder = *state;

    /* copies: their own times tell nothing */
    maillog_folder_append(folder, ".3", LINE("2026-11-21T10:00:00+00:00"));
    maillog_folder_append(folder, ".2",
                          "torn\n" LINE("2026-11-20T10:00:00+00:00"));
    maillog_folder_append(folder, ".1", LINE("2026-11-19T10:00:00+00:00"));
    maillog_folder_append(folder, ".10", LINE("2026-11-22T10:00:00+00:00"));
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_append(folder, "", "now\n");
    expect_row(folder, "mail.log.1.gz mail.log.2 mail.log.3 mail.log.10 "
                       "current");
    maillog_folder_append(folder, ".20", ""); /* an empty one stands anywhere */
    expect_row(folder, "mail.log.1.gz mail.log.2 mail.log.3 mail.log.10 "
                       "mail.log.20 current");
}

static void stamps_without_year_tell_the_direction_too(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, ".1", LINE("Dec 30 10:00:00"));
    maillog_folder_append(folder, ".2", LINE("Dec 31 10:00:00"));
    maillog_folder_append(folder, ".3", LINE("Jan  1 10:00:00"));
    for (int i = 1; i <= 3; i++) { /* 2 January 2026 */
        maillog_folder_touch(folder,
                             i == 1   ? ".1"
                             : i == 2 ? ".2"
                                      : ".3",
                             1767312000);
    }
    expect_row(folder, "mail.log.1 mail.log.2 mail.log.3");
}

static void days_of_a_month_stand_in_the_order_of_their_stamps(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, ".28", LINE("2026-11-28T10:00:00Z"));
    maillog_folder_append(folder, ".29", LINE("2026-11-29T10:00:00Z"));
    maillog_folder_append(folder, ".30", LINE("2026-11-30T10:00:00Z"));
    maillog_folder_append(folder, ".01", LINE("2026-12-01T10:00:00Z"));
    maillog_folder_append(folder, ".02", LINE("2026-12-02T10:00:00Z"));
    expect_row(folder, "mail.log.28 mail.log.29 mail.log.30 mail.log.01 "
                       "mail.log.02");
}

static void a_clock_set_back_turns_no_row_round(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, ".2", LINE("Oct 25 02:50:00"));
    maillog_folder_append(folder, ".1", LINE("Oct 25 02:10:00"));
    maillog_folder_touch(folder, ".2", 1792892400);
    maillog_folder_touch(folder, ".1", 1792893600);
    expect_row(folder, "mail.log.2 mail.log.1");
}

static void numbers_that_count_downwards_stay_whatever_their_times(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, ".1", LINE("2026-11-22T10:00:00Z"));
    maillog_folder_append(folder, ".2", LINE("2026-11-21T10:00:00Z"));
    maillog_folder_append(folder, ".3", "no stamp\n");
    maillog_folder_touch(folder, ".2", 2000000000);
    maillog_folder_touch(folder, ".3", 2000000001);
    expect_row(folder, "mail.log.3 mail.log.2 mail.log.1");
}

static void files_stand_in_the_order_of_their_dates(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, "", "now\n");
    maillog_folder_append(folder, "-20261121", "b\n");
    maillog_folder_append(folder, "-2026112110", "c\n");
    maillog_folder_append(folder, "-20251231.xz", "a\n");
    maillog_folder_touch(folder, "-20251231.xz", 2000000000);
    expect_row(folder, "mail.log-20251231.xz mail.log-20261121 "
                       "mail.log-2026112110 current");
}

static void mixed_names_stand_in_the_order_of_their_times(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, "", "now\n");
    maillog_folder_append(folder, ".1", "a\n");
    maillog_folder_append(folder, ".2", "b\n");
    maillog_folder_append(folder, "-20261121", "c\n");
    maillog_folder_touch(folder, ".2", 1000);
    maillog_folder_touch(folder, "-20261121", 2000);
    maillog_folder_touch(folder, ".1", 3000);
    expect_row(folder, "mail.log.2 mail.log-20261121 mail.log.1 current");
}

static void what_is_being_compressed_is_seen_once(void **state)
{
    const struct maillog_folder *folder = *state;

    maillog_folder_append(folder, ".1", "a\n");
    maillog_folder_append(folder, ".1.gz", "\x1f\x8b");
    expect_row(folder, "mail.log.1");
    maillog_folder_delete(folder, ".1");
    expect_row(folder, "mail.log.1.gz");
}

static void links_count_as_what_they_lead_to_and_once(void **state)
{
    const struct maillog_folder *folder = *state;
    char link_path[256], target[256];

    maillog_folder_append(folder, ".2", "a\n");
    maillog_folder_path(folder, ".1", link_path);
    maillog_folder_path(folder, ".2", target);
    assert_int_equal(symlink(target, link_path), 0);
    expect_row(folder, "mail.log.2");
    assert_int_equal(symlink(target, folder->log), 0);
    expect_row(folder, "current");
}

static void the_log_may_be_a_link_to_a_row_elsewhere(void **state)
{
    const struct maillog_folder *folder = *state;
    void *other;
    const struct maillog_folder *target;

    assert_int_equal(maillog_folder_make(&other), 0);
    target = other;
    maillog_folder_append(target, "", "now\n");
    maillog_folder_append(target, ".1", "1\n");
    maillog_folder_append(folder, ".2", "2\n");
    assert_int_equal(symlink(target->log, folder->log), 0);
    expect_row(folder, "mail.log.2 mail.log.1 current");
    assert_int_equal(maillog_folder_remove(&other), 0);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    struct maillog_rotation rotation;
    struct error error = {""};

    (void)state;
    assert_false(
        maillog_rotation_list("/nonexistent/mail.log", &rotation, &error));
    assert_string_not_equal(error.text, "");
    assert_int_equal(rotation.count, 0);
}

int main(void)
{
#define IN_FOLDER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, maillog_folder_make,                 \
                                    maillog_folder_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_rotated_files_are_known_and_no_others),
        IN_FOLDER(files_stand_in_the_order_of_their_numbers),
        IN_FOLDER(numbers_that_count_upwards_are_seen_by_what_is_in_the_files),
        IN_FOLDER(stamps_without_year_tell_the_direction_too),
        IN_FOLDER(days_of_a_month_stand_in_the_order_of_their_stamps),
        IN_FOLDER(a_clock_set_back_turns_no_row_round),
        IN_FOLDER(numbers_that_count_downwards_stay_whatever_their_times),
        IN_FOLDER(files_stand_in_the_order_of_their_dates),
        IN_FOLDER(mixed_names_stand_in_the_order_of_their_times),
        IN_FOLDER(what_is_being_compressed_is_seen_once),
        IN_FOLDER(links_count_as_what_they_lead_to_and_once),
        IN_FOLDER(the_log_may_be_a_link_to_a_row_elsewhere),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
