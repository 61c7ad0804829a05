#include "trace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool trace_is_header(struct text name)
{
    return name.length == sizeof TRACE_HEADER - 1 &&
           strncasecmp(name.bytes, TRACE_HEADER, name.length) == 0;
}

bool trace_draft_begin(struct trace_draft *draft, struct trace_keys *keys,
                       int64_t now_us)
{
    int64_t day = trace_day_of(now_us);

    memset(draft, 0, sizeof *draft);
    if (day < 0 || !trace_keys_signer(keys, now_us, &draft->key)) {
        return false;
    }
    if (!trace_head_make(&draft->head, draft->key.kid, day)) {
        trace_key_wipe(&draft->key);
        return false;
    }
    return true;
}

void trace_draft_set_scope(struct trace_draft *draft, uint32_t code)
{
    if (code != 0) {
        trace_head_set_scope(&draft->head, &draft->key, code);
    }
}

/* --- recipients ---------------------------------------------------------- */

/* Where the tag is, or would be among those above it. */
static size_t place_of(const struct trace_draft *draft,
                       const unsigned char tag[TRACE_TAG_SIZE], bool *is_there)
{
    size_t at = 0;
    int order = -1;

    while (at < draft->tag_count &&
           (order = memcmp(draft->tags + at * TRACE_TAG_SIZE, tag,
                           TRACE_TAG_SIZE)) < 0) {
        at++;
    }
    *is_there = at < draft->tag_count && order == 0;
    return at;
}

static void insert_tag(struct trace_draft *draft,
                       const unsigned char tag[TRACE_TAG_SIZE])
{
    bool is_there;
    size_t at = place_of(draft, tag, &is_there);
    unsigned char *place = draft->tags + at * TRACE_TAG_SIZE;

    if (is_there) {
        return;
    }
    if (draft->tag_count + draft->unnamed >= TRACE_TAGS_MAX) {
        draft->overflows = true;
        return;
    }
    memmove(place + TRACE_TAG_SIZE, place,
            (draft->tag_count - at) * TRACE_TAG_SIZE);
    memcpy(place, tag, TRACE_TAG_SIZE);
    draft->tag_count++;
}

static void add_tag(struct trace_draft *draft, struct text recipient)
{
    unsigned char tag[TRACE_TAG_SIZE];

    trace_seal_tag(&draft->key, &draft->head, recipient, tag);
    insert_tag(draft, tag);
}

/* The first becomes one of several, if it has not done so. */
static void add_first_tag(struct trace_draft *draft)
{
    if (draft->tag_count == 0 && draft->first_length > 0) {
        add_tag(draft, (struct text){draft->first, draft->first_length});
    }
}

void trace_draft_add(struct trace_draft *draft, struct text recipient)
{
    if (draft->overflows) {
        return;
    }
    if (recipient.length == 0 || recipient.length > MAILBOX_MAX) {
        draft->unnamed++;
        draft->overflows = draft->tag_count + draft->unnamed > TRACE_TAGS_MAX;
    } else if (draft->first_length == 0) {
        draft->first_length =
            text_copy(recipient, draft->first, sizeof draft->first);
    } else if (!text_is(recipient, draft->first)) {
        add_first_tag(draft);
        add_tag(draft, recipient);
    }
}

void trace_draft_add_unknown(struct trace_draft *draft)
{
    draft->overflows = true;
}

/* --- the mark ------------------------------------------------------------ */

static bool pad_tags(struct trace_draft *draft)
{
    static const size_t sizes[] = {4, 8, 16, 32, TRACE_TAGS_MAX};
    size_t wanted = 0;

    for (size_t i = 0; wanted < draft->tag_count + draft->unnamed; i++) {
        wanted = sizes[i];
    }
    draft->unnamed = 0; /* they have places that no tag fits */
    while (draft->tag_count < wanted) {
        unsigned char tag[TRACE_TAG_SIZE];

        if (!trace_random(tag, sizeof tag)) {
            return false;
        }
        insert_tag(draft, tag);
    }
    return true;
}

static void write_envelope_id(const struct trace_draft *draft,
                              struct text recipient, struct trace_mark *mark)
{
    unsigned char bytes[TRACE_ENVELOPE_MARK];

    memcpy(bytes, draft->head.bytes, TRACE_HEAD_SIZE);
    trace_seal_envelope(&draft->key, &draft->head, recipient,
                        bytes + TRACE_HEAD_SIZE);
    trace_form_envelope_id(bytes, mark->envelope_id);
}

static void write_single(const struct trace_draft *draft,
                         struct trace_mark *mark)
{
    const struct text recipient = {draft->first, draft->first_length};
    unsigned char bytes[TRACE_MARK_MAX];
    unsigned char *seal = bytes + TRACE_HEAD_SIZE;
    unsigned char *hidden = seal + TRACE_SEAL_SIZE;

    memcpy(bytes, draft->head.bytes, TRACE_HEAD_SIZE);
    trace_seal_single(&draft->key, &draft->head, recipient, seal);
    memcpy(hidden, recipient.bytes, recipient.length);
    trace_seal_cover(&draft->key, &draft->head, seal, hidden, recipient.length);
    trace_form_header(bytes,
                      TRACE_HEAD_SIZE + TRACE_SEAL_SIZE + recipient.length,
                      mark->header);
    write_envelope_id(draft, recipient, mark);
}

static void write_several(const struct trace_draft *draft,
                          struct trace_mark *mark)
{
    unsigned char bytes[TRACE_MARK_MAX];
    unsigned char *seal = bytes + TRACE_HEAD_SIZE;
    unsigned char *tags = seal + TRACE_SEAL_SIZE;
    const size_t length =
        draft->overflows ? 0 : draft->tag_count * TRACE_TAG_SIZE;

    memcpy(bytes, draft->head.bytes, TRACE_HEAD_SIZE);
    memcpy(tags, draft->tags, length);
    trace_seal_tags(&draft->key, &draft->head,
                    (struct text){(const char *)tags, length}, seal);
    trace_form_header(bytes, TRACE_HEAD_SIZE + TRACE_SEAL_SIZE + length,
                      mark->header);
    write_envelope_id(draft, (struct text){"", 0}, mark);
}

static bool write_mark(struct trace_draft *draft, struct trace_mark *mark)
{
    if (!draft->overflows && draft->tag_count == 0 && draft->unnamed == 0) {
        if (draft->first_length == 0) {
            return false;
        }
        write_single(draft, mark);
        return true;
    }
    add_first_tag(draft);
    if (!draft->overflows && !pad_tags(draft)) {
        return false;
    }
    write_several(draft, mark);
    return true;
}

void trace_nonce_write(const struct trace_head *head,
                       char text[TRACE_NONCE_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *nonce = trace_head_nonce(head);

    for (size_t i = 0; i < TRACE_NONCE_SIZE; i++) {
        text[2 * i] = digits[nonce[i] >> 4];
        text[2 * i + 1] = digits[nonce[i] & 15];
    }
    text[2 * TRACE_NONCE_SIZE] = '\0';
}

bool trace_draft_end(struct trace_draft *draft, struct trace_mark *mark)
{
    bool is_made = write_mark(draft, mark);

    trace_nonce_write(&draft->head, mark->nonce);
    explicit_bzero(draft, sizeof *draft);
    return is_made;
}
