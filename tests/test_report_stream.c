#include "report_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENVELOPE "From a@b Thu Jan  1 00:00:00 2026\n"

static struct report_stream *stream;
static FILE *file;

static int begin(void **state)
{
    (void)state;
    stream = report_stream_new();
    file = tmpfile();
    return stream != NULL && file != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    report_stream_free(stream);
    return fclose(file);
}

static void put_body(size_t length)
{
    for (size_t i = 0; i < length; i++) {
        (void)fputc(i % 64 == 63 ? '\n' : 'x', file);
    }
}

static void rewind_file(void)
{
    assert_int_equal(fflush(file), 0);
    rewind(file);
    report_stream_begin(stream, fileno(file));
}

static struct text next(void)
{
    struct text message = {NULL, 0};

    assert_int_equal(report_stream_next(stream, &message),
                     REPORT_STREAM_MESSAGE);
    return message;
}

static void assert_over(void)
{
    struct text message;

    assert_int_equal(report_stream_next(stream, &message), REPORT_STREAM_END);
}

static void report_stream_gives_nothing_of_an_empty_file(void **state)
{
    (void)state;
    rewind_file();
    assert_over();
    assert_over();
}

static void report_stream_gives_one_message_of_what_is_no_mbox(void **state)
{
    struct text message;

    (void)state;
    (void)fputs("Subject: x\n\n" ENVELOPE, file);
    put_body(3 * REPORT_STREAM_HELD);
    rewind_file();
    message = next();
    assert_memory_equal(message.bytes, "Subject: x\n", 11);
    assert_true(message.length >= REPORT_STREAM_HELD);
    assert_over();
}

/* Wherever the buffer ends, as the sizes grow by one. */
static void report_stream_finds_each_message_behind_a_long_one(void **state)
{
    (void)state;
    for (size_t more = 0; more < 700;
         more += more < 30 || more > 480 ? 1 : 50) {
        rewind(file);
        assert_int_equal(ftruncate(fileno(file), 0), 0);
        (void)fputs(ENVELOPE "Subject: first\n\n", file);
        put_body(REPORT_STREAM_HELD + more);
        (void)fputs("\n\n" ENVELOPE "Subject: second\n\nshort\n\n" ENVELOPE
                    "Subject: third\n\n",
                    file);
        rewind_file();
        assert_true(next().length >= REPORT_STREAM_HELD);
        assert_memory_equal(next().bytes + sizeof ENVELOPE - 1,
                            "Subject: second\n", 16);
        assert_memory_equal(next().bytes + sizeof ENVELOPE - 1,
                            "Subject: third\n", 15);
        assert_over();
    }
}

static void report_stream_ends_where_a_file_was_cut_meanwhile(void **state)
{
    int count = 0;
    struct text message;

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)fputs(ENVELOPE "Subject: x\n\n", file);
        put_body(64 * 1024);
        (void)fputs("\n\n", file);
    }
    rewind_file();
    (void)next();
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    while (report_stream_next(stream, &message) == REPORT_STREAM_MESSAGE) {
        count++;
    }
    assert_in_range(count, 0, 20);
    assert_over();
}

static void report_stream_says_what_cannot_be_read(void **state)
{
    struct text message;

    (void)state;
    report_stream_begin(stream, -1);
    assert_int_equal(report_stream_next(stream, &message), REPORT_STREAM_ERROR);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            report_stream_gives_nothing_of_an_empty_file, begin, end),
        cmocka_unit_test_setup_teardown(
            report_stream_gives_one_message_of_what_is_no_mbox, begin, end),
        cmocka_unit_test_setup_teardown(
            report_stream_finds_each_message_behind_a_long_one, begin, end),
        cmocka_unit_test_setup_teardown(
            report_stream_ends_where_a_file_was_cut_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(report_stream_says_what_cannot_be_read,
                                        begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
