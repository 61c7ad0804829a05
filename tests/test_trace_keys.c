#include "clock.h"
#include "scratch.h"
#include "trace.h"
#include "trace_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY     INT64_C(86400000000)
#define NOBODY  65534
#define ONE     "3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"
#define TWO     "4C0DC1B7A9E24A60A3A1A3B08FA4F4C1F0B1E2D3C4B5A69788796A5B4C3D2E1F"
#define MADE    "2026-11-01T00:00:00Z"
#define KEY_ONE "1 " ONE " " MADE "\n"

struct folder {
    char path[64];
    char file[96];
    char other[96];
    struct trace_keys *keys;
};

static int64_t time_of(const char *text)
{
    int64_t us = 0;

    assert_true(clock_parse(text, strlen(text), &us));
    return us;
}

static int64_t made(void)
{
    return time_of(MADE);
}

static struct trace_keys *new_keys(const struct folder *folder)
{
    const struct trace_keys_place place = {folder->file, geteuid(), getegid()};
    struct trace_keys *keys = trace_keys_new(&place);

    assert_non_null(keys);
    return keys;
}

static int open_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    if (folder == NULL) {
        return -1;
    }
    scratch_make(folder->path);
    (void)snprintf(folder->file, sizeof folder->file, "%s/trace.keys",
                   folder->path);
    (void)snprintf(folder->other, sizeof folder->other, "%s/other",
                   folder->path);
    folder->keys = new_keys(folder);
    *state = folder;
    return 0;
}

static int close_folder(void **state)
{
    struct folder *folder = *state;

    trace_keys_free(folder->keys);
    scratch_remove(folder->path);
    free(folder);
    return 0;
}

/* As cp(1) does: the file stays the same, its bytes change. */
static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    assert_int_equal(chmod(path, 0640), 0);
}

static void read_file(const char *path, char text[TRACE_KEYRING_TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, TRACE_KEYRING_TEXT_SIZE - 1);

    assert_true(length >= 0);
    text[length] = '\0';
    assert_int_equal(close(fd), 0);
}

static bool has(struct trace_keys *keys, unsigned kid)
{
    struct trace_key key;

    return trace_keys_find(keys, kid, made(), &key) && key.kid == kid;
}

static unsigned signer_of(struct trace_keys *keys, int64_t now_us)
{
    struct trace_key key;

    return trace_keys_signer(keys, now_us, &key) ? key.kid : 99;
}

/* The errors of a failure that must come. */
static void check_fails(struct folder *folder, const char *words)
{
    struct error error = {""};

    assert_int_equal(trace_keys_load(folder->keys, &error), TRACE_KEYS_FAILED);
    if (strstr(error.text, words) == NULL ||
        strstr(error.text, folder->file) == NULL) {
        fail_msg("%s, not %s", error.text, words);
    }
}

static void check_loads(struct folder *folder, enum trace_keys_result wanted)
{
    struct error error = {""};
    enum trace_keys_result result = trace_keys_load(folder->keys, &error);

    if (result != wanted) {
        fail_msg("%d %s", (int)result, error.text);
    }
}

static enum trace_keys_result rotate_if_due(struct folder *folder,
                                            int64_t now_us)
{
    struct error error = {""};
    enum trace_keys_result result =
        trace_keys_rotate_if_due(folder->keys, now_us, &error);

    if (result == TRACE_KEYS_FAILED) {
        fail_msg("%s", error.text);
    }
    return result;
}

/* --- the file ------------------------------------------------------------ */

