#include "privacy.h"
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

#define ROWS(rows)  (sizeof(rows) / sizeof(rows)[0])
#define NAME_LENGTH (2 + 26)

static const char key_line[] =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
static const struct mailbox_rules rules = {.keep_local_case = false};

/* By the key above; worked out with another program (Python's hmac). */
#define ANN "h-qjh6nr72qlgh2jzjzns37c3ov3@example.org"

struct place {
    char folder[32];
    struct forgotten *forgotten;
    struct privacy *privacies[3];
    char room[PRIVACY_ROOM];
};

static void path_of(const struct place *place, const char *name, char path[64])
{
    (void)snprintf(path, 64, "%s/%s", place->folder, name);
}

static struct privacy *open_in(struct place *place, enum settings_privacy mode)
{
    const struct privacy_options options = {.mode = mode,
                                            .state_dir = place->folder,
                                            .rules = &rules,
                                            .forgotten = place->forgotten};
    struct error error = {""};
    struct privacy *privacy = privacy_new(&options, &error);

    assert_string_equal(error.text, "");
    assert_non_null(privacy);
    return privacy;
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct error error = {""};
    char path[64];

    scratch_make(place->folder);
    path_of(place, "privacy.key", path);
    scratch_write(path, key_line);
    assert_int_equal(chmod(path, 0600), 0);
    place->forgotten = forgotten_open(place->folder, &rules, &error);
    assert_non_null(place->forgotten);
    for (int mode = 0; mode < 3; mode++) {
        place->privacies[mode] = open_in(place, (enum settings_privacy)mode);
    }
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char path[64];

