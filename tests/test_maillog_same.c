/* maillog_same: a log that has two readers */
#include "maillog_folder.h"
#include "maillog_follow.h"
#include "maillog_same.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void one_file_is_known_by_all_its_names(void **state)
{
    static const struct row {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"", "", true},
        {"", "/../%/mail.log", true},
        {"", "/./mail.log", true},
        {"", "/link", true},
        {"", "/hard", true},
        {"/link", "/hard", true},
        {"", "/other", false},
        {"", "/missing", false},
        {"/missing", "/./missing", true},
        {"/missing", "/../%/missing", true},
        {"/missing", "/missing2", false},
        {"/nowhere/missing", "/nowhere/./missing", false},
        {"/.", "/.", false}, /* no regular file */
        {"/dangling", "", false},
    };
    const struct maillog_folder *folder = *state;
    char path[256], target[256];

    maillog_folder_append(folder, "", "a\n");
    (void)snprintf(path, sizeof path, "%s/link", folder->path);
    assert_int_equal(symlink("mail.log", path), 0);
    (void)snprintf(path, sizeof path, "%s/dangling", folder->path);
    assert_int_equal(symlink("gone", path), 0);
    (void)snprintf(path, sizeof path, "%s/hard", folder->path);
    assert_int_equal(link(folder->log, path), 0);
    (void)snprintf(target, sizeof target, "%s/other", folder->path);
    assert_int_equal(link("/etc/hostname", target) == 0 ||
                         symlink("/etc/hostname", target) == 0,
                     true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *names[] = {rows[i].one, rows[i].other};
        char paths[2][512];

        for (size_t j = 0; j < 2; j++) {
            const char *percent = strchr(names[j], '%');

            (void)snprintf(
                paths[j], sizeof paths[j], "%s%.*s%s%s", folder->path,
                percent == NULL ? (int)strlen(names[j])
                                : (int)(percent - names[j]),
                names[j], percent == NULL ? "" : strrchr(folder->path, '/') + 1,
                percent == NULL ? "" : percent + 1);
            if (names[j][0] == '\0') {
                (void)snprintf(paths[j], sizeof paths[j], "%s", folder->log);
            }
        }
        if (maillog_same_file(paths[0], paths[1]) != rows[i].same ||
            maillog_same_file(paths[1], paths[0]) != rows[i].same) {
            fail_msg("%s %s", paths[0], paths[1]);
        }
    }
}

static void one_file_by_two_names_gives_its_lines_once(void **state)
{
    const struct maillog_folder *folder = *state;
    char detour[256];
    char other[256];
    const char *sources[] = {folder->log, detour, other, NULL};
    const struct maillog_follow_options options = {.sources = sources,
                                                   .from_start = true};
    struct maillog_follow *follow;
    struct maillog_line line;
    struct error error;
    char given[100] = "";

    maillog_folder_append(folder, "", "a\nb\n");
    maillog_folder_append(folder, ".1", "c\n");
    (void)snprintf(detour, sizeof detour, "%s/./mail.log", folder->path);
    maillog_folder_path(folder, ".1", other);
    follow = maillog_follow_new(&options, &error);
    assert_non_null(follow);
    while (maillog_follow_next(follow, 1000, &line) == MAILLOG_FOLLOW_LINE) {
        size_t used = strlen(given);

        (void)snprintf(given + used, sizeof given - used, "%zu%.*s ",
                       line.source, (int)line.text.length, line.text.bytes);
    }
    maillog_follow_free(follow);
    assert_string_equal(given, "0a 0b 1c ");
}

static void a_claim_is_one_process_and_ends_with_it(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_claim *first = maillog_claim_new(folder->log, "unix:/r a:");
    struct maillog_claim *other = maillog_claim_new(folder->log, "unix:/r b:");
    char detour[256];

    assert_non_null(first);
    assert_non_null(other);
    (void)snprintf(detour, sizeof detour, "%s/./mail.log", folder->path);
    assert_null(maillog_claim_new(folder->log, "unix:/r a:"));
    assert_null(maillog_claim_new(detour, "unix:/r a:"));
    maillog_claim_free(first);
    first = maillog_claim_new(detour, "unix:/r a:");
    assert_non_null(first);
    maillog_claim_free(first);
    maillog_claim_free(other);
    maillog_claim_free(NULL);
}

/* As two containers that share a network see it. */
static void a_claim_is_of_a_file_and_not_of_a_path(void **state)
{
    const struct maillog_folder *folder = *state;
    char inside[256], aside[256], log[300];
    struct maillog_claim *first, *other;

    (void)snprintf(inside, sizeof inside, "%s/log", folder->path);
    (void)snprintf(aside, sizeof aside, "%s/log.other", folder->path);
    (void)snprintf(log, sizeof log, "%s/mail.log", inside);
    assert_int_equal(mkdir(inside, 0700), 0);
    first = maillog_claim_new(log, "unix:/r a:");
    assert_non_null(first);
    assert_null(maillog_claim_new(log, "unix:/r a:"));
    assert_int_equal(rename(inside, aside), 0);
    assert_int_equal(mkdir(inside, 0700), 0);
    other = maillog_claim_new(log, "unix:/r a:");
    assert_non_null(other);
    maillog_claim_free(first);
    maillog_claim_free(other);
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(rmdir(aside), 0);
}

int main(void)
{
#define IN_FOLDER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, maillog_folder_make,                 \
                                    maillog_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(one_file_is_known_by_all_its_names),
        IN_FOLDER(one_file_by_two_names_gives_its_lines_once),
        IN_FOLDER(a_claim_is_one_process_and_ends_with_it),
        IN_FOLDER(a_claim_is_of_a_file_and_not_of_a_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
