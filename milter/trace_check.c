#include "trace.h"

#include <stdio.h>
#include <string.h>

#define BODY_AT (TRACE_HEAD_SIZE + TRACE_SEAL_SIZE)

/* What one check goes by, and the best that it has found. */
struct search {
    struct trace_keys *keys;
    int64_t now_us;
    struct text recipients[TRACE_RECIPIENTS_TRIED];
    size_t recipient_count;
    struct trace_result *result;
};

const char *trace_class_name(enum trace_class class)
{
    static const char *const names[] = {
        [TRACE_NONE] = "none",
        [TRACE_CORRELATED] = "correlated",
        [TRACE_SHARED] = "shared",
        [TRACE_VALID] = "valid",
    };

    return names[class];
}

/* --- what is found ------------------------------------------------------- */

/* A mark that is ours, and the key that proves it. */
struct proof {
    struct trace_head head;
    struct trace_key key;
};

/* The key of a head that may be believed now. */
static bool open_proof(const struct search *search, const unsigned char *bytes,
                       struct proof *proof)
{
    const int64_t today = trace_day_of(search->now_us);
    int64_t day;

    if (today < 0 || !trace_head_read(&proof->head, bytes)) {
        return false;
    }
    day = trace_head_day(&proof->head);
    return day >= today - TRACE_BELIEF_DAYS &&
           day <= today + TRACE_AHEAD_DAYS &&
           trace_keys_find(search->keys, trace_head_kid(&proof->head),
                           search->now_us, &proof->key);
}

static void write_replay_key(const struct proof *proof, struct text recipient,
                             char text[TRACE_REPLAY_KEY_SIZE])
{
    unsigned char tag[TRACE_TAG_SIZE] = {0};
    char *at = text + TRACE_NONCE_TEXT_SIZE - 1;

    if (recipient.length > 0) {
        trace_seal_tag(&proof->key, &proof->head, recipient, tag);
    }
    trace_nonce_write(&proof->head, text);
    *at++ = '-';
    for (size_t i = 0; i < TRACE_TAG_SIZE; i++) {
        at += snprintf(at, 3, "%02x", tag[i]);
    }
}

/* Of equals the first stays. recipient is unknown where none is proved. */
static void keep(struct search *search, const struct proof *proof,
                 enum trace_class class, struct text recipient)
{
    struct trace_result *result = search->result;
    struct text about = recipient;

    if (class <= result->class) {
        return;
    }
    if (about.bytes == NULL && search->recipient_count > 0) {
        about = search->recipients[0];
    }
    memset(result, 0, sizeof *result);
    result->class = class;
    result->day = trace_head_day(&proof->head);
    result->scope = trace_head_scope(&proof->head, &proof->key);
    result->recipient_length =
        text_copy(recipient, result->recipient, sizeof result->recipient);
    write_replay_key(proof, about, result->replay_key);
}

/* --- the envelope id ----------------------------------------------------- */

static void prove_envelope(struct search *search, const struct proof *proof,
                           const unsigned char seal[TRACE_SEAL_SIZE])
{
    unsigned char wanted[TRACE_SEAL_SIZE];

    for (size_t i = 0; i < search->recipient_count; i++) {
        trace_seal_envelope(&proof->key, &proof->head, search->recipients[i],
                            wanted);
        if (trace_seal_is_same(wanted, seal, sizeof wanted)) {
            keep(search, proof, TRACE_VALID, search->recipients[i]);
        }
    }
    trace_seal_envelope(&proof->key, &proof->head, (struct text){"", 0},
                        wanted);
    if (trace_seal_is_same(wanted, seal, sizeof wanted)) {
        keep(search, proof, TRACE_CORRELATED, (struct text){NULL, 0});
    }
}

static void check_envelope_id(struct search *search, struct text envelope_id)
{
    unsigned char mark[TRACE_ENVELOPE_MARK];
    struct proof proof;

    if (trace_form_read_envelope_id(envelope_id, mark) &&
        open_proof(search, mark, &proof)) {
        prove_envelope(search, &proof, mark + TRACE_HEAD_SIZE);
        trace_key_wipe(&proof.key);
    }
}

/* --- the header ---------------------------------------------------------- */

/* Whether length is that of a mark with so many tags, 0 being none. */
static bool take_tag_count(size_t length, size_t *count)
{
    static const size_t counts[] = {0, 4, 8, 16, 32, TRACE_TAGS_MAX};

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (length == BODY_AT + counts[i] * TRACE_TAG_SIZE) {
            *count = counts[i];
            return true;
        }
    }
    return false;
}

