/*
 * The effects of recipient_forgotten: what is known of an address goes, and
 * its pseudonym is kept so that all hosts know of it. Entries of the lists
 * have events of their own.
 */
#include "recorder_effect_make.h"

/* A message of the recipient's in the queue of an MTA. */
static void forget_waiting(struct making *making)
{
    const struct event *event = making->event;
    struct text domain = event->recipient_domain;

    if (!making_knows(event->queue_id) || !making_knows(domain) ||
        domain.length > MAILBOX_DOMAIN_MAX) {
        return;
    }
    making->bucket = store_bucket(domain.bytes, domain.length);
    if (making_key(making, STORE_WAITING, domain)) {
        making_join(making_put(making, EFFECT_UNMARK, NULL, text_of("")),
                    making_bounded(event->queue_id, EFFECT_REASON_MAX), " ",
                    event->recipient);
    }
}

void making_forgotten(struct making *making)
{
    static const enum store_history kinds[] = {STORE_RECIPIENT, STORE_STRIKES,
                                               STORE_EVIDENCE};
    struct text recipient = making->event->recipient;

    if (!making_knows(recipient) || recipient.length > MAILBOX_MAX) {
        return;
    }
    making->bucket = store_bucket(recipient.bytes, recipient.length);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (making_key(making, kinds[i], recipient)) {
            making_put(making, EFFECT_DELETE, NULL, text_of(""));
        }
    }
    if (making_key(making, STORE_DUE, text_of(NULL))) {
        making_join(making_put(making, EFFECT_SET, NULL, text_of("")),
                    recipient, "", text_of(NULL));
        making_join(making_put(making, EFFECT_SET, NULL, text_of("")),
                    recipient, " ", text_of(STORE_SCOPE_ALL));
    }
    if (store_key_strikes(making->prefix, making->bucket,
                          text_of(STORE_SCOPE_ALL), recipient, &making->key)) {
        making_put(making, EFFECT_DELETE, NULL, text_of(""));
    }
    if (making_knows(making->event->pseudonym) &&
        making_key(making, STORE_FORGOTTEN, text_of(NULL))) {
        making_join(making_put_own(making, EFFECT_SET, NULL, making->timestamp),
                    making->event->pseudonym, "", text_of(NULL));
    }
    if (making->scope.length > 0) { /* what the scope keeps of its own */
        making_settle(making, recipient, true);
    }
    making_put_stats(making);
    forget_waiting(making);
}
