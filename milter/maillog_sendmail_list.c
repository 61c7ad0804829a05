#include "maillog_scan.h"
#include "maillog_sendmail.h"

#define ADDRESS_MAX MAILLOG_SENDMAIL_ADDRESS_MAX

/* --- addresses --------------------------------------------------------- */

struct address_state {
    bool quoted;
    bool bracketed;
    unsigned comments; /* nested ( */
};

/* Bytes that mean something; what stands between them is passed over. */
static const bool means[256] = {
    ['\\'] = true, ['"'] = true, ['<'] = true, ['>'] = true,
    ['('] = true,  [')'] = true, [','] = true,
};

static inline size_t skip_plain(struct text text, size_t i)
{
    while (i < text.length && !means[(unsigned char)text.bytes[i]]) {
        i++;
    }
    return i;
}

/* Takes the byte at i into account, and the one behind a backslash. */
static size_t step(struct address_state *state, struct text text, size_t i)
{
    char byte = text.bytes[i];

    if (byte == '\\') {
        return i + 1 < text.length ? i + 2 : i + 1;
    }
    if (byte == '"' && state->comments == 0) {
        state->quoted = !state->quoted;
    } else if (state->quoted) {
        return i + 1;
    } else if (state->bracketed) {
        state->bracketed = byte != '>';
    } else if (byte == '<' && state->comments == 0) {
        state->bracketed = true;
    } else if (byte == '(') {
        state->comments++;
    } else if (byte == ')' && state->comments > 0) {
        state->comments--;
    }
    return i + 1;
}

static bool is_outside(const struct address_state *state)
{
    return !state->quoted && !state->bracketed && state->comments == 0;
}

/* The ',' behind the address at the start, or the end of text. */
size_t maillog_sendmail_address_end(struct text text)
{
    struct address_state state = {false, false, 0};
    size_t i = 0;

    while (i < text.length && !(text.bytes[i] == ',' && is_outside(&state))) {
        i = skip_plain(text, step(&state, text, i));
    }
    return i;
}

static struct text part_of(struct text text, size_t begin, size_t end)
{
    struct text part = {text.bytes + begin, end - begin};

    while (part.length > 0 && part.bytes[0] == ' ') {
        maillog_skip(&part, 1);
    }
    while (part.length > 0 && part.bytes[part.length - 1] == ' ') {
        part.length--;
    }
    return part;
}

/* Without phrase and <>, or without comment: "Ann <ann@example.net> (x)". */
static struct text bare(struct text address)
{
    struct address_state state = {false, false, 0};
    size_t begin = 0;
    size_t end = address.length;
    size_t i = 0;

    while (i < address.length) {
        struct address_state before = state;
        size_t at = i;

        i = step(&state, address, i);
        if (!before.bracketed && state.bracketed) {
            begin = i;
        } else if (before.bracketed && !state.bracketed) {
            return part_of(address, begin, at);
        } else if (before.comments == 0 && state.comments > 0 && at > 0) {
            end = end < at ? end : at;
        }
    }
    return part_of(address, 0, end);
}

/* "<ann@example.net>" up to a comma or the end, as most are. */
static bool take_simple(struct text rest, struct text *address)
{
    const char *end;

    if (rest.length < 3 || rest.bytes[0] != '<') {
        return false;
    }
    maillog_skip(&rest, 1);
    end = memchr(rest.bytes, '>', rest.length);
    if (end == NULL || (end + 1 < rest.bytes + rest.length && end[1] != ',')) {
        return false;
    }
    address->bytes = rest.bytes;
    address->length = (size_t)(end - rest.bytes);
    return address->length > 0 && address->bytes[0] != ' ' && end[-1] != ' ' &&
           memchr(rest.bytes, '"', address->length) == NULL &&
           memchr(rest.bytes, '\\', address->length) == NULL &&
           !text_is(*address, "NO-TO-LIST");
}