/*
 * Never more than shared: another recipient has the same header, and the
 * envelope id too if it runs an MTA.
 */
static void prove_tags(struct search *search, const struct proof *proof,
                       const unsigned char *tags, size_t count)
{
    for (size_t i = 0; i < search->recipient_count; i++) {
        unsigned char tag[TRACE_TAG_SIZE];

        trace_seal_tag(&proof->key, &proof->head, search->recipients[i], tag);
        if (trace_seal_has_tag(tags, count, tag)) {
            keep(search, proof, TRACE_SHARED, search->recipients[i]);
        }
    }
    if (count == 0 || search->recipient_count == 0) {
        keep(search, proof, TRACE_CORRELATED, (struct text){NULL, 0});
    }
}

/* False: it is not the mark of a message with several recipients. */
static bool check_several(struct search *search, const struct proof *proof,
                          const unsigned char *mark, size_t length)
{
    const unsigned char *tags = mark + BODY_AT;
    unsigned char seal[TRACE_SEAL_SIZE];
    size_t count;

    if (!take_tag_count(length, &count)) {
        return false;
    }
    trace_seal_tags(&proof->key, &proof->head,
                    (struct text){(const char *)tags, length - BODY_AT}, seal);
    if (!trace_seal_is_same(seal, mark + TRACE_HEAD_SIZE, sizeof seal)) {
        return false;
    }
    prove_tags(search, proof, tags, count);
    return true;
}

static bool is_same_text(struct text one, struct text other)
{
    return one.length == other.length &&
           memcmp(one.bytes, other.bytes, one.length) == 0;
}

/* The recipient comes out of the mark: hidden is shown in its place. */
static void check_single(struct search *search, const struct proof *proof,
                         unsigned char *mark, size_t length)
{
    unsigned char seal[TRACE_SEAL_SIZE];
    unsigned char *hidden = mark + BODY_AT;
    struct text recipient = {(const char *)hidden, length - BODY_AT};

    if (recipient.length == 0 || recipient.length > MAILBOX_MAX) {
        return;
    }
    trace_seal_cover(&proof->key, &proof->head, mark + TRACE_HEAD_SIZE, hidden,
                     recipient.length);
    trace_seal_single(&proof->key, &proof->head, recipient, seal);
    if (!trace_seal_is_same(seal, mark + TRACE_HEAD_SIZE, sizeof seal)) {
        return;
    }
    for (size_t i = 0; i < search->recipient_count; i++) {
        if (is_same_text(recipient, search->recipients[i])) {
            keep(search, proof, TRACE_VALID, recipient);
            return;
        }
    }
    if (search->result->class < TRACE_SHARED) {
        keep(search, proof, TRACE_SHARED, recipient);
        search->result->recovered = true;
    }
}

static void check_header(struct search *search, struct text value)
{
    unsigned char mark[TRACE_MARK_MAX];
    struct proof proof;
    size_t length;

    if (!trace_form_read_header(value, mark, &length) || length < BODY_AT ||
        !open_proof(search, mark, &proof)) {
        return;
    }
    if (!check_several(search, &proof, mark, length)) {
        check_single(search, &proof, mark, length);
    }
    trace_key_wipe(&proof.key);
}

/* --- all together -------------------------------------------------------- */

/* Those that can be a normal form. */
static void take_recipients(struct search *search,
                            const struct trace_evidence *evidence)
{
    for (size_t i = 0; i < evidence->recipient_count &&
                       search->recipient_count < TRACE_RECIPIENTS_TRIED;
         i++) {
        const struct text recipient = evidence->recipients[i];

        if (recipient.bytes != NULL && recipient.length > 0 &&
            recipient.length <= MAILBOX_MAX) {
            search->recipients[search->recipient_count++] = recipient;
        }
    }
}

enum trace_class trace_check(struct trace_keys *keys,
                             const struct trace_evidence *evidence,
                             int64_t now_us, struct trace_result *result)
{
    struct search search = {.keys = keys, .now_us = now_us, .result = result};

    memset(result, 0, sizeof *result);
    take_recipients(&search, evidence);
    check_envelope_id(&search, evidence->envelope_id);
    for (size_t i = 0; i < evidence->header_count && i < TRACE_HEADERS_TRIED;
         i++) {
        check_header(&search, evidence->headers[i]);
    }
    return result->class;
}
