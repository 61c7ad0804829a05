#include "command.h"
#include "scratch.h"
#include "shown.h"
#include "trace_keys.h"

#include <pwd.h>
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

#define OUTPUT_MAX 4096

/* As the table of nixie has them. */
static const struct command rotate = {
    .name = "trace-key rotate",
    .arguments = "",
    .run = command_trace_key_rotate,
};
static const struct command list = {
    .name = "trace-key list",
    .arguments = "",
    .run = command_trace_key_list,
};

struct place {
    char folder[32];
    char file[64];
    struct settings *settings;
};

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct error error = {""};

    if (place == NULL) {
        return -1;
    }
    scratch_make(place->folder);
    (void)snprintf(place->file, sizeof place->file, "%s/trace.keys",
                   place->folder);
    place->settings = settings_load(NULL, &error);
    assert_non_null(place->settings);
    free(place->settings->trace_keys);
    place->settings->trace_keys = strdup(place->file);
    free(place->settings->user);
    place->settings->user = strdup("nobody"); /* all hosts have it */
    assert_non_null(place->settings->trace_keys);
    assert_non_null(place->settings->user);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;

    settings_free(place->settings);
    (void)unlink(place->file);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

/* What it prints; complaints go nowhere. */
static enum command_status run(const struct place *place,
                               const struct command *command, bool json,
                               char output[OUTPUT_MAX])
{
    const struct command_call call = {
        .command = command, .settings = place->settings, .json = json};
    struct shown shown;
    enum command_status status;

    shown_begin(&shown);
    status = command->run(&call);
    shown_end(&shown, output, OUTPUT_MAX);
    return status;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; (text = strchr(text, '\n')) != NULL; text++) {
        count++;
    }
    return count;
}

static void command_trace_key_rotate_makes_the_key_that_signs(void **state)
{
    const struct place *place = *state;
    char output[OUTPUT_MAX];
    struct stat status;

    assert_int_equal(run(place, &list, false, output), COMMAND_FAULT);
    assert_string_equal(output, "");
    assert_int_equal(run(place, &rotate, false, output), COMMAND_OK);
    assert_memory_equal(output, " 0  made 20", 11);
    assert_non_null(strstr(output, "Z  signs\n"));
    assert_int_equal(run(place, &rotate, true, output), COMMAND_OK);
    assert_memory_equal(output, "{\"kid\":1,\"created_at\":\"20", 25);
    assert_non_null(strstr(output, "\"state\":\"signs\"}\n"));
    assert_int_equal(count_lines(output), 1);
    assert_int_equal(run(place, &list, false, output), COMMAND_OK);
    assert_int_equal(count_lines(output), 2);
    assert_non_null(strstr(output, "Z  verifies\n 1  made"));
    assert_int_equal(stat(place->file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    if (geteuid() == 0) {
        const struct passwd *nobody = getpwnam("nobody");

        assert_non_null(nobody);
        assert_int_equal(status.st_uid, nobody->pw_uid);
    }
}

static void command_trace_key_list_shows_no_secret(void **state)
{
    const struct place *place = *state;
    char output[OUTPUT_MAX];
    char lines[OUTPUT_MAX] = "";
    FILE *file;

    assert_int_equal(run(place, &rotate, false, output), COMMAND_OK);
    file = fopen(place->file, "re");
    assert_non_null(file);
    assert_true(fread(lines, 1, sizeof lines - 1, file) > 64);
    (void)fclose(file);
    for (int json = 0; json <= 1; json++) {
        const char *secret = strchr(strstr(lines, "\n0 ") + 1, ' ') + 1;

        assert_int_equal(run(place, &list, json != 0, output), COMMAND_OK);
        for (size_t at = 0; at + 8 <= 64; at++) {
            assert_null(memmem(output, strlen(output), secret + at, 8));
        }
    }
}

static void command_trace_key_list_tells_that_none_signs(void **state)
{
    const struct place *place = *state;
    char output[OUTPUT_MAX];
    FILE *file = fopen(place->file, "we");

    assert_non_null(file);
    (void)fputs("4 3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d"
                "2e1f 2001-01-01T00:00:00Z\n",
                file);
    (void)fclose(file);
    assert_int_equal(chmod(place->file, 0600), 0);
    assert_int_equal(run(place, &list, false, output), COMMAND_NO);
    assert_string_equal(output, " 4  made 2001-01-01T00:00:00Z  verifies until "
                                "2001-02-15T00:00:00Z  old\n");
}

static void command_trace_key_needs_a_file_that_is_set(void **state)
{
    const struct place *place = *state;
    char output[OUTPUT_MAX];

    place->settings->trace_keys[0] = '\0';
    assert_int_equal(run(place, &list, false, output), COMMAND_FAULT);
    assert_int_equal(run(place, &rotate, false, output), COMMAND_FAULT);
    assert_string_equal(output, "");
}

#define TEST_WITH_PLACE(name)                                                  \
    cmocka_unit_test_setup_teardown(name, open_place, close_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_PLACE(command_trace_key_rotate_makes_the_key_that_signs),
        TEST_WITH_PLACE(command_trace_key_list_shows_no_secret),
        TEST_WITH_PLACE(command_trace_key_list_tells_that_none_signs),
        TEST_WITH_PLACE(command_trace_key_needs_a_file_that_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
