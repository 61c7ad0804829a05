#include "recorder_position.h"
#include "scratch.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD                                                                   \
    "{\"instance\":\"0123456789abcdef\",\"file_number\":3,"                    \
    "\"file_nonce\":\"00112233445566778899aabbccddeeff\",\"offset\":12,"       \
    "\"seq\":9,\"applied\":["

static void what_is_saved_is_loaded(void **state)
{
    char folder[SCRATCH_SIZE];
    char path[64];
    struct recorder_position saved, loaded;
    struct error error;

    (void)state;
    memset(&saved, 0, sizeof saved);
    text_copy(text_of("0123456789abcdef"), saved.instance,
              sizeof saved.instance);
    text_copy(text_of("00112233445566778899aabbccddeeff"), saved.file_nonce,
              sizeof saved.file_nonce);
    saved.file_number = 7;
    saved.offset = INT64_C(9007199254740993);
    saved.seq = INT64_C(9007199254740991);
    for (int i = 0; i < STORE_BUCKETS; i++) {
        saved.applied[i] = i * INT64_C(140737488355327);
    }
    scratch_make(folder);
    assert_false(recorder_position_load(folder, &loaded, &error));
    assert_string_equal(error.text, ""); /* there is none, which is fine */
    assert_true(recorder_position_save(folder, &saved, &error));
    assert_true(recorder_position_save(folder, &saved, &error));
    assert_true(recorder_position_load(folder, &loaded, &error));
    assert_memory_equal(&saved, &loaded, sizeof saved);
    (void)snprintf(path, sizeof path, "%s/recorder.position", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_folder_that_takes_nothing_is_an_error(void **state)
{
    struct recorder_position position;
    struct error error = {""};

    (void)state;
    memset(&position, 0, sizeof position);
    assert_false(recorder_position_save("/nonexistent", &position, &error));
    assert_non_null(strstr(error.text, "/nonexistent"));
}

static void what_is_no_position_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "\xff",
        HEAD "]}",
        HEAD "\"1\"]}",
        HEAD "1,2,3]}",
        "{\"instance\":\"0123456789abcdeF\"}",
        "{\"instance\":\"../../../etc/pas\"}",
    };
    struct recorder_position position;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error error = {""};

        assert_false(recorder_position_parse(texts[i], strlen(texts[i]),
                                             &position, &error));
        assert_string_not_equal(error.text, "");
    }
}

/* A position with all 64 checkpoints alike. */
static bool parses(const char *checkpoint)
{
    char text[4096] = HEAD;
    struct recorder_position position;
    struct error error;
    size_t used = strlen(text);

    for (int i = 0; i < STORE_BUCKETS; i++) {
        int length = snprintf(text + used, sizeof text - used, "%s%s",
                              i == 0 ? "" : ",", checkpoint);

        assert_true(length > 0);
        used += (size_t)length;
    }
    (void)snprintf(text + used, sizeof text - used, "]}");
    return recorder_position_parse(text, strlen(text), &position, &error);
}

static void checkpoints_are_decimal_texts(void **state)
{
    (void)state;
    assert_true(parses("\"0\""));
    assert_true(parses("\"9007199254740991\""));
    assert_false(parses("\"\""));
    assert_false(parses("\"-1\""));
    assert_false(parses("\"01\""));
    assert_false(parses("\"1 \""));
    assert_false(parses("\"1e3\""));
    assert_false(parses("\"99999999999999999999\""));
    assert_false(parses("1"));
    assert_false(parses("null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(a_folder_that_takes_nothing_is_an_error),
        cmocka_unit_test(what_is_no_position_is_refused),
        cmocka_unit_test(checkpoints_are_decimal_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
