#include "privacy.h"

#include "privacy_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_MAX     255 /* as the members of event.h */
#define EVIDENCE_MAX 2000
#define NAMES        6 /* that an event can have */

_Static_assert(FORGOTTEN_ROOM + NAMES * PSEUDONYM_SIZE + EVENT_DIAGNOSTIC_MAX +
                       NOTE_MAX + EVIDENCE_MAX <=
                   PRIVACY_ROOM,
               "all that is written has room");

struct privacy {
    enum settings_privacy mode;
    const struct mailbox_rules *rules;
    struct forgotten *forgotten;
    struct pseudonym_key key;
};

struct privacy *privacy_new(const struct privacy_options *options,
                            struct error *error)
{
    struct privacy *privacy = calloc(1, sizeof *privacy);

    if (privacy == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    privacy->mode = options->mode;
    privacy->rules = options->rules;
    privacy->forgotten = options->forgotten;
    if (privacy->mode != PRIVACY_FULL &&
        (!pseudonym_key_load(&privacy->key, options->state_dir, error) ||
         !pseudonym_key_make(&privacy->key, options->state_dir, error))) {
        privacy_free(privacy);
        return NULL;
    }
    return privacy;
}

void privacy_free(struct privacy *privacy)
{
    if (privacy != NULL) {
        pseudonym_key_clear(&privacy->key);
        free(privacy);
    }
}

const struct pseudonym_key *privacy_key(const struct privacy *privacy)
{
    return privacy->mode == PRIVACY_FULL ? NULL : &privacy->key;
}

/* ---- one event ---- */

struct veiling {
    const struct privacy *privacy;
    struct event *event;
    char *room; /* the rest of it */
};

/* What is in normal form is not folded any more, whatever was reloaded. */
static const struct mailbox_rules as_it_is = {.keep_local_case = true};

static bool is_there(struct text text)
{
    return text.bytes != NULL && text.length > 0;
}

static void keep(struct veiling *veiling, struct text *member, const char *name)
{
    size_t length = text_copy(text_of(name), veiling->room, PSEUDONYM_SIZE);

    *member = (struct text){veiling->room, length};
    veiling->room += length;
}

/* Of a mailbox in any form; of what is none the bytes. */
static void hash(struct veiling *veiling, struct text *member,
                 const struct mailbox_rules *rules)
{
    const struct pseudonym_key *key = &veiling->privacy->key;
    struct mailbox mailbox;
    char name[PSEUDONYM_SIZE];

    if (!is_there(*member) || pseudonym_is(*member)) {
        return;
    }
    (void)mailbox_parse(*member, rules, &mailbox);
    if (!pseudonym_of(key, &mailbox, name)) {
        pseudonym_of_text(key, *member, mailbox.domain, name);
    }
    keep(veiling, member, name);
}

/* "@example.org"; unknown when it has no domain. "" is nobody. */
static void keep_domain(struct veiling *veiling, struct text *member)
{
    struct mailbox mailbox;
    char name[PSEUDONYM_SIZE] = "@";

    if (!is_there(*member)) {
        return;
    }
    (void)mailbox_parse(*member, veiling->privacy->rules, &mailbox);
    if (mailbox.domain_length == 0) {
        *member = text_of(NULL);
        return;
    }
    (void)text_copy((struct text){mailbox.domain, mailbox.domain_length},
                    name + 1, sizeof name - 1);
    keep(veiling, member, name);
}

/* ---- the lists ---- */

enum naming {
    NAMED_BY_CHANCE, /* what happens tells of an entry */
    NAMED_TO_ADD,    /* an operator's order has the name to act: */
    NAMED_TO_REMOVE, /* under which it stands there */
};

static bool is_change(enum event_type type)
{
    return type == EVENT_SUPPRESSION_ADDED ||
           type == EVENT_SUPPRESSION_UPDATED ||
           type == EVENT_SUPPRESSION_REMOVED || type == EVENT_ALLOW_ADDED ||
           type == EVENT_ALLOW_REMOVED;
}

/* What others did in Redis is done: the event only tells of it. */
static enum naming naming_of(const struct event *event)
{
    if (text_is(event->origin, "redis") && is_change(event->type)) {
        return NAMED_TO_ADD;
    }
    if (!text_is(event->origin, "command")) {
        return NAMED_BY_CHANCE;
    }
    if (event->type == EVENT_SUPPRESSION_ADDED ||
        event->type == EVENT_SUPPRESSION_UPDATED ||
        event->type == EVENT_ALLOW_ADDED) {
        return NAMED_TO_ADD;
    }
    return event->type == EVENT_SUPPRESSION_REMOVED ||
                   event->type == EVENT_ALLOW_REMOVED ||
                   event->type == EVENT_RECIPIENT_FORGOTTEN
               ? NAMED_TO_REMOVE
               : NAMED_BY_CHANCE;
}

/* "ann@" beside a domain is an address: its local part is hashed alone. */
static void hash_local(struct veiling *veiling, struct text *pattern)
{
    struct text local = {pattern->bytes, pattern->length - 1};
    char name[PSEUDONYM_SIZE];
    char name_at[PSEUDONYM_SIZE + 1];

    if (!pseudonym_is(local)) {
        pseudonym_of_text(&veiling->privacy->key, local, "", name);
        (void)snprintf(name_at, sizeof name_at, "%s@", name);
        keep(veiling, pattern, name_at);
    }
}

static void veil_pattern(struct veiling *veiling, enum naming naming)
{
    struct text *pattern = &veiling->event->suppression_pattern;
    bool leaves_out =
        naming == NAMED_BY_CHANCE && veiling->privacy->mode == PRIVACY_DOMAIN;
    struct mailbox_pattern parsed;

    if (!is_there(*pattern)) {
        return;
    }
    switch (mailbox_parse_pattern(*pattern, &as_it_is, &parsed)) {
    case MAILBOX_PATTERN_DOMAIN:
    case MAILBOX_PATTERN_SUBDOMAINS:
        break;
    case MAILBOX_PATTERN_LOCAL_PART:
        if (leaves_out) {
            *pattern = text_of(NULL);
        } else if (naming == NAMED_BY_CHANCE) {
            hash_local(veiling, pattern);
        }
        break;
    case MAILBOX_PATTERN_EXACT:
    case MAILBOX_PATTERN_INVALID:
        if (leaves_out) {
            *pattern = text_of(NULL);
        } else {
            hash(veiling, pattern, &as_it_is);
        }
        break;
    }
}

/* ---- texts ---- */

/* While the event still has the names. */
static void mask_texts(struct veiling *veiling)
{
    struct event *event = veiling->event;
    const struct text words[] = {privacy_text_local(event->recipient),
                                 privacy_text_local(event->final_recipient)};
    const struct {
        struct text *text;
        size_t limit;
    } texts[] = {{&event->diagnostic, EVENT_DIAGNOSTIC_MAX},
                 {&event->suppression_note, NOTE_MAX},
                 {&event->suppression_evidence, EVIDENCE_MAX}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (is_there(*texts[i].text)) {
            size_t length = privacy_text_mask(*texts[i].text, words,
                                              sizeof words / sizeof words[0],
                                              veiling->room, texts[i].limit);

            *texts[i].text = (struct text){veiling->room, length};
            veiling->room += length;
        }
    }
}

/* ---- all ---- */

static void veil_hash(struct veiling *veiling)
{
    const struct mailbox_rules *rules = veiling->privacy->rules;
    struct event *event = veiling->event;
    struct text *typed = &event->original_recipient;

    hash(veiling, &event->recipient, &as_it_is);
    hash(veiling, typed, rules);
    if (is_there(*typed) && typed->length == event->recipient.length &&
        memcmp(typed->bytes, event->recipient.bytes, typed->length) == 0) {
        *typed = text_of(NULL);
    }
    hash(veiling, &event->final_recipient, rules);
    hash(veiling, &event->sender, rules);
    hash(veiling, &event->auth_user, rules);
}

static void veil_domain(struct veiling *veiling)
{
    struct event *event = veiling->event;

    event->recipient = text_of(NULL);
    event->original_recipient = text_of(NULL);
    event->final_recipient = text_of(NULL);
    event->auth_user = text_of(NULL);
    keep_domain(veiling, &event->sender);
    if (event->counted == 1) { /* there is nobody who could have a strike */
        event->counted = 0;
        event->strike_limit = EVENT_UNKNOWN;
        event->strike_days = EVENT_UNKNOWN;
        event->strike_window_seconds = EVENT_UNKNOWN;
    }
}

void privacy_veil(void *context, struct event *event, char room[PRIVACY_ROOM])
{
    const struct privacy *privacy = context;
    const enum naming naming = naming_of(event);
    struct veiling veiling = {privacy, event, room + FORGOTTEN_ROOM};

    forgotten_veil(privacy->forgotten, event, room);
    if (privacy->mode == PRIVACY_FULL || naming == NAMED_TO_REMOVE) {
        return;
    }
    mask_texts(&veiling);
    veil_pattern(&veiling, naming);
    if (privacy->mode == PRIVACY_HASH) {
        veil_hash(&veiling);
    } else {
        veil_domain(&veiling);
    }
}

void privacy_read_back(struct event *event)
{
    struct text *const people[] = {&event->sender, &event->auth_user};

    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        if (is_there(*people[i]) &&
            (pseudonym_is(*people[i]) || people[i]->bytes[0] == '@')) {
            *people[i] = text_of(NULL);
        }
    }
}