    for (int mode = 0; mode < 3; mode++) {
        privacy_free(place->privacies[mode]);
    }
    forgotten_free(place->forgotten);
    path_of(place, "privacy.key", path);
    (void)unlink(path);
    path_of(place, "forgotten", path);
    (void)unlink(path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static struct event make_event(enum event_type type, const char *origin)
{
    struct event event;

    event_init(&event, type, 1);
    event.origin = text_of(origin);
    event.recipient = text_of("ann@example.org");
    event.recipient_domain = text_of("example.org");
    event.original_recipient = text_of("ANN@Example.ORG");
    event.final_recipient = text_of("ann.smith@example.net");
    event.sender = text_of("Bob@Example.COM");
    event.auth_user = text_of("bob");
    event.suppression_pattern = text_of("ann@example.org");
    event.suppression_note = text_of("ann@example.org asked");
    event.suppression_evidence = text_of("Q1 550 <ann@example.org>: no");
    event.diagnostic = text_of("550 <ann@example.org>: user ann unknown");
    event.message_id = text_of("123.ann@example.org");
    event.client_name = text_of("mx.example.org");
    return event;
}

static void veil(struct place *place, enum settings_privacy mode,
                 struct event *event)
{
    privacy_veil(place->privacies[mode], event, place->room);
}

static void assert_text(struct text text, const char *expected)
{
    if (expected == NULL) {
        assert_null(text.bytes);
        return;
    }
    assert_non_null(text.bytes);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

/* A pseudonym with what is behind it. */
static void assert_hashed(struct text text, const char *behind)
{
    assert_true(pseudonym_is(text));
    assert_int_equal(text.length, NAME_LENGTH + strlen(behind));
    assert_memory_equal(text.bytes + NAME_LENGTH, behind, strlen(behind));
}

static void full_changes_nothing(void **state)
{
    struct event event = make_event(EVENT_BOUNCE, "maillog");
    struct event before = event;

    veil(*state, PRIVACY_FULL, &event);
    assert_memory_equal(&event, &before, sizeof event);
    assert_null(privacy_key(((struct place *)*state)->privacies[PRIVACY_FULL]));
}

static void hash_names_each_member(void **state)
{
    struct event event = make_event(EVENT_SUPPRESSED, "session");

    veil(*state, PRIVACY_HASH, &event);
    assert_text(event.recipient, ANN);
    assert_text(event.original_recipient, NULL); /* it says the same */
    assert_text(event.suppression_pattern, ANN);
    assert_hashed(event.final_recipient, "@example.net");
    assert_hashed(event.sender, "@example.com");
    assert_hashed(event.auth_user, "");
    assert_text(event.recipient_domain, "example.org");
    assert_text(event.diagnostic, "550 <addr>: user <addr> unknown");
    assert_text(event.suppression_note, "<addr> asked");
    assert_text(event.suppression_evidence, "Q1 550 <addr>: no");
    assert_text(event.message_id, "123.ann@example.org");
    assert_text(event.client_name, "mx.example.org");
}

static void hash_knows_each_form_of_a_mailbox(void **state)
{
    static const char *const spellings[] = {
        "ann@example.org",
        "ANN@Example.ORG.",
        "\"ann\"@example.org",
        "<Ann@example.org>",
        "@relay.test:ann@example.org",
        "a\\nn@example.org",
    };

    for (size_t i = 0; i < ROWS(spellings); i++) {
        struct event event = make_event(EVENT_RECEPTION, "session");

        event.sender = text_of(spellings[i]);
        event.original_recipient = text_of(spellings[i]);
        veil(*state, PRIVACY_HASH, &event);
        assert_text(event.sender, ANN);
        assert_text(event.original_recipient, NULL);
    }
}

static void hash_tells_mailboxes_apart(void **state)
{
    static const char *const others[] = {"anna@example.org", "ann@example.net",
                                         "ann@", "ann", "ann+x@example.org"};

    for (size_t i = 0; i < ROWS(others); i++) {
        struct event event = make_event(EVENT_RECEPTION, "session");

        event.sender = text_of(others[i]);
        veil(*state, PRIVACY_HASH, &event);
        assert_true(pseudonym_is(event.sender));
        assert_memory_not_equal(event.sender.bytes, ANN, NAME_LENGTH);
    }
}

static void hash_leaves_nobody_nobody(void **state)
{
    struct event event;

    event_init(&event, EVENT_RECEPTION, 1);
    event.sender = text_of("");
    veil(*state, PRIVACY_HASH, &event);
    assert_text(event.sender, "");
    assert_null(event.recipient.bytes);
    veil(*state, PRIVACY_DOMAIN, &event);
    assert_text(event.sender, "");
}

static void hash_hashes_nothing_twice(void **state)
{
    static const char *const origins[] = {"session", "maillog", "policy",
                                          "report", "command"};

    for (size_t i = 0; i < ROWS(origins); i++) {
        struct event event = make_event(EVENT_SUPPRESSION_ADDED, origins[i]);

        event.recipient = text_of(ANN);
        event.suppression_pattern = text_of(ANN);
        event.sender = text_of(ANN);
        veil(*state, PRIVACY_HASH, &event);
        assert_text(event.recipient, ANN);
        assert_text(event.suppression_pattern, ANN);
        assert_text(event.sender, ANN);
    }
}

static void hash_takes_no_other_form_for_a_pseudonym(void **state)
{
    static const char *const others[] = {
        "h-abcdefghijklmnopqrstuvwxy@example.org",
        "h-abcdefghijklmnopqrstuvwxyzz@example.org",
        "h-abcdefghijklmnopqrstuvwxy1@example.org",
        "H-abcdefghijklmnopqrstuvwxyz@example.org",
        "h-ABCDEFGHIJKLMNOPQRSTUVWXYZ@example.org",
        "x-abcdefghijklmnopqrstuvwxyz@example.org",
        "h-abcdefghijklmnopqrstuvwxyz@",
        "h-abcdefghijklmnopqrstuvwxyz.",
        "h-abcdefghijklmnopqrstuvwxyz\n@example.org",
        "h-abcdefghijklmnopqrstuvwxyz@bob@example.org",
        "h-abcdefghijklmnopqrstuvwxyz@x\\\"b\"@c>",
        "h-abcdefghijklmnopqrstuvwxyz@Example.org",
    };

    for (size_t i = 0; i < ROWS(others); i++) {
        struct event event = make_event(EVENT_RECEPTION, "session");

        assert_false(pseudonym_is(text_of(others[i])));
        event.recipient = text_of(others[i]);
        veil(*state, PRIVACY_HASH, &event);
        assert_true(pseudonym_is(event.recipient));
        assert_false(text_is(event.recipient, others[i]));
    }
}

static void patterns_are_hashed_where_they_name_a_mailbox(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool hashed; /* in hash, and ... */
        const char *behind;
    } rows[] = {
        {"ann@example.org", "session", true, "@example.org"},
        {"ann@example.org", "command", true, "@example.org"},
        {"ann@example.org", "redis", true, "@example.org"},
        {"@example.org", "session", false, NULL},
        {"@.example.org", "session", false, NULL},
        {"ann@", "session", true, "@"},
        {"ann@", "command", false, NULL},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct event event =
            make_event(EVENT_SUPPRESSION_ADDED, rows[i].origin);
        struct text *pattern = &event.suppression_pattern;

        *pattern = text_of(rows[i].pattern);
        veil(*state, PRIVACY_HASH, &event);
        if (rows[i].hashed) {
            assert_int_equal(pattern->length,
                             NAME_LENGTH + strlen(rows[i].behind));
            assert_true(
                pseudonym_is((struct text){pattern->bytes, NAME_LENGTH}));
            assert_memory_equal(pattern->bytes + NAME_LENGTH, rows[i].behind,
                                strlen(rows[i].behind));
        } else {
            assert_text(*pattern, rows[i].pattern);
        }
    }
}

/* As it stands in Redis, it must be named. */
static void what_is_taken_away_is_named_as_it_stands_there(void **state)
{
    static const enum event_type types[] = {EVENT_SUPPRESSION_REMOVED,
                                            EVENT_ALLOW_REMOVED,
                                            EVENT_RECIPIENT_FORGOTTEN};

    for (size_t i = 0; i < ROWS(types); i++) {
        for (int mode = 0; mode < 3; mode++) {
            struct event event = make_event(types[i], "command");

            veil(*state, (enum settings_privacy)mode, &event);
            assert_text(event.suppression_pattern, "ann@example.org");
            assert_text(event.recipient, "ann@example.org");
        }
    }
}

static void domain_leaves_local_parts_out(void **state)
{
    struct event event = make_event(EVENT_BOUNCE, "maillog");

    event.counted = 1;
    event.strike_limit = 5;
    event.strike_days = 3;
    event.strike_window_seconds = 3600;
    veil(*state, PRIVACY_DOMAIN, &event);
    assert_text(event.recipient, NULL);
    assert_text(event.original_recipient, NULL);
    assert_text(event.final_recipient, NULL);
    assert_text(event.auth_user, NULL);
    assert_text(event.suppression_pattern, NULL);
    assert_text(event.recipient_domain, "example.org");
    assert_text(event.sender, "@example.com");
    assert_text(event.diagnostic, "550 <addr>: user <addr> unknown");
    assert_int_equal(event.counted, 0);
    assert_int_equal(event.strike_limit, EVENT_UNKNOWN);
    assert_int_equal(event.strike_days, EVENT_UNKNOWN);
    assert_int_equal(event.strike_window_seconds, EVENT_UNKNOWN);
}

static void domain_has_pseudonyms_on_the_lists(void **state)
{
    struct event event = make_event(EVENT_SUPPRESSION_ADDED, "command");

    veil(*state, PRIVACY_DOMAIN, &event);
    assert_text(event.suppression_pattern, ANN);
    event = make_event(EVENT_SUPPRESSED, "session");
    event.suppression_pattern = text_of("@example.org");
    veil(*state, PRIVACY_DOMAIN, &event);
    assert_text(event.suppression_pattern, "@example.org");
    event.suppression_pattern = text_of("ann@");
    veil(*state, PRIVACY_DOMAIN, &event);
    assert_text(event.suppression_pattern, NULL);
}

static void the_forgotten_have_the_same_name(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_BOUNCE, "maillog");
    struct error error = {""};
    struct mailbox mailbox;
    char name[PSEUDONYM_SIZE];

    for (size_t i = 0; i < 2; i++) {
        (void)mailbox_parse(i == 0 ? text_of("ann@example.org") : text_of(ANN),
                            &rules, &mailbox);
        assert_true(forgotten_add(place->forgotten, &mailbox, name, &error));
        assert_string_equal(name, ANN);
    }
    for (int mode = 0; mode < 2; mode++) {
        event = make_event(EVENT_BOUNCE, "maillog");
        veil(place, (enum settings_privacy)mode, &event);
        assert_text(event.recipient, ANN);
        assert_text(event.diagnostic, NULL);
    }
}

/* As long as they come, and all at once; whatever the bytes. */
static void what_is_long_or_hostile_stays_in_the_room(void **state)
{
    static const char fillers[] = {'a', '@',  '\0', '\xff', '"',
                                   '<', '\n', '.',  '%'};
    struct place *place = *state;
    size_t size = 5000;
    char *text = malloc(size);

    assert_non_null(text);
    for (size_t i = 0; i < ROWS(fillers); i++) {
        for (int mode = 1; mode < 3; mode++) {
            struct event event = make_event(EVENT_BOUNCE, "maillog");
            struct text *const members[] = {
                &event.recipient,           &event.original_recipient,
                &event.final_recipient,     &event.sender,
                &event.auth_user,           &event.suppression_pattern,
                &event.diagnostic,          &event.suppression_note,
                &event.suppression_evidence};
            /* on the heap, so that a sanitizer sees its end */
            char *room = malloc(PRIVACY_ROOM);

            assert_non_null(room);
            memset(text, fillers[i], size);
            memcpy(text + 300, "@example.org", 12);
            for (size_t j = 0; j < ROWS(members); j++) {
                *members[j] = (struct text){text, j % 2 == 0 ? size : 312};
            }
            privacy_veil(place->privacies[mode], &event, room);
            for (size_t j = 0; j < ROWS(members) && mode == 1; j++) {
                assert_true(members[j]->length <= (j < 6 ? 320 : 2000));
            }
            free(room);
        }
    }
    free(text);
}

static void privacy_read_back_knows_no_sender_of_a_pseudonym(void **state)
{
    static const struct {
        const char *sender;
        bool known;
    } rows[] = {{"", true},
                {"bob@example.com", true},
                {ANN, false},
                {"@example.com", false}};

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct event event = make_event(EVENT_RECEPTION, "session");

        event.sender = text_of(rows[i].sender);
        privacy_read_back(&event);
        assert_text(event.sender, rows[i].known ? rows[i].sender : NULL);
        assert_text(event.recipient, "ann@example.org");
    }
}

