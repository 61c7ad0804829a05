#include "check_shown.h"
#include "lists_world.h"
#include "settings_text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RIGHTS_MAX 64
#define LINE_SIZE  512

/* "+hget" of the ACL that nixie-redis(7) has. */
struct rights {
    size_t count;
    char words[RIGHTS_MAX][24];
};

static void take_line(struct rights *rights, char *line)
{
    char *rest = NULL;

    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        if (word[0] == '+' || word[0] == '&') {
            assert_true(rights->count < RIGHTS_MAX);
            (void)snprintf(rights->words[rights->count++],
                           sizeof rights->words[0], "%.23s", word);
        }
    }
}

static void read_rights(struct rights *rights)
{
    const char *source = getenv("NIXIE_SOURCE");
    char path[LINE_SIZE];
    char line[LINE_SIZE];
    bool on = false;
    FILE *file;

    (void)snprintf(path, sizeof path, "%.400s/packaging/man/nixie-redis.7",
                   source == NULL ? "." : source);
    file = fopen(path, "re");
    if (file == NULL) {
        skip(); /* run by hand, from elsewhere */
    }
    rights->count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        on = on || strncmp(line, "ACL SETUSER nixie", 17) == 0;
        if (on && line[0] == '.') {
            break;
        }
        if (on) {
            take_line(rights, line);
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(rights->count > 20);
}

static void rights_part(struct check *check, struct settings *settings,
                        const char *path)
{
    (void)settings;
    (void)path;
    (void)command_check_rights(check);
}

/* The check as the user nixie, who has all rights but one, or but keys. */
static bool check_without(struct world *world, const struct rights *rights,
                          const char *without, const char *keys,
                          char output[CHECK_SHOWN_SIZE])
{
    static const struct check_part part = {rights_part, NULL};
    const char *words[RIGHTS_MAX + 8] = {"ACL", "SETUSER", "nixie", "reset",
                                         "on",  ">secret", keys,    "-@all"};
    char password[64];
    char text[512];
    struct settings *settings;
    size_t count = 8;
    bool well;
    int fd;

    for (size_t i = 0; i < rights->count; i++) {
        if (without == NULL || strcmp(rights->words[i], without) != 0) {
            words[count++] = rights->words[i];
        }
    }
    world_operate_bytes(world, count, words, NULL);
    (void)snprintf(password, sizeof password, "/tmp/nixie-rights-%ld",
                   (long)getpid());
    fd = open(password, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "secret\n", 7), 7);
    assert_int_equal(close(fd), 0);
    (void)snprintf(text, sizeof text,
                   "redis = \"%.200s\"\nredis_user = \"nixie\"\n"
                   "redis_password_file = \"~/nixie-rights-%ld\"\n",
                   redis_server_location(world->server), (long)getpid());
    settings = settings_in("/tmp", text);
    well = check_shown(&part, settings, output);
    settings_free(settings);
    assert_int_equal(unlink(password), 0);
    return well;
}

static void command_check_rights_are_those_of_the_manual(void **state)
{
    char output[CHECK_SHOWN_SIZE];
    struct rights rights;

    read_rights(&rights);
    if (!check_without(*state, &rights, NULL, "~nixie:*", output) ||
        strstr(output, "may do all that nixied does") == NULL) {
        fail_msg("%s", output);
    }
}

static bool is_for_cache(const char *word)
{
    static const char *const words[] = {"+client|id", "+client|tracking",
                                        "+ping",      "+scan",
                                        "+subscribe", "&__redis__:invalidat"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(word, words[i], strlen(words[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void command_check_rights_names_each_that_is_missing(void **state)
{
    struct rights rights;

    read_rights(&rights);
    for (size_t i = 0; i < rights.count; i++) {
        const char *word = rights.words[i];
        bool script = strncmp(word, "+eval", 5) == 0;
        char output[CHECK_SHOWN_SIZE];
        bool cache = is_for_cache(word);
        bool watch = strcmp(word, "+set") == 0 || strcmp(word, "+time") == 0;
        char told[32] = "EVAL";
        bool well = check_without(*state, &rights, word, "~nixie:*", output);

        if (cache) {
            memcpy(told, "cache", sizeof "cache");
        }
        for (size_t j = 1;
             !script && !cache && j < sizeof told && word[j - 1] != '\0'; j++) {
            told[j - 1] =
                (char)(word[j] >= 'a' ? word[j] - 'a' + 'A' : word[j]);
        }
        if (well != (script || cache || watch) ||
            strstr(output, told) == NULL ||
            strncmp(output, well ? "warn" : "FAIL", 4) != 0) {
            fail_msg("%s: %s", word, output);
        }
    }
}

static void command_check_rights_looks_at_each_kind_of_key(void **state)
{
    static const struct row {
        const char *keys;
        const char *told;
    } rows[] = {
        {"~nixie:{*", "nixie:suppress:"},
        {"~nixie:[sau]*", "nixie:{00}:"},
        {"~nixie:[{su]*", "nixie:allow:"},
        {"~nixie:[{sa]*", "nixie:unclassified"},
        {"~other:*", "nixie:{00}:"},
    };
    struct rights rights;

    read_rights(&rights);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[CHECK_SHOWN_SIZE];

        if (check_without(*state, &rights, NULL, rows[i].keys, output) ||
            strstr(output, rows[i].told) == NULL) {
            fail_msg("%s: %s", rows[i].keys, output);
        }
    }
}

static void command_check_rights_writes_nothing(void **state)
{
    static const char *const empty[] = {
        "EVAL", "if redis.call('DBSIZE') > 0 then error('kept') end", "0"};
    struct world *world = *state;
    char output[CHECK_SHOWN_SIZE];
    struct rights rights;

    read_rights(&rights);
    assert_true(check_without(world, &rights, NULL, "~*", output));
    world_operate_bytes(world, 3, empty, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(command_check_rights_are_those_of_the_manual,
                               world_empty),
        cmocka_unit_test_setup(command_check_rights_names_each_that_is_missing,
                               world_empty),
        cmocka_unit_test_setup(command_check_rights_looks_at_each_kind_of_key,
                               world_empty),
        cmocka_unit_test_setup(command_check_rights_writes_nothing,
                               world_empty),
    };

    if (!redis_server_installed()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
