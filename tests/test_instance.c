#include "clock.h"
#include "instance.h"
#include "scratch.h"

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
#include <jansson.h>

#define BLOCK INT64_C(1000000)

struct folder {
    char path[64];
};

static void remove_file(const char *folder, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
}

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    assert_non_null(folder);
    scratch_make(folder->path);
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

static struct instance *open_it(const char *folder)
{
    struct error error = {""};
    struct instance *instance = instance_open(folder, &error);

    if (instance == NULL) {
        fail_msg("instance_open: %s", error.text);
    }
    return instance;
}

static json_t *read_file(const char *folder)
{
    char path[256];
    json_t *object;

    (void)snprintf(path, sizeof path, "%s/instance", folder);
    object = json_load_file(path, 0, NULL);
    assert_non_null(object);
    return object;
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int64_t next_seq_on_disk(const char *folder)
{
    json_t *object = read_file(folder);
    int64_t seq = json_integer_value(json_object_get(object, "next_seq"));

    json_decref(object);
    return seq;
}

/* The file as it is, with one member replaced. */
static void change_file(const char *folder, const char *name, json_t *value)
{
    json_t *object = read_file(folder);
    char *text;

    assert_int_equal(json_object_set_new(object, name, value), 0);
    text = json_dumps(object, 0);
    write_file(folder, "instance", text);
    free(text);
    json_decref(object);
}

/* Opens, notes the id, closes. */
static void id_of(const char *folder, char id[INSTANCE_ID_SIZE])
{
    struct instance *instance = open_it(folder);

    memcpy(id, instance_id(instance), INSTANCE_ID_SIZE);
    instance_close(instance);
}

static int64_t one_number(const char *folder)
{
    struct instance *instance = open_it(folder);
    int64_t seq = instance_next_seq(instance, NULL);

    instance_close(instance);
    return seq;
}

static void an_id_is_16_hex_digits_and_lasts(void **state)
{
    struct folder *folder = *state;
    char first[INSTANCE_ID_SIZE];
    char second[INSTANCE_ID_SIZE];

    id_of(folder->path, first);
    id_of(folder->path, second);
    assert_int_equal(strlen(first), 16);
    assert_int_equal(strspn(first, "0123456789abcdef"), 16);
    assert_string_equal(first, second);
}

static void files_are_ours_alone(void **state)
{
    struct folder *folder = *state;
    struct stat status;
    char path[256];

    instance_close(open_it(folder->path));
    (void)snprintf(path, sizeof path, "%s/instance", folder->path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/lock", folder->path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_second_writer_is_refused_and_told_the_first(void **state)
{
    struct folder *folder = *state;
    struct instance *first = open_it(folder->path);
    struct error error = {""};
    char wanted[64];

    assert_null(instance_open(folder->path, &error));
    (void)snprintf(wanted, sizeof wanted, "in use by process %ld",
                   (long)getpid());
    assert_non_null(strstr(error.text, wanted));
    instance_close(first);
    instance_close(open_it(folder->path));
}

static void a_missing_directory_is_an_error(void **state)
{
    struct error error = {""};

    (void)state;
    assert_null(instance_open("/nonexistent/nixie", &error));
    assert_non_null(strstr(error.text, "/nonexistent/nixie"));
}

static void numbers_rise_and_begin_at_the_clock(void **state)
{
    struct folder *folder = *state;
    int64_t before = clock_now_us();
    struct instance *instance = open_it(folder->path);
    int64_t last = instance_next_seq(instance, NULL);

    assert_true(last >= before);
    assert_true(last <= clock_now_us());
    for (int i = 0; i < 1000; i++) {
        int64_t seq = instance_next_seq(instance, NULL);

        assert_int_equal(seq, last + 1);
        last = seq;
    }
    instance_close(instance);
}

static void numbers_are_reserved_before_they_are_given(void **state)
{
    struct folder *folder = *state;
    struct instance *instance = open_it(folder->path);

    for (int64_t i = 0; i < 2 * BLOCK + 10; i++) {
        int64_t seq = instance_next_seq(instance, NULL);

        if (i % (BLOCK / 4) == 0) {
            assert_true(seq < next_seq_on_disk(folder->path));
        }
    }
    instance_close(instance);
}

static void a_start_goes_behind_the_block_of_the_last(void **state)
{
    struct folder *folder = *state;
    int64_t ahead = clock_now_us() + 3600 * INT64_C(1000000);

    instance_close(open_it(folder->path));
    change_file(folder->path, "next_seq", json_integer(ahead));
    assert_int_equal(one_number(folder->path), ahead);
    assert_int_equal(next_seq_on_disk(folder->path), ahead + BLOCK);
    assert_int_equal(one_number(folder->path), ahead + BLOCK);
}

static void a_restored_older_file_reuses_no_number(void **state)
{
    struct folder *folder = *state;
    struct instance *instance = open_it(folder->path);
    json_t *old = read_file(folder->path);
    int64_t last = 0;

    for (int i = 0; i < 100000; i++) {
        last = instance_next_seq(instance, NULL);
    }
    instance_close(instance);
    change_file(
        folder->path, "next_seq",
        json_integer(json_integer_value(json_object_get(old, "next_seq")) -
                     5 * BLOCK));
    json_decref(old);
    /* the clock has passed them: 100,000 numbers are 0.1 s of its time */
    while (clock_now_us() <= last) {
    }
    assert_true(one_number(folder->path) > last);
}

static void numbers_go_above_what_was_seen(void **state)
{
    struct folder *folder = *state;
    struct instance *instance = open_it(folder->path);
    int64_t seen = instance_next_seq(instance, NULL) + 50 * BLOCK;
    int64_t seq;

    instance_seen_seq(instance, seen);
    instance_seen_seq(instance, 17);
    seq = instance_next_seq(instance, NULL);
    assert_int_equal(seq, seen + 1);
    assert_true(next_seq_on_disk(folder->path) > seq);
    /* no number of ours: it would leave no room for others */
    instance_seen_seq(instance, (INT64_C(1) << 53) - 1);
    assert_int_equal(instance_next_seq(instance, NULL), seen + 2);
    instance_close(instance);
}

static void a_copied_directory_gets_a_new_id(void **state)
{
    struct folder *folder = *state;
    struct folder *copy;
    void *made = NULL;
    char first[INSTANCE_ID_SIZE];
    char second[INSTANCE_ID_SIZE];
    json_t *object;
    char *text;

    id_of(folder->path, first);
    object = read_file(folder->path);
    text = json_dumps(object, 0);
    assert_int_equal(make_folder(&made), 0);
    copy = made;
    write_file(copy->path, "instance", text);
    id_of(copy->path, second);
    assert_string_not_equal(first, second);
    free(text);
    json_decref(object);
    assert_int_equal(remove_folder(&made), 0);
}

static int64_t file_number_of(const char *folder)
{
    struct instance *instance = open_it(folder);
    int64_t number = instance_file_number(instance);

    instance_close(instance);
    return number;
}

static void keep_file_number(const char *folder, int64_t number)
{
    struct instance *instance = open_it(folder);
    struct error error = {""};

    assert_true(instance_keep_file_number(instance, number, &error));
    instance_close(instance);
}

static void the_highest_file_number_lasts(void **state)
{
    struct folder *folder = *state;

    assert_int_equal(file_number_of(folder->path), 0);
    keep_file_number(folder->path, 7);
    keep_file_number(folder->path, 3);
    assert_int_equal(file_number_of(folder->path), 7);
}

static void a_file_number_of_another_identity_says_nothing(void **state)
{
    struct folder *folder = *state;

    keep_file_number(folder->path, 7);
    remove_file(folder->path, "instance");
    assert_int_equal(file_number_of(folder->path), 0);
}

static void a_damaged_file_number_costs_nothing_else(void **state)
{
    static const char *const texts[] = {
        "", "{", "7", "{\"instance\":7,\"file_number\":7}",
        "{\"instance\":\"00000000000000aa\",\"file_number\":7}"};
    struct folder *folder = *state;
    char first[INSTANCE_ID_SIZE];
    char second[INSTANCE_ID_SIZE];

    id_of(folder->path, first);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(folder->path, "file_number", texts[i]);
        assert_int_equal(file_number_of(folder->path), 0);
    }
    keep_file_number(folder->path, 7);
    assert_int_equal(file_number_of(folder->path), 7);
    id_of(folder->path, second);
    assert_string_equal(first, second);
}

static void another_machine_gets_a_new_id(void **state)
{
    struct folder *folder = *state;
    char first[INSTANCE_ID_SIZE];
    char second[INSTANCE_ID_SIZE];

    id_of(folder->path, first);
    change_file(folder->path, "machine_id",
                json_string("00000000000000000000000000000001"));
    id_of(folder->path, second);
    assert_string_not_equal(first, second);
}

static void a_damaged_file_is_kept_and_replaced(void **state)
{
    struct folder *folder = *state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"instance\":\"0123456789abcdef\"}",
        "{\"instance\":\"0123456789ABCDEF\",\"machine_id\":\"\",\"inode\":1,"
        "\"next_seq\":5}",
        "{\"instance\":\"0123456789abcdef\",\"machine_id\":\"\",\"inode\":1,"
        "\"next_seq\":0}",
        "{\"instance\":\"0123456789abcdef\",\"machine_id\":\"\",\"inode\":1,"
        "\"next_seq\":9007199254740993}",
        "{\"instance\":\"0123456789abcdef\",\"machine_id\":\"\",\"inode\":1,"
        "\"next_seq\":5,\"next_seq\":6}",
    };
    char path[256];

    (void)snprintf(path, sizeof path, "%s/instance.damaged", folder->path);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char id[INSTANCE_ID_SIZE];
        char again[INSTANCE_ID_SIZE];
        struct stat status;

        write_file(folder->path, "instance", texts[i]);
        id_of(folder->path, id);
        assert_string_not_equal(id, "0123456789abcdef");
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, strlen(texts[i]));
        id_of(folder->path, again);
        assert_string_equal(id, again);
    }
}