static void trace_keys_are_made_at_the_first_start(void **state)
{
    struct folder *folder = *state;
    char text[TRACE_KEYRING_TEXT_SIZE];
    struct trace_keys *again = new_keys(folder);
    struct error error = {""};
    struct stat status;

    check_fails(folder, "is not there");
    assert_false(trace_keys_can_sign(folder->keys, made()));
    assert_int_equal(rotate_if_due(folder, made()), TRACE_KEYS_NEW);
    assert_true(trace_keys_can_sign(folder->keys, made()));
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(status.st_uid, geteuid());
    read_file(folder->file, text);
    assert_non_null(strstr(text, "\n0 "));
    assert_non_null(strstr(text, " 2026-11-01T00:00:00.000000Z\n"));
    check_loads(folder, TRACE_KEYS_SAME);
    assert_int_equal(rotate_if_due(folder, made()), TRACE_KEYS_SAME);
    /* the next start takes it as it is */
    assert_int_equal(trace_keys_rotate_if_due(again, made() + DAY, &error),
                     TRACE_KEYS_NEW);
    assert_int_equal(signer_of(again, made() + DAY), 0);
    trace_keys_free(again);
}

static void trace_keys_refuse_a_file_that_is_not_safe(void **state)
{
    struct folder *folder = *state;

    write_file(folder->file, KEY_ONE);
    assert_int_equal(chmod(folder->file, 0644), 0);
    check_fails(folder, "chmod o-rwx");
    assert_int_equal(chmod(folder->file, 0641), 0);
    check_fails(folder, "open to others (mode 0641)");
    assert_int_equal(chmod(folder->file, 0600), 0);
    check_loads(folder, TRACE_KEYS_NEW);
    /* told once more each time, and what was read stays */
    assert_int_equal(chmod(folder->file, 0604), 0);
    check_fails(folder, "chmod o-rwx");
    check_fails(folder, "chmod o-rwx");
    assert_true(has(folder->keys, 1));
    assert_int_equal(chmod(folder->file, 0400), 0);
    check_loads(folder, TRACE_KEYS_NEW);
}

static void trace_keys_refuse_what_is_no_file(void **state)
{
    struct folder *folder = *state;
    char *text = malloc(70000);

    write_file(folder->other, KEY_ONE);
    assert_int_equal(symlink(folder->other, folder->file), 0);
    check_fails(folder, "symbolic link");
    assert_int_equal(unlink(folder->file), 0);
    assert_int_equal(mkdir(folder->file, 0750), 0);
    check_fails(folder, "no regular file");
    assert_int_equal(rmdir(folder->file), 0);
    assert_int_equal(mkfifo(folder->file, 0640), 0);
    check_fails(folder, "no regular file");
    assert_int_equal(unlink(folder->file), 0);
    assert_non_null(text);
    memset(text, '\n', 70000);
    text[69999] = '\0';
    write_file(folder->file, text);
    check_fails(folder, "65536 bytes");
    free(text);
}

static void trace_keys_refuse_the_file_of_another_user(void **state)
{
    struct folder *folder = *state;

    if (geteuid() != 0) {
        skip();
    }
    write_file(folder->file, KEY_ONE);
    assert_int_equal(chown(folder->file, NOBODY, NOBODY), 0);
    check_fails(folder, "belongs to user 65534: chown 0 ");
    assert_int_equal(chown(folder->file, 0, NOBODY), 0);
    check_loads(folder, TRACE_KEYS_NEW);
}

static void trace_keys_follow_a_file_that_changes(void **state)
{
    struct folder *folder = *state;

    write_file(folder->file, KEY_ONE);
    check_loads(folder, TRACE_KEYS_NEW);
    check_loads(folder, TRACE_KEYS_SAME);
    assert_true(has(folder->keys, 1));
    /* renamed over it */
    write_file(folder->other, KEY_ONE "2 " TWO " " MADE "\n");
    assert_int_equal(rename(folder->other, folder->file), 0);
    check_loads(folder, TRACE_KEYS_NEW);
    assert_true(has(folder->keys, 1) && has(folder->keys, 2));
    /* written in its place; half of it, then the rest */
    write_file(folder->file, "3 " ONE " 2026-1");
    check_fails(folder, ":1:");
    check_fails(folder, ":1:");
    assert_true(has(folder->keys, 1) && has(folder->keys, 2));
    write_file(folder->file, "3 " ONE " " MADE "\n");
    check_loads(folder, TRACE_KEYS_NEW);
    assert_false(has(folder->keys, 1) || has(folder->keys, 2));
    assert_true(has(folder->keys, 3));
    /* gone: those in memory go on */
    assert_int_equal(unlink(folder->file), 0);
    check_fails(folder, "is not there");
    assert_true(has(folder->keys, 3));
    /* emptied: no key, no mark */
    write_file(folder->file, "# none\n");
    check_loads(folder, TRACE_KEYS_NEW);
    assert_false(trace_keys_can_sign(folder->keys, made()));
}

