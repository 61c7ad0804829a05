#include "event_files.h"
#include "event_json.h"
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff"
#define OURS  "0123456789abcdef"
#define OTHER "00000000000000aa"

struct folder {
    char path[64];
    char event_log[96];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    assert_non_null(folder);
    scratch_make(folder->path);
    (void)snprintf(folder->event_log, sizeof folder->event_log,
                   "%s/events.jsonl", folder->path);
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;

    scratch_remove(folder->path);
    free(folder);
    return 0;
}

static void write_file(const struct folder *folder, const char *suffix,
                       const char *bytes, size_t length)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s%s", folder->event_log, suffix);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t header(const char *instance, const char *nonce, int64_t number,
                     int64_t seq, char line[EVENT_LINE_MAX])
{
    struct event event;

    event_init(&event, EVENT_LOG_OPEN, INT64_C(1700000000000000));
    event.seq = seq;
    event.instance = text_of(instance);
    event.file_nonce = text_of(nonce);
    event.file_number = number;
    return event_json_encode(&event, line);
}

static void write_events(const struct folder *folder, const char *suffix,
                         const char *instance, int64_t number, int64_t seq)
{
    char line[EVENT_LINE_MAX];

    write_file(folder, suffix, line,
               header(instance, NONCE, number, seq, line));
}

static void list(const struct folder *folder, struct event_files *files)
{
    struct error error = {""};

    if (!event_files_list(folder->event_log, files, &error)) {
        fail_msg("event_files_list: %s", error.text);
    }
}

static void an_empty_folder_has_no_files(void **state)
{
    struct folder *folder = *state;
    struct event_files files;

    list(folder, &files);
    assert_int_equal(files.count, 0);
    event_files_free(&files);
}

static void a_missing_folder_is_an_error(void **state)
{
    struct error error = {""};
    struct event_files files;

    (void)state;
    assert_false(event_files_list("/nonexistent/events.jsonl", &files, &error));
    assert_non_null(strstr(error.text, "/nonexistent/events.jsonl"));
    assert_int_equal(files.count, 0);
    event_files_free(&files);
}

static void files_are_ordered_by_instance_and_number_not_by_name(void **state)
{
    struct folder *folder = *state;
    static const struct {
        const char *suffix;
        const char *instance;
        int64_t number;
    } wanted[] = {
        {".from-another-host", OTHER, 7}, {".zzz", OURS, 2}, {"", OURS, 9},
        {"-20260101", OURS, 10},          {".1", OURS, 11},
    };
    struct event_files files;

    write_file(folder, ".empty", "", 0);
    for (size_t i = 5; i-- > 0;) {
        write_events(folder, wanted[i].suffix, wanted[i].instance,
                     wanted[i].number, 100 + wanted[i].number);
    }
    write_file(folder, ".aside", "foreign\n", 8);
    list(folder, &files);
    assert_int_equal(files.count, 7);
    for (size_t i = 0; i < 5; i++) {
        const struct event_file *file = &files.file[i];
        char path[256];

        (void)snprintf(path, sizeof path, "%s%s", folder->event_log,
                       wanted[i].suffix);
        assert_int_equal(file->kind, EVENT_FILE_EVENTS);
        assert_string_equal(file->path, path);
        assert_string_equal(file->instance, wanted[i].instance);
        assert_string_equal(file->nonce, NONCE);
        assert_int_equal(file->file_number, wanted[i].number);
        assert_int_equal(file->first_seq, 100 + wanted[i].number);
    }
    assert_int_equal(files.file[5].kind, EVENT_FILE_FOREIGN);
    assert_int_equal(files.file[6].kind, EVENT_FILE_EMPTY);
    event_files_free(&files);
}

static void only_regular_files_with_our_prefix_are_listed(void **state)
{
    struct folder *folder = *state;
    struct event_files files;
    char path[256];

    write_events(folder, "", OURS, 1, 1);
    (void)snprintf(path, sizeof path, "%s/other.jsonl", folder->path);
    assert_int_equal(link(folder->event_log, path), 0);
    (void)snprintf(path, sizeof path, "%s.link", folder->event_log);
    assert_int_equal(symlink(folder->event_log, path), 0);
    (void)snprintf(path, sizeof path, "%s.d", folder->event_log);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s.fifo", folder->event_log);
    assert_int_equal(mkfifo(path, 0600), 0);
    list(folder, &files);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.file[0].path, folder->event_log);
    event_files_free(&files);
}

