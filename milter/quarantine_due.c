/*
 * What a field of {NN}:due says.
 */
#include "event.h"
#include "quarantine_look.h"

#include <string.h>

static bool init_domain(struct quarantine_due *due)
{
    struct text name = {due->field.bytes + 1, due->field.length - 1};

    due->is_domain = true;
    if (name.length > MAILBOX_DOMAIN_MAX ||
        !mailbox_parse_domain(name, due->mailbox.domain) ||
        !text_is(name, due->mailbox.domain)) {
        return false;
    }
    due->mailbox.domain_length = name.length;
    return true;
}

static bool init_address(struct quarantine_due *due)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox *mailbox = &due->mailbox;
    enum mailbox_result result;

    if (due->address.length > MAILBOX_MAX) {
        return false;
    }
    result = mailbox_parse(due->address, &as_it_is, mailbox);
    return (result == MAILBOX_OK || result == MAILBOX_LOCAL) &&
           text_is(due->address, mailbox->address);
}

bool quarantine_due_is_for_all(const struct quarantine_due *due)
{
    return text_is(due->slot, STORE_SCOPE_ALL);
}

bool quarantine_due_init(struct quarantine_due *due, unsigned bucket,
                         struct text field, struct text value)
{
    struct text name = field;

    memset(due, 0, sizeof *due);
    due->field = field;
    due->value = value;
    due->strikes = EVENT_UNKNOWN;
    if (field.length == 0 || value.bytes == NULL) {
        return false;
    }
    if (field.bytes[0] == '@') {
        name = (struct text){field.bytes + 1, field.length - 1};
    } else {
        store_due_field(field, &due->address, &due->slot);
        store_due_value(value, &due->reason, &due->policy_scope);
        if (due->slot.length > 0) {
            due->scope =
                quarantine_due_is_for_all(due) ? text_of(NULL) : due->slot;
            due->policy_scope = due->scope;
        }
        name = due->address;
        if (quarantine_due_is_for_all(due) &&
            !reason_names_request(due->reason)) {
            return false;
        }
    }
    return store_bucket(name.bytes, name.length) == bucket &&
           (field.bytes[0] == '@' ? init_domain(due) : init_address(due));
}
