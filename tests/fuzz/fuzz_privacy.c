/*
 * Events with hostile names and texts: what is logged of them has pseudonyms
 * in normal form, or domains, and no text has an address.
 */
#include "privacy.h"
#include "privacy_text.h"

#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mailbox_rules rules = {.keep_local_case = false};

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static struct privacy *make(enum settings_privacy mode)
{
    char folder[] = "/tmp/nixie-fuzz-XXXXXX";
    char path[64];
    struct error error;
    struct privacy_options options = {.mode = mode, .rules = &rules};
    struct privacy *privacy;

    require(mkdtemp(folder) != NULL);
    options.state_dir = folder;
    options.forgotten = forgotten_open(folder, &rules, &error);
    privacy = privacy_new(&options, &error);
    require(options.forgotten != NULL && privacy != NULL);
    (void)snprintf(path, sizeof path, "%s/privacy.key", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    return privacy;
}

static void check_text(struct text text)
{
    for (size_t i = 1; i < text.length; i++) {
        require(text.bytes[i] != '@' || (!g_ascii_isalnum(text.bytes[i - 1]) &&
                                         text.bytes[i - 1] != '.'));
    }
}

static void check_name(struct text name)
{
    struct mailbox mailbox;
    enum mailbox_result result;

    if (name.length == 0) {
        return;
    }
    require(pseudonym_is(name));
    result = mailbox_parse(name, &rules, &mailbox);
    require(result == MAILBOX_OK || result == MAILBOX_LOCAL);
    require(text_is(name, mailbox.address));
}

/* Parts of the data, by the first NUL, for each in turn. */
static struct text next(struct text *rest)
{
    struct text part = *rest;
    const char *end =
        rest->length == 0 ? NULL : memchr(rest->bytes, '\0', rest->length);

    if (end == NULL) {
        return part;
    }
    part.length = (size_t)(end - rest->bytes);
    rest->bytes = end + 1;
    rest->length -= part.length + 1;
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct privacy *privacies[3];
    struct text rest = {(const char *)data, size};
    struct event event;

    for (int mode = 1; mode < 3; mode++) {
        char room[PRIVACY_ROOM];

        if (privacies[mode] == NULL) {
            privacies[mode] = make((enum settings_privacy)mode);
        }
        rest = (struct text){(const char *)data, size};
        event_init(&event, EVENT_BOUNCE, 1);
        event.recipient = next(&rest);
        event.original_recipient = next(&rest);
        event.sender = next(&rest);
        event.auth_user = event.recipient;
        event.final_recipient = event.sender;
        event.suppression_pattern = next(&rest);
        event.diagnostic = next(&rest);
        event.suppression_note = rest;
        event.suppression_evidence = rest;
        privacy_veil(privacies[mode], &event, room);
        check_text(event.diagnostic);
        check_text(event.suppression_note);
        check_text(event.suppression_evidence);
        if (mode == PRIVACY_HASH) {
            check_name(event.recipient);
            check_name(event.original_recipient);
            check_name(event.final_recipient);
            check_name(event.sender);
            check_name(event.auth_user);
        } else {
            require(event.recipient.bytes == NULL);
            require(event.sender.length == 0 || event.sender.bytes[0] == '@');
        }
    }
    return 0;
}
