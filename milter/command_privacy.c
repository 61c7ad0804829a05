#include "command_privacy.h"

#include <string.h>

static const struct mailbox_rules as_it_is = {.keep_local_case = true};

const struct pseudonym_key *command_pseudonyms(const struct command_call *call,
                                               struct pseudonym_key *key)
{
    struct error error;

    pseudonym_key_clear(key);
    if (call->settings->privacy == PRIVACY_FULL) {
        return NULL;
    }
    if (!pseudonym_key_load(key, call->settings->state_dir, &error)) {
        command_complain(call,
                         "%s: what is kept under the pseudonym is not looked "
                         "at; ask as root, or as the user of nixied",
                         error.text);
    } else if (!key->is_known) {
        command_complain(call,
                         "%s/privacy.key is not there: nixied makes it when "
                         "it starts",
                         call->settings->state_dir);
    }
    return key->is_known ? key : NULL;
}

bool command_pseudonym(const struct pseudonym_key *key,
                       const struct mailbox *mailbox, struct mailbox *pseudonym)
{
    char name[PSEUDONYM_SIZE];
    enum mailbox_result parsed;

    if (key == NULL || !pseudonym_of(key, mailbox, name) ||
        strcmp(name, mailbox->address) == 0) {
        return false;
    }
    parsed = mailbox_parse(text_of(name), &as_it_is, pseudonym);
    return parsed == MAILBOX_OK || parsed == MAILBOX_LOCAL;
}

bool command_pseudonym_pattern(const struct pseudonym_key *key,
                               const struct mailbox_pattern *pattern,
                               struct mailbox_pattern *pseudonym)
{
    struct mailbox mailbox;
    struct mailbox named;

    if (pattern->kind != MAILBOX_PATTERN_EXACT) {
        return false;
    }
    (void)mailbox_parse((struct text){pattern->text, pattern->length},
                        &as_it_is, &mailbox);
    return command_pseudonym(key, &mailbox, &named) &&
           mailbox_parse_pattern(
               (struct text){named.address, named.address_length}, &as_it_is,
               pseudonym) == MAILBOX_PATTERN_EXACT;
}
