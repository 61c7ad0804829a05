#include "maillog_line.h"

#include "maillog_postfix.h"
#include "maillog_scan.h"
#include "maillog_sendmail.h"
#include "maillog_stamp.h"

#include <stdlib.h>

struct maillog_parser {
    struct maillog_stamp stamp;
    struct maillog_sendmail sendmail;
};

struct maillog_parser *maillog_parser_new(int64_t near_us)
{
    struct maillog_parser *parser = calloc(1, sizeof *parser);

    if (parser != NULL) {
        maillog_stamp_init(&parser->stamp, near_us);
    }
    return parser;
}

void maillog_parser_look_back(struct maillog_parser *parser, bool looking_back)
{
    parser->sendmail.looking_back = looking_back;
}

void maillog_parser_free(struct maillog_parser *parser)
{
    free(parser);
}

/* --- what stands before the message ------------------------------------ */

struct head {
    int64_t timestamp_us;
    int64_t pid;
    struct text host, program;
    bool cut;
};

/* "<22>", as from a socket */
static void take_priority(struct text *rest)
{
    struct text left = *rest;
    int64_t priority;

    if (MAILLOG_TAKE(&left, "<") && maillog_take_number(&left, &priority) &&
        MAILLOG_TAKE(&left, ">")) {
        *rest = left;
    }
}

/* "postfix/smtp[2101]", "sm-mta" */
static bool take_program(struct text tag, struct head *head)
{
    const char *bracket = memchr(tag.bytes, '[', tag.length);
    struct text left = tag;

    head->program = tag;
    if (bracket == NULL) {
        return tag.length > 0;
    }
    head->program.length = (size_t)(bracket - tag.bytes);
    maillog_skip(&left, head->program.length + 1);
    if (!maillog_take_number(&left, &head->pid)) {
        head->pid = 0; /* another name between the brackets: still a tag */
    }
    return head->program.length > 0;
}

/* "host program[pid]: ", or, with journalctl --no-hostname, "program[pid]: " */
static bool take_tag(struct text *rest, struct head *head)
{
    struct text word = maillog_take_until(rest, ' ');

    if (word.length > 0 && word.bytes[word.length - 1] != ':') {
        head->host = word;
        word = maillog_take_until(rest, ' ');
    }
    if (word.length < 2 || word.bytes[word.length - 1] != ':') {
        return false; /* "last message repeated 3 times" */
    }
    word.length--;
    return take_program(word, head);
}

/* ----------------------------------------------------------------------- */

static void record_init(struct maillog_record *record, const struct head *head)
{
    memset(record, 0, sizeof *record);
    record->timestamp_us = head->timestamp_us;
    record->host = head->host;
    record->program = head->program;
    record->pid = head->pid;
    record->cut = head->cut;
    record->delay_s = -1;
    record->size = -1;
    record->recipient_count = -1;
}

/* Some syslogds write "[ID 801593 mail.info] " here. */
static void skip_message_id(struct text *message)
{
    struct text left = *message;

    if (MAILLOG_TAKE(&left, "[ID ") &&
        maillog_take_until(&left, ']').bytes != NULL &&
        MAILLOG_TAKE(&left, " ")) {
        *message = left;
    }
}

static enum maillog_kind parse_postfix(const struct head *head,
                                       struct text message,
                                       struct maillog_record *record)
{
    unsigned program = maillog_postfix_program(head->program);
    struct text queue_id;

    if (program == 0 || !maillog_postfix_queue_id(&message, &queue_id)) {
        return MAILLOG_NOTHING;
    }
    record_init(record, head);
    record->queue_id = queue_id;
    return maillog_postfix_parse(program, message, record);
}

static enum maillog_kind parse_sendmail(struct maillog_sendmail *state,
                                        const struct head *head,
                                        struct text message,
                                        struct maillog_record *record)
{
    struct text queue_id;
    int64_t piece;

    if (!maillog_sendmail_queue_id(&message, &queue_id, &piece)) {
        return MAILLOG_NOTHING;
    }
    record_init(record, head);
    record->sendmail = true;
    record->queue_id = queue_id;
    return maillog_sendmail_parse(state, piece, message, record);
}

static enum maillog_kind parse_body(struct maillog_parser *parser,
                                    const struct head *head,
                                    struct text message,
                                    struct maillog_record *record)
{
    enum maillog_kind kind = MAILLOG_NOTHING;

    record->piece = 0;
    skip_message_id(&message);
    if (maillog_sendmail_program(head->program)) {
        kind = parse_sendmail(&parser->sendmail, head, message, record);
    } else {
        kind = parse_postfix(head, message, record);
    }
    record->kind = kind;
    return kind;
}

static struct text bounded(struct text line, bool *cut)
{
    *cut = line.length > MAILLOG_LINE_MAX;
    if (*cut) {
        line.length = MAILLOG_LINE_MAX;
    }
    if (line.length > 0 && line.bytes[line.length - 1] == '\r') {
        line.length--;
    }
    return line;
}

enum maillog_kind maillog_parse(struct maillog_parser *parser, struct text line,
                                struct maillog_record *record)
{
    struct head head = {0, 0, {NULL, 0}, {NULL, 0}, false};
    struct text rest = bounded(line, &head.cut);

    record->kind = MAILLOG_NOTHING;
    record->piece = 0;
    if (rest.length == 0) {
        return MAILLOG_NOTHING;
    }
    if (rest.bytes[0] == '<') {
        take_priority(&rest);
    }
    if (!maillog_stamp_take(&parser->stamp, &rest, &head.timestamp_us) ||
        !take_tag(&rest, &head)) {
        return MAILLOG_NOTHING;
    }
    return parse_body(parser, &head, rest, record);
}

enum maillog_kind maillog_parse_message(struct maillog_parser *parser,
                                        int64_t timestamp_us,
                                        struct text program, int64_t pid,
                                        struct text message,
                                        struct maillog_record *record)
{
    struct head head = {timestamp_us, pid, {NULL, 0}, program, false};

    message = bounded(message, &head.cut);
    return parse_body(parser, &head, message, record);
}

bool maillog_recipient(const struct maillog_record *record, size_t *at,
                       struct text *recipient)
{
    if (record->sendmail) {
        return maillog_sendmail_address(record->recipients, at, recipient);
    }
    if (*at > 0 || record->recipients.length == 0) {
        return false;
    }
    *at = 1;
    *recipient = record->recipients;
    return true;
}