static void privacy_new_makes_a_key_and_keeps_it(void **state)
{
    struct place *place = *state;
    struct event event = make_event(EVENT_BOUNCE, "maillog");
    struct privacy *made, *again;
    char first[PSEUDONYM_SIZE];
    struct stat status;
    char path[64];

    path_of(place, "privacy.key", path);
    assert_int_equal(unlink(path), 0);
    made = open_in(place, PRIVACY_HASH);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    again = open_in(place, PRIVACY_HASH);
    privacy_veil(made, &event, place->room);
    (void)text_copy(event.recipient, first, sizeof first);
    assert_string_not_equal(first, ANN);
    event = make_event(EVENT_BOUNCE, "maillog");
    privacy_veil(again, &event, place->room);
    assert_text(event.recipient, first);
    privacy_free(made);
    privacy_free(again);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(full_changes_nothing),
        IN_PLACE(hash_names_each_member),
        IN_PLACE(hash_knows_each_form_of_a_mailbox),
        IN_PLACE(hash_tells_mailboxes_apart),
        IN_PLACE(hash_leaves_nobody_nobody),
        IN_PLACE(hash_hashes_nothing_twice),
        IN_PLACE(hash_takes_no_other_form_for_a_pseudonym),
        IN_PLACE(patterns_are_hashed_where_they_name_a_mailbox),
        IN_PLACE(what_is_taken_away_is_named_as_it_stands_there),
        IN_PLACE(domain_leaves_local_parts_out),
        IN_PLACE(domain_has_pseudonyms_on_the_lists),
        IN_PLACE(the_forgotten_have_the_same_name),
        IN_PLACE(what_is_long_or_hostile_stays_in_the_room),
        IN_PLACE(privacy_read_back_knows_no_sender_of_a_pseudonym),
        IN_PLACE(privacy_new_makes_a_key_and_keeps_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
