#include "event_cursor.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A file without a name: what is written stands at its end. */
static int make_file(void)
{
    int fd = memfd_create("events", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void add(int fd, const char *bytes, size_t length)
{
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
}

static void add_text(int fd, const char *text)
{
    add(fd, text, strlen(text));
}

static void add_many(int fd, char byte, size_t count)
{
    char *bytes = malloc(count);

    assert_non_null(bytes);
    memset(bytes, byte, count);
    add(fd, bytes, count);
    free(bytes);
}

/* The cursor closes its own descriptor, so it gets a copy. */
static struct event_cursor *read_from(int fd, off_t offset)
{
    struct event_cursor *cursor = event_cursor_new(dup(fd), offset);

    assert_non_null(cursor);
    return cursor;
}

static void expect_line(struct event_cursor *cursor, const char *wanted)
{
    const char *line;
    size_t length;

    assert_int_equal(event_cursor_next(cursor, &line, &length),
                     EVENT_CURSOR_LINE);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(line, wanted, length);
}

static void expect(struct event_cursor *cursor, enum event_cursor_result result)
{
    const char *line;
    size_t length;

    assert_int_equal(event_cursor_next(cursor, &line, &length), result);
}

static void lines_come_in_order_and_without_newline(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor;

    (void)state;
    add_text(fd, "one\n\nthree\n");
    cursor = read_from(fd, 0);
    expect_line(cursor, "one");
    assert_int_equal(event_cursor_offset(cursor), 4);
    expect_line(cursor, "");
    expect_line(cursor, "three");
    assert_int_equal(event_cursor_offset(cursor), 11);
    expect(cursor, EVENT_CURSOR_END);
    event_cursor_free(cursor);
    cursor = read_from(fd, 4);
    expect_line(cursor, "");
    event_cursor_free(cursor);
    (void)close(fd);
}

static void an_empty_file_is_at_its_end(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor = read_from(fd, 0);

    (void)state;
    expect(cursor, EVENT_CURSOR_END);
    expect(cursor, EVENT_CURSOR_END);
    add_text(fd, "later\n");
    expect_line(cursor, "later");
    event_cursor_free(cursor);
    (void)close(fd);
}

static void a_line_without_newline_is_not_there_yet(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor = read_from(fd, 0);
    static const char line[] = "{\"seq\":1}\n";

    (void)state;
    for (size_t i = 0; i < sizeof line - 1; i++) {
        expect(cursor, EVENT_CURSOR_END);
        assert_int_equal(event_cursor_offset(cursor), 0);
        add(fd, line + i, 1);
    }
    expect_line(cursor, "{\"seq\":1}");
    assert_int_equal(event_cursor_torn(cursor), 0);
    event_cursor_free(cursor);
    (void)close(fd);
}

static void the_longest_line_is_given_and_a_longer_one_passed_over(void **state)
{
    int fd = make_file();
    char longest[EVENT_LINE_MAX];
    struct event_cursor *cursor;

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    add_text(fd, longest);
    add_text(fd, "\n");
    add_text(fd, longest);
    add_text(fd, "b\n");
    add_text(fd, "end\n");
    cursor = read_from(fd, 0);
    expect_line(cursor, longest);
    assert_int_equal(event_cursor_torn(cursor), 0);
    expect_line(cursor, "end");
    assert_int_equal(event_cursor_torn(cursor), 1);
    event_cursor_free(cursor);
    (void)close(fd);
}

static void an_endless_line_is_one_torn_line_and_keeps_its_offset(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor = read_from(fd, 0);

    (void)state;
    add_text(fd, "one\n");
    expect_line(cursor, "one");
    for (int i = 0; i < 5; i++) {
        add_many(fd, 'x', 300001);
        expect(cursor, EVENT_CURSOR_END);
        assert_int_equal(event_cursor_offset(cursor), 4);
        assert_int_equal(event_cursor_torn(cursor), 0);
    }
    add_text(fd, "\ntwo\n");
    expect_line(cursor, "two");
    assert_int_equal(event_cursor_torn(cursor), 1);
    assert_int_equal(event_cursor_offset(cursor), 4 + 5 * 300001 + 1 + 4);
    event_cursor_free(cursor);
    (void)close(fd);
}

static void lines_with_nul_are_passed_over(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor;

    (void)state;
    add_text(fd, "one\n");
    add(fd, "t\0wo\n", 5);
    add_many(fd, '\0', 1000000);
    add_text(fd, "\n");
    add_text(fd, "three\n");
    add_many(fd, '\0', 10);
    cursor = read_from(fd, 0);
    expect_line(cursor, "one");
    expect_line(cursor, "three");
    assert_int_equal(event_cursor_torn(cursor), 2);
    expect(cursor, EVENT_CURSOR_END);
    assert_int_equal(event_cursor_offset(cursor), 4 + 5 + 1000001 + 6);
    event_cursor_free(cursor);
    (void)close(fd);
}

static void a_file_that_shrinks_is_truncated(void **state)
{
    int fd = make_file();
    struct event_cursor *cursor;

    (void)state;
    add_text(fd, "one\ntwo\nthr");
    cursor = read_from(fd, 0);
    expect_line(cursor, "one");
    expect_line(cursor, "two");
    expect(cursor, EVENT_CURSOR_END);
    assert_int_equal(ftruncate(fd, 8), 0); /* what was read of "thr" is gone */
    expect(cursor, EVENT_CURSOR_TRUNCATED);
    assert_int_equal(ftruncate(fd, 0), 0);
    expect(cursor, EVENT_CURSOR_TRUNCATED);
    event_cursor_free(cursor);
    cursor = read_from(fd, 100);
    expect(cursor, EVENT_CURSOR_TRUNCATED);
    event_cursor_free(cursor);
    (void)close(fd);
}

static void a_read_error_is_told(void **state)
{
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct event_cursor *cursor = event_cursor_new(folder, 0);

    (void)state;
    expect(cursor, EVENT_CURSOR_ERROR);
    assert_int_equal(errno, EISDIR);
    event_cursor_free(cursor);
}

/* Lines of every length, so that they lie across the buffer's end in every
 * way; and reading resumed at every line. */
static void every_line_survives_the_edges_of_the_buffer(void **state)
{
    int fd = make_file();
    char line[EVENT_LINE_MAX];
    struct event_cursor *cursor;
    off_t offset = 0;
    char wanted[EVENT_LINE_MAX];

    (void)state;
    memset(line, 'l', sizeof line);
    for (size_t length = 0; length < 2000; length++) {
        add(fd, line, length);
        add_text(fd, "\n");
    }
    cursor = read_from(fd, 0);
    for (size_t length = 0; length < 2000; length++) {
        memset(wanted, 'l', length);
        wanted[length] = '\0';
        expect_line(cursor, wanted);
        offset += (off_t)length + 1;
        assert_int_equal(event_cursor_offset(cursor), offset);
        if (length % 17 == 0) {
            event_cursor_free(cursor);
            cursor = read_from(fd, offset);
        }
    }
    expect(cursor, EVENT_CURSOR_END);
    event_cursor_free(cursor);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_order_and_without_newline),
        cmocka_unit_test(an_empty_file_is_at_its_end),
        cmocka_unit_test(a_line_without_newline_is_not_there_yet),
        cmocka_unit_test(
            the_longest_line_is_given_and_a_longer_one_passed_over),
        cmocka_unit_test(an_endless_line_is_one_torn_line_and_keeps_its_offset),
        cmocka_unit_test(lines_with_nul_are_passed_over),
        cmocka_unit_test(a_file_that_shrinks_is_truncated),
        cmocka_unit_test(a_read_error_is_told),
        cmocka_unit_test(every_line_survives_the_edges_of_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
