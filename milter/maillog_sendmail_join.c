#include "fnv.h"
#include "maillog_scan.h"
#include "maillog_sendmail.h"

/* A piece goes on if it was broken behind a blank or comma, or is as long as
 * Sendmail writes them (SYSLOG_BUFSIZE, at least 256). */
#define PIECE_END  " ..."
#define PIECE_LONG 900

bool maillog_sendmail_is_writer(const struct maillog_sendmail_writer *writer,
                                const struct maillog_record *record)
{
    return writer->pid == record->pid &&
           writer->id_length == record->queue_id.length &&
           memcmp(writer->id, record->queue_id.bytes, writer->id_length) == 0;
}

void maillog_sendmail_set_writer(struct maillog_sendmail_writer *writer,
                                 const struct maillog_record *record)
{
    writer->pid = record->pid;
    writer->id_length = record->queue_id.length;
    memcpy(writer->id, record->queue_id.bytes, writer->id_length);
}

static struct maillog_sendmail_join *
find_join(struct maillog_sendmail *state, const struct maillog_record *record)
{
    for (size_t i = 0; i < MAILLOG_SENDMAIL_JOINS; i++) {
        if (state->joins[i].next != 0 &&
            maillog_sendmail_is_writer(&state->joins[i].writer, record)) {
            return &state->joins[i];
        }
    }
    return NULL;
}

static uint64_t hash_of(const struct maillog_record *record)
{
    return fnv_add(FNV_BEGIN ^ (uint64_t)record->pid, record->queue_id);
}

static struct maillog_sendmail_join *
begin_join(struct maillog_sendmail *state, const struct maillog_record *record)
{
    struct maillog_sendmail_join *join = find_join(state, record);

    if (join == NULL) { /* the oldest gives way */
        join = &state->joins[state->next_join];
        state->next_join = (state->next_join + 1) % MAILLOG_SENDMAIL_JOINS;
    }
    maillog_sendmail_set_writer(&join->writer, record);
    join->next = 1;
    join->length = 0;
    join->cut = false;
    return join;
}

static bool goes_on(struct text *piece)
{
    size_t whole = piece->length;
    char last;

    if (!maillog_drop_suffix(piece, PIECE_END)) {
        return false;
    }
    last = piece->length == 0 ? ' ' : piece->bytes[piece->length - 1];
    if (last == ' ' || last == ',' || whole >= PIECE_LONG) {
        return true;
    }
    piece->length = whole; /* the text itself ends so */
    return false;
}

static void append(struct maillog_sendmail_join *join, struct text piece)
{
    size_t room = sizeof join->bytes - join->length;

    if (piece.length > room) {
        piece.length = room;
        join->cut = true;
    }
    if (piece.length > 0) {
        memcpy(join->bytes + join->length, piece.bytes, piece.length);
    }
    join->length += piece.length;
}

bool maillog_sendmail_join(struct maillog_sendmail *state, int64_t piece,
                           struct text *message, struct maillog_record *record)
{
    struct maillog_sendmail_join *join;
    bool more;

    if (piece == 0) {
        return true;
    }
    record->piece = piece;
    record->pieces = hash_of(record);
    join = piece == 1 ? begin_join(state, record) : find_join(state, record);
    if (join == NULL || join->next != piece) {
        if (join != NULL) {
            join->next = 0; /* one is missing: no guesses */
        }
        return false;
    }
    more = goes_on(message);
    append(join, *message);
    join->next++;
    record->unfinished = more;
    if (more) {
        return false;
    }
    join->next = 0;
    message->bytes = join->bytes;
    message->length = join->length;
    record->cut = record->cut || join->cut;
    return true;
}

/* --- escapes ----------------------------------------------------------- */

static bool is_octal(char byte)
{
    return byte >= '0' && byte <= '7';
}

/* Returns how many bytes of the message were taken. */
static size_t plain_byte(struct text message, char *byte)
{
    const char *bytes = message.bytes;

    *byte = bytes[0];
    if (message.length < 2 || bytes[0] != '\\') {
        return 1;
    }
    if (message.length >= 4 && bytes[1] <= '3' && is_octal(bytes[1]) &&
        is_octal(bytes[2]) && is_octal(bytes[3])) {
        *byte = (char)(unsigned char)((bytes[1] - '0') * 64 +
                                      (bytes[2] - '0') * 8 + (bytes[3] - '0'));
        return 4;
    }
    switch (bytes[1]) {
    case '\\':
        return 2;
    case 't':
        *byte = '\t';
        return 2;
    case 'n':
        *byte = '\n';
        return 2;
    case 'r':
        *byte = '\r';
        return 2;
    default:
        return 1;
    }
}

struct text maillog_sendmail_plain(struct maillog_sendmail *state,
                                   struct text message)
{
    struct text plain = {state->plain, 0};

    if (message.length == 0 ||
        memchr(message.bytes, '\\', message.length) == NULL) {
        return message;
    }
    while (message.length > 0) {
        size_t taken = plain_byte(message, state->plain + plain.length);

        plain.length++;
        maillog_skip(&message, taken);
    }
    return plain;
}