/* --- new keys ------------------------------------------------------------ */

static void trace_keys_rotate_after_30_days(void **state)
{
    struct folder *folder = *state;
    struct trace_key key;

    assert_int_equal(rotate_if_due(folder, made()), TRACE_KEYS_NEW);
    assert_int_equal(rotate_if_due(folder, made() + 30 * DAY - 1),
                     TRACE_KEYS_SAME);
    assert_int_equal(rotate_if_due(folder, made() + 30 * DAY), TRACE_KEYS_NEW);
    assert_int_equal(signer_of(folder->keys, made() + 30 * DAY), 1);
    assert_true(trace_keys_find(folder->keys, 0, made() + 45 * DAY, &key));
    assert_false(trace_keys_find(folder->keys, 0, made() + 45 * DAY + 1, &key));
    /* the file loses it with the next one */
    assert_int_equal(rotate_if_due(folder, made() + 60 * DAY), TRACE_KEYS_NEW);
    assert_false(has(folder->keys, 0));
    assert_int_equal(signer_of(folder->keys, made() + 60 * DAY), 2);
    /* a host that was off for a year; a file that was emptied */
    assert_int_equal(rotate_if_due(folder, made() + 400 * DAY), TRACE_KEYS_NEW);
    assert_int_equal(signer_of(folder->keys, made() + 400 * DAY), 3);
    write_file(folder->file, "");
    assert_int_equal(rotate_if_due(folder, made() + 400 * DAY), TRACE_KEYS_NEW);
    assert_true(trace_keys_can_sign(folder->keys, made() + 400 * DAY));
}

static void trace_keys_rotate_at_once_when_asked(void **state)
{
    struct folder *folder = *state;
    struct trace_key_facts facts[TRACE_KEY_NUMBERS];
    struct error error = {""};

    write_file(folder->file, "30 " ONE " 2026-09-01T00:00:00Z\n" KEY_ONE
                             "5 " TWO " 2026-12-01T00:00:00Z\n");
    assert_int_equal(chmod(folder->file, 0600), 0);
    check_loads(folder, TRACE_KEYS_NEW);
    assert_int_equal(trace_keys_list(folder->keys, made(), facts), 3);
    assert_int_equal(facts[0].state, TRACE_KEY_OLD);
    assert_int_equal(facts[1].state, TRACE_KEY_SIGNS);
    assert_int_equal(facts[2].state, TRACE_KEY_FUTURE);
    assert_true(trace_keys_rotate(folder->keys, made() + DAY, &error));
    assert_int_equal(trace_keys_list(folder->keys, made() + DAY, facts), 3);
    assert_int_equal(facts[0].kid, 1);
    assert_int_equal(facts[0].state, TRACE_KEY_VERIFIES);
    assert_int_equal(facts[1].state, TRACE_KEY_FUTURE);
    assert_int_equal(facts[2].kid, 6);
    assert_int_equal(facts[2].state, TRACE_KEY_SIGNS);
    assert_int_equal(facts[2].created_us, made() + DAY);
}

static void trace_keys_rotation_keeps_owner_and_mode(void **state)
{
    struct folder *folder = *state;
    struct error error = {""};
    struct stat status;

    write_file(folder->file, KEY_ONE);
    assert_int_equal(chmod(folder->file, 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder->file, 0, NOBODY), 0);
    }
    assert_true(trace_keys_rotate(folder->keys, made() + DAY, &error));
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    if (geteuid() == 0) {
        assert_int_equal(status.st_gid, NOBODY);
    }
}