static void what_a_file_holds_tells_its_kind(void **state)
{
    struct folder *folder = *state;
    static const struct {
        const char *suffix;
        const char *bytes;
        size_t length;
        enum event_file_kind kind;
    } rows[] = {
        {".1", "", 0, EVENT_FILE_EMPTY},
        {".1", "\n", 1, EVENT_FILE_FOREIGN},
        {".1", "hello\n", 6, EVENT_FILE_FOREIGN},
        {".1", "\0\0\0\0", 4, EVENT_FILE_FOREIGN},
        {".1", "{}\n", 3, EVENT_FILE_FOREIGN},
        {".1", "\x1f\x8b\x08", 3, EVENT_FILE_COMPRESSED},
        {".1", "\xfd\x37zXZ\0", 6, EVENT_FILE_COMPRESSED},
        {".1", "\x28\xb5\x2f\xfd", 4, EVENT_FILE_COMPRESSED},
        {".1", "BZh91AY", 7, EVENT_FILE_COMPRESSED},
        {".1", "\x1f", 1, EVENT_FILE_FOREIGN},
        {".1.gz", "", 0, EVENT_FILE_COMPRESSED},
        {".1.bz2", "??", 2, EVENT_FILE_COMPRESSED},
        {".1.xz", "??", 2, EVENT_FILE_COMPRESSED},
        {".1.zst", "??", 2, EVENT_FILE_COMPRESSED},
        {".gz.1", "??", 2, EVENT_FILE_FOREIGN},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event_files files;
        char path[256];

        write_file(folder, rows[i].suffix, rows[i].bytes, rows[i].length);
        list(folder, &files);
        assert_int_equal(files.count, 1);
        assert_int_equal(files.file[0].kind, rows[i].kind);
        event_files_free(&files);
        (void)snprintf(path, sizeof path, "%s%s", folder->event_log,
                       rows[i].suffix);
        assert_int_equal(unlink(path), 0);
    }
}

static void a_first_record_that_is_not_whole_makes_a_file_foreign(void **state)
{
    struct folder *folder = *state;
    char line[EVENT_LINE_MAX];
    size_t length = header(OURS, NONCE, 1, 1, line);

    for (size_t cut = 1; cut <= length; cut++) {
        struct event_files files;

        write_file(folder, "", line, cut);
        list(folder, &files);
        assert_int_equal(files.file[0].kind, cut == length
                                                 ? EVENT_FILE_EVENTS
                                                 : EVENT_FILE_FOREIGN);
        event_files_free(&files);
    }
}

static void a_first_record_must_name_instance_nonce_and_number(void **state)
{
    struct folder *folder = *state;
    static const struct {
        const char *instance;
        const char *nonce;
        int64_t number;
        int64_t seq;
    } rows[] = {
        {NULL, NONCE, 1, 1},
        {"0123456789abcde", NONCE, 1, 1},
        {"0123456789abcdef0", NONCE, 1, 1},
        {"0123456789ABCDEF", NONCE, 1, 1},
        {"../../etc/passwd", NONCE, 1, 1},
        {OURS, NULL, 1, 1},
        {OURS, "00", 1, 1},
        {OURS, NONCE, 0, 1},
        {OURS, NONCE, -1, 1},
        {OURS, NONCE, EVENT_UNKNOWN, 1},
        {OURS, NONCE, 1, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[EVENT_LINE_MAX];
        struct event_files files;

        write_file(folder, "", line,
                   header(rows[i].instance, rows[i].nonce, rows[i].number,
                          rows[i].seq, line));
        list(folder, &files);
        assert_int_equal(files.file[0].kind, EVENT_FILE_FOREIGN);
        event_files_free(&files);
    }
}

static void stat_values_are_those_of_the_file(void **state)
{
    struct folder *folder = *state;
    struct event_files files;
    struct stat status;

    write_events(folder, "", OURS, 1, 1);
    assert_int_equal(stat(folder->event_log, &status), 0);
    list(folder, &files);
    assert_int_equal(files.file[0].inode, status.st_ino);
    assert_int_equal(files.file[0].device, status.st_dev);
    assert_int_equal(files.file[0].size, status.st_size);
    assert_int_equal(files.file[0].modified_us / 1000000,
                     status.st_mtim.tv_sec);
    event_files_free(&files);
}

static void a_path_without_folder_is_in_the_current_one(void **state)
{
    struct folder *folder = *state;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error error = {""};
    struct event_files files;

    assert_true(here >= 0);
    write_events(folder, "", OURS, 1, 1);
    assert_int_equal(chdir(folder->path), 0);
    assert_true(event_files_list("events.jsonl", &files, &error));
    assert_int_equal(fchdir(here), 0);
    (void)close(here);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.file[0].path, "events.jsonl");
    event_files_free(&files);
}

int main(void)
{
#define ROW(test)                                                              \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        ROW(an_empty_folder_has_no_files),
        ROW(a_missing_folder_is_an_error),
        ROW(files_are_ordered_by_instance_and_number_not_by_name),
        ROW(only_regular_files_with_our_prefix_are_listed),
        ROW(what_a_file_holds_tells_its_kind),
        ROW(a_first_record_that_is_not_whole_makes_a_file_foreign),
        ROW(a_first_record_must_name_instance_nonce_and_number),
        ROW(stat_values_are_those_of_the_file),
        ROW(a_path_without_folder_is_in_the_current_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