bool maillog_sendmail_address(struct text list, size_t *at,
                              struct text *address)
{
    while (*at < list.length) {
        struct text rest = list;

        maillog_skip(&rest, *at);
        if (take_simple(rest, address)) {
            *at += address->length + 3; /* its <> and the comma */
            return true;
        }
        rest.length = maillog_sendmail_address_end(rest);
        *at += rest.length + 1;
        *address = bare(rest);
        if (address->length > 0 && !text_is(*address, "NO-TO-LIST")) {
            return true;
        }
    }
    return false;
}

/* --- the list ---------------------------------------------------------- */

static struct maillog_sendmail_broken *
find_broken(struct maillog_sendmail *state, const struct maillog_record *record)
{
    for (size_t i = 0; i < MAILLOG_SENDMAIL_JOINS; i++) {
        if (state->broken[i].in_use &&
            maillog_sendmail_is_writer(&state->broken[i].writer, record)) {
            return &state->broken[i];
        }
    }
    return NULL;
}

/* head: up to and with the comma that it was broken at. */
static void remember_broken(struct maillog_sendmail *state, struct text head,
                            const struct maillog_record *record)
{
    struct maillog_sendmail_broken *broken = &state->broken[state->next_broken];

    if (head.length > sizeof broken->bytes) {
        return;
    }
    state->next_broken = (state->next_broken + 1) % MAILLOG_SENDMAIL_JOINS;
    maillog_sendmail_set_writer(&broken->writer, record);
    broken->in_use = true;
    broken->length = head.length;
    memcpy(broken->bytes, head.bytes, head.length);
}

/* What was broken off the line before, and the list that goes on with it. */
static struct text whole_list(struct maillog_sendmail *state,
                              const struct maillog_sendmail_broken *broken,
                              struct text rest)
{
    size_t room = sizeof state->list - broken->length;
    struct text list = {state->list, broken->length};

    memcpy(state->list, broken->bytes, broken->length);
    memcpy(state->list + list.length, rest.bytes,
           rest.length < room ? rest.length : room);
    list.length += rest.length < room ? rest.length : room;
    return list;
}

/* What logdelivery() puts behind the comma at which it breaks the list. */
static bool is_break(struct text rest)
{
    return MAILLOG_BEGINS(rest, ", [more], ctladdr=") ||
           MAILLOG_BEGINS(rest, ", [more], delay=");
}

/*
 * Goes through the list up to its ", ". *whole is how much of it is made of
 * whole addresses. False: it does not end.
 */
static bool scan_list(struct text text, struct address_state *address,
                      size_t *end, size_t *whole)
{
    size_t begin = 0;
    size_t i = 0;

    *whole = 0;
    while (i < text.length && i - begin <= ADDRESS_MAX) {
        if (!means[(unsigned char)text.bytes[i]]) {
            i = skip_plain(text, i);
            continue;
        }
        if (text.bytes[i] == ',') {
            struct text rest = text;

            maillog_skip(&rest, i);
            if (is_outside(address)) {
                *whole = i;
                begin = i;
            }
            if (is_break(rest) || (is_outside(address) && rest.length > 1 &&
                                   rest.bytes[1] == ' ')) {
                *end = i;
                return true;
            }
        }
        i = step(address, text, i);
    }
    return false;
}

/* Where the address begins that ends at `end`, which is not whole. */
static struct text broken_off(struct text list, size_t whole, size_t end)
{
    size_t begin = whole + (whole > 0); /* its comma */

    return (struct text){list.bytes + begin, end - begin + 1};
}

bool maillog_sendmail_list(struct maillog_sendmail *state, struct text *rest,
                           struct maillog_record *record)
{
    struct maillog_sendmail_broken *broken = find_broken(state, record);
    struct address_state address = {false, false, 0};
    struct text list = *rest;
    size_t end;
    size_t whole;

    if (broken != NULL) {
        broken->in_use = false;
        list = whole_list(state, broken, list);
    }
    if (!scan_list(list, &address, &end, &whole)) {
        return false;
    }
    record->recipients.bytes = list.bytes;
    record->recipients.length = whole;
    *rest = list;
    maillog_skip(rest, end);
    record->more = MAILLOG_TAKE(rest, ", [more]");
    if (record->more && !is_outside(&address)) {
        remember_broken(state, broken_off(list, whole, end), record);
    }
    return true; /* also without a whole address: the state is what counts */
}
