#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct settings *settings_of(const char *text, struct error *error)
{
    char path[] = "/tmp/nixie-settings-XXXXXX";
    int fd = mkstemp(path);
    struct settings *settings;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    assert_int_equal(close(fd), 0);
    settings = settings_load(path, error);
    if (settings == NULL) {
        /* every error names the file first */
        assert_int_equal(strncmp(error->text, path, strlen(path)), 0);
        memmove(error->text, error->text + strlen(path),
                strlen(error->text + strlen(path)) + 1);
    }
    assert_int_equal(unlink(path), 0);
    return settings;
}

struct settings *settings_in(const char *folder, const char *text)
{
    char whole[1024] = "";
    size_t used = 0;
    struct error error = {""};
    struct settings *settings;

    for (; *text != '\0'; text++) {
        int length =
            *text == '~'
                ? snprintf(whole + used, sizeof whole - used, "%s", folder)
                : snprintf(whole + used, sizeof whole - used, "%c", *text);

        assert_in_range(length, 1, sizeof whole - used - 1);
        used += (size_t)length;
    }
    settings = settings_of(whole, &error);
    if (settings == NULL) {
        fail_msg("%s gave %s", whole, error.text);
    }
    return settings;
}

void settings_are_refused(const struct settings_fault *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error error = {""};
        struct settings *settings = settings_of(rows[i].text, &error);

        if (settings != NULL) {
            fail_msg("taken: %s", rows[i].text);
        }
        if (strncmp(error.text, rows[i].place, strlen(rows[i].place)) != 0 ||
            strstr(error.text, rows[i].words) == NULL) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
        /* what was refused leaves nothing behind in libconfuse */
        settings_free(settings_of("mode = \"observe\"\n", &error));
    }
}

void settings_are_taken(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error error = {""};
        struct settings *settings = settings_of(texts[i], &error);

        if (settings == NULL) {
            fail_msg("%s gave %s", texts[i], error.text);
        }
        settings_free(settings);
    }
}