/* Root makes it for nixied's user. */
static void trace_keys_of_root_belong_to_the_owner(void **state)
{
    struct folder *folder = *state;
    const struct trace_keys_place place = {folder->file, NOBODY, NOBODY};
    struct trace_keys *keys;
    struct error error = {""};
    struct stat status;

    if (geteuid() != 0) {
        skip();
    }
    keys = trace_keys_new(&place);
    assert_true(trace_keys_rotate(keys, made(), &error));
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_uid, NOBODY);
    assert_int_equal(status.st_gid, NOBODY);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_true(trace_keys_rotate(keys, made() + 1, &error));
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_uid, NOBODY);
    trace_keys_free(keys);
}

/* It is brought by others, who make its keys. */
static void trace_keys_of_another_user_are_not_rotated(void **state)
{
    struct folder *folder = *state;
    struct error error = {""};
    enum trace_keys_result results[3];

    if (geteuid() != 0) {
        skip();
    }
    write_file(folder->file, KEY_ONE);
    assert_int_equal(chown(folder->file, 0, NOBODY), 0);
    assert_int_equal(chown(folder->path, NOBODY, NOBODY), 0);
    assert_int_equal(setegid(NOBODY), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    results[0] = trace_keys_rotate_if_due(folder->keys, made(), &error);
    results[1] =
        trace_keys_rotate_if_due(folder->keys, made() + 44 * DAY, &error);
    results[2] =
        trace_keys_rotate_if_due(folder->keys, made() + 46 * DAY, &error);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(results[0], TRACE_KEYS_NEW);
    assert_int_equal(results[1], TRACE_KEYS_SAME);
    assert_int_equal(results[2], TRACE_KEYS_FAILED);
    assert_non_null(strstr(error.text, "belongs to user 0: bring a new one"));
}

/* It may have been removed because it was stolen. */
static void trace_keys_of_a_removed_file_do_not_come_back(void **state)
{
    struct folder *folder = *state;

    write_file(folder->file, KEY_ONE);
    check_loads(folder, TRACE_KEYS_NEW);
    assert_int_equal(unlink(folder->file), 0);
    assert_int_equal(rotate_if_due(folder, made() + DAY), TRACE_KEYS_NEW);
    assert_false(has(folder->keys, 1));
    assert_true(has(folder->keys, 0));
}

static void trace_keys_are_changed_by_one_at_a_time(void **state)
{
    struct folder *folder = *state;
    struct error error = {""};
    int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(flock(fd, LOCK_SH), 0);
    assert_false(trace_keys_rotate(folder->keys, made(), &error));
    assert_non_null(strstr(error.text, "by another process"));
    assert_int_equal(access(folder->file, F_OK), -1);
    assert_int_equal(close(fd), 0);
    assert_true(trace_keys_rotate(folder->keys, made(), &error));
}

/* Another process made the key between our look and our lock. */
static void trace_keys_rotate_once_for_two_processes(void **state)
{
    struct folder *folder = *state;
    struct trace_keys *other = new_keys(folder);
    struct error error = {""};
    struct trace_key_facts facts[TRACE_KEY_NUMBERS];

    assert_int_equal(rotate_if_due(folder, made()), TRACE_KEYS_NEW);
    assert_int_equal(trace_keys_load(other, &error), TRACE_KEYS_NEW);
    assert_int_equal(rotate_if_due(folder, made() + 31 * DAY), TRACE_KEYS_NEW);
    assert_int_equal(trace_keys_rotate_if_due(other, made() + 31 * DAY, &error),
                     TRACE_KEYS_NEW);
    assert_int_equal(trace_keys_list(other, made() + 31 * DAY, facts), 2);
    trace_keys_free(other);
}

static void trace_keys_survive_what_a_crash_left(void **state)
{
    struct folder *folder = *state;
    char path[128];
    char text[TRACE_KEYRING_TEXT_SIZE];

    (void)snprintf(path, sizeof path, "%s.new", folder->file);
    write_file(folder->other, "others");
    assert_int_equal(symlink(folder->other, path), 0);
    assert_int_equal(rotate_if_due(folder, made()), TRACE_KEYS_NEW);
    assert_int_equal(access(path, F_OK), -1);
    read_file(folder->other, text);
    assert_string_equal(text, "others");
}

static void trace_keys_tell_a_folder_that_is_missing(void **state)
{
    struct folder *folder = *state;
    char path[128];
    const struct trace_keys_place place = {path, geteuid(), getegid()};
    struct trace_keys *keys;
    struct error error = {""};

    (void)snprintf(path, sizeof path, "%s/none/keys", folder->path);
    keys = trace_keys_new(&place);
    assert_int_equal(trace_keys_rotate_if_due(keys, made(), &error),
                     TRACE_KEYS_FAILED);
    assert_non_null(strstr(error.text, "/none cannot be opened, make it"));
    trace_keys_free(keys);
}

/* --- threads ------------------------------------------------------------- */

struct workers {
    struct trace_keys *keys;
    atomic_bool stop;
    atomic_size_t marks;
};

static void *work(void *argument)
{
    struct workers *workers = argument;
    const struct text recipient = text_of("ann@example.org");

    do {
        struct trace_draft draft;
        struct trace_mark mark;
        struct trace_result result;
        struct text header;
        const struct trace_evidence evidence = {
            &header, 1, {NULL, 0}, &recipient, 1};

        if (trace_draft_begin(&draft, workers->keys, made())) {
            trace_draft_add(&draft, recipient);
            if (trace_draft_end(&draft, &mark)) {
                header = text_of(mark.header);
                (void)trace_check(workers->keys, &evidence, made(), &result);
                atomic_fetch_add(&workers->marks, 1);
            }
        }
    } while (!atomic_load(&workers->stop));
    return NULL;
}

static void trace_keys_are_given_out_while_the_file_changes(void **state)
{
    struct folder *folder = *state;
    struct workers workers = {.keys = folder->keys};
    pthread_t threads[3];
    struct error error = {""};

    write_file(folder->file, KEY_ONE);
    check_loads(folder, TRACE_KEYS_NEW);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers), 0);
    }
    for (int round = 0; round < 30 || atomic_load(&workers.marks) < 100;
         round++) {
        write_file(folder->other,
                   round % 2 == 0 ? KEY_ONE "2 " TWO " " MADE "\n" : KEY_ONE);
        assert_int_equal(rename(folder->other, folder->file), 0);
        assert_int_equal(trace_keys_load(folder->keys, &error), TRACE_KEYS_NEW);
    }
    atomic_store(&workers.stop, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

#define TEST_WITH_FOLDER(name)                                                 \
    cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_FOLDER(trace_keys_are_made_at_the_first_start),
        TEST_WITH_FOLDER(trace_keys_refuse_a_file_that_is_not_safe),
        TEST_WITH_FOLDER(trace_keys_refuse_what_is_no_file),
        TEST_WITH_FOLDER(trace_keys_refuse_the_file_of_another_user),
        TEST_WITH_FOLDER(trace_keys_follow_a_file_that_changes),
        TEST_WITH_FOLDER(trace_keys_rotate_after_30_days),
        TEST_WITH_FOLDER(trace_keys_rotate_at_once_when_asked),
        TEST_WITH_FOLDER(trace_keys_rotation_keeps_owner_and_mode),
        TEST_WITH_FOLDER(trace_keys_of_root_belong_to_the_owner),
        TEST_WITH_FOLDER(trace_keys_of_another_user_are_not_rotated),
        TEST_WITH_FOLDER(trace_keys_of_a_removed_file_do_not_come_back),
        TEST_WITH_FOLDER(trace_keys_are_changed_by_one_at_a_time),
        TEST_WITH_FOLDER(trace_keys_rotate_once_for_two_processes),
        TEST_WITH_FOLDER(trace_keys_survive_what_a_crash_left),
        TEST_WITH_FOLDER(trace_keys_tell_a_folder_that_is_missing),
        TEST_WITH_FOLDER(trace_keys_are_given_out_while_the_file_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
