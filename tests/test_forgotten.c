#include "forgotten.h"
#include "scratch.h"

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

static const struct mailbox_rules rules = {.keep_local_case = false};

struct place {
    char folder[32];
    struct forgotten *forgotten;
};

static void open_in(struct place *place)
{
    struct error error = {""};

    place->forgotten = forgotten_open(place->folder, &rules, &error);
    assert_string_equal(error.text, "");
    assert_non_null(place->forgotten);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    scratch_make(place->folder);
    open_in(place);
    *state = place;
    return 0;
}

static void path_of(const struct place *place, const char *name, char path[64])
{
    (void)snprintf(path, 64, "%s/%s", place->folder, name);
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char path[64];

    forgotten_free(place->forgotten);
    path_of(place, "privacy.key", path);
    (void)unlink(path);
    path_of(place, "forgotten", path);
    (void)unlink(path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static void forget(struct place *place, const char *address,
                   char name[PSEUDONYM_SIZE])
{
    struct mailbox mailbox;
    struct error error = {""};

    assert_int_equal(mailbox_parse(text_of(address), &rules, &mailbox),
                     MAILBOX_OK);
    assert_true(forgotten_add(place->forgotten, &mailbox, name, &error));
    assert_string_equal(error.text, "");
}

static struct event make_event(enum event_type type, const char *recipient)
{
    struct event event;

    event_init(&event, type, 1);
    event.origin = text_of("session");
    event.recipient = text_of(recipient);
    event.original_recipient = text_of("ANN@example.org");
    event.diagnostic = text_of("<ann@example.org> is full");
    event.sender = text_of("bob@example.org");
    event.suppression_pattern = text_of(recipient);
    return event;
}

static void forgotten_veil_leaves_others_alone(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_RECEPTION, "carl@example.org");
    char name[PSEUDONYM_SIZE], room[FORGOTTEN_ROOM];

    forgotten_veil(place->forgotten, &event, room);
    forget(place, "ann@example.org", name);
    forgotten_veil(place->forgotten, &event, room);
    assert_true(text_is(event.recipient, "carl@example.org"));
    assert_true(text_is(event.diagnostic, "<ann@example.org> is full"));
    assert_true(text_is(event.sender, "bob@example.org"));
}

static void forgotten_veil_puts_the_pseudonym(void **state)
{
    static const char *const spellings[] = {
        "ann@example.org", "ANN@Example.ORG.", "\"ann\"@example.org"};
    struct place *place = *state;
    char name[PSEUDONYM_SIZE], room[FORGOTTEN_ROOM];

    forget(place, "ann@example.org", name);
    assert_int_equal(strlen(name), 2 + 26 + strlen("@example.org"));
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct event event = make_event(EVENT_BOUNCE, spellings[i]);

        forgotten_veil(place->forgotten, &event, room);
        assert_true(text_is(event.recipient, name));
        assert_true(text_is(event.suppression_pattern, name));
        assert_null(event.original_recipient.bytes);
        assert_null(event.diagnostic.bytes);
        assert_true(text_is(event.sender, "bob@example.org"));
    }
}

static void forgotten_veil_hides_a_sender_too(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_RECEPTION, "carl@example.org");
    char name[PSEUDONYM_SIZE], room[FORGOTTEN_ROOM];

    forget(place, "bob@example.org", name);
    event.auth_user = event.sender;
    forgotten_veil(place->forgotten, &event, room);
    assert_true(text_is(event.sender, name));
    assert_true(text_is(event.auth_user, name));
    assert_true(text_is(event.recipient, "carl@example.org"));
}

static void forgotten_veil_keeps_what_an_operator_names(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_SUPPRESSION_ADDED, "ann@example.org");
    char name[PSEUDONYM_SIZE], room[FORGOTTEN_ROOM];

    forget(place, "ann@example.org", name);
    event.origin = text_of("command");
    forgotten_veil(place->forgotten, &event, room);
    assert_true(text_is(event.suppression_pattern, "ann@example.org"));
    event.origin = text_of("policy");
    forgotten_veil(place->forgotten, &event, room);
    assert_true(text_is(event.suppression_pattern, name));
}

static void forgotten_open_knows_what_was_forgotten(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_RECEPTION, "ann@example.org");
    char name[PSEUDONYM_SIZE], again[PSEUDONYM_SIZE];
    char room[FORGOTTEN_ROOM];
    char path[64];
    struct stat status;

    forget(place, "ann@example.org", name);
    forgotten_free(place->forgotten);
    open_in(place);
    forgotten_veil(place->forgotten, &event, room);
    assert_true(text_is(event.recipient, name));
    forget(place, "ann@example.org", again);
    assert_string_equal(name, again);
    path_of(place, "forgotten", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, strlen(name) + 1);
    path_of(place, "privacy.key", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void forgotten_open_refuses_a_key_that_is_none(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *told;
    } rows[] = {{"", 0600, "64 hex digits"},
                {"00112233", 0600, "64 hex digits"},
                {"00112233445566778899aabbccddeeff00112233445566778899aabbccdd"
                 "eexx",
                 0600, "64 hex digits"},
                {"00112233445566778899aabbccddeeff00112233445566778899aabbccdd"
                 "eeff",
                 0604, "open to all"}};
    struct place *place = *state;
    char path[64];

    path_of(place, "privacy.key", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        (void)fputs(rows[i].text, file);
        (void)fclose(file);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        assert_null(forgotten_open(place->folder, &rules, &error));
        assert_non_null(strstr(error.text, rows[i].told));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forgotten_veil_leaves_others_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_veil_puts_the_pseudonym,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_veil_hides_a_sender_too,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            forgotten_veil_keeps_what_an_operator_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_open_knows_what_was_forgotten,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            forgotten_open_refuses_a_key_that_is_none, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