/* A directory in its place makes every write of the file fail, as root too. */
static void block_writing(const char *folder, bool blocked)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/instance.new", folder);
    if (blocked) {
        (void)unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
    } else {
        assert_int_equal(rmdir(path), 0);
    }
}

static void a_first_start_that_cannot_write_fails(void **state)
{
    struct folder *folder = *state;
    struct error error = {""};

    block_writing(folder->path, true);
    assert_null(instance_open(folder->path, &error));
    assert_non_null(strstr(error.text, "/instance"));
    block_writing(folder->path, false);
    instance_close(open_it(folder->path));
}

static void a_start_on_a_full_disk_goes_on_and_tells_once(void **state)
{
    struct folder *folder = *state;
    struct error error = {""};
    struct instance *instance;
    char id[INSTANCE_ID_SIZE];
    int64_t first;

    id_of(folder->path, id);
    block_writing(folder->path, true);
    instance = open_it(folder->path);
    assert_string_equal(instance_id(instance), id);
    first = instance_next_seq(instance, &error);
    assert_non_null(strstr(error.text, "/instance"));
    for (int i = 1; i < 1000; i++) {
        assert_int_equal(instance_next_seq(instance, &error), first + i);
        assert_string_equal(error.text, "");
    }
    block_writing(folder->path, false);
    instance_close(instance);
}

int main(void)
{
#define ROW(test)                                                              \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        ROW(an_id_is_16_hex_digits_and_lasts),
        ROW(files_are_ours_alone),
        ROW(a_second_writer_is_refused_and_told_the_first),
        ROW(a_missing_directory_is_an_error),
        ROW(numbers_rise_and_begin_at_the_clock),
        ROW(numbers_are_reserved_before_they_are_given),
        ROW(a_start_goes_behind_the_block_of_the_last),
        ROW(a_restored_older_file_reuses_no_number),
        ROW(numbers_go_above_what_was_seen),
        ROW(a_copied_directory_gets_a_new_id),
        ROW(another_machine_gets_a_new_id),
        ROW(the_highest_file_number_lasts),
        ROW(a_file_number_of_another_identity_says_nothing),
        ROW(a_damaged_file_number_costs_nothing_else),
        ROW(a_damaged_file_is_kept_and_replaced),
        ROW(a_first_start_that_cannot_write_fails),
        ROW(a_start_on_a_full_disk_goes_on_and_tells_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
