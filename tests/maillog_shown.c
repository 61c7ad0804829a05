#include "maillog_shown.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct shown {
    char *bytes;
    size_t used;
};

static void add(struct shown *shown, const char *bytes, size_t length)
{
    assert_true(shown->used + length < MAILLOG_SHOWN_SIZE);
    memcpy(shown->bytes + shown->used, bytes, length);
    shown->used += length;
    shown->bytes[shown->used] = '\0';
}

static void add_text(struct shown *shown, const char *key, struct text text)
{
    if (text.bytes != NULL) {
        add(shown, key, strlen(key));
        add(shown, text.bytes, text.length);
    }
}

static void add_flag(struct shown *shown, const char *flag, bool is_set)
{
    if (is_set) {
        add(shown, flag, strlen(flag));
    }
}

static void add_number(struct shown *shown, const char *key, int64_t number,
                       int64_t unknown)
{
    char digits[32];

    if (number != unknown) {
        (void)snprintf(digits, sizeof digits, "%" PRId64, number);
        add_text(shown, key, text_of(digits));
    }
}

static void add_recipients(struct shown *shown,
                           const struct maillog_record *record)
{
    struct text recipient;
    size_t at = 0;

    while (maillog_recipient(record, &at, &recipient)) {
        add_text(shown, " to=<", recipient);
        add(shown, ">", 1);
    }
}

static void add_answer(struct shown *shown, const struct maillog_record *record)
{
    add_text(shown, " dsn=", record->enhanced_status);
    add_flag(shown, " local", record->local);
    add_flag(shown, " forwarded", record->forwarded);
    add_flag(shown, " remote", record->remote);
    if (record->stage != BOUNCE_STAGE_UNKNOWN) {
        add_text(shown, " stage=", text_of(bounce_stage_name(record->stage)));
    }
    add_flag(shown, " destination", record->destination);
    add_flag(shown, " more", record->more);
    add_flag(shown, " cut", record->cut);
    add_text(shown, " reply=", record->reply);
}

static void add_message(struct shown *shown,
                        const struct maillog_record *record)
{
    add_text(shown, " client=", record->client_name);
    add_text(shown, " client_ip=", record->client_ip);
    add_text(shown, " user=", record->auth_user);
    if (record->has_sender) {
        add_text(shown, " from=<", record->sender);
        add(shown, ">", 1);
    }
    add_number(shown, " size=", record->size, -1);
    add_number(shown, " count=", record->recipient_count, -1);
    add_text(shown, " message_id=", record->message_id);
    add_flag(shown, " forced", record->forced);
}

static const char *kind_name(const struct maillog_record *record)
{
    static const char *const outcomes[] = {"sent", "deferred", "bounced"};

    switch (record->kind) {
    case MAILLOG_NOTHING:
        return "nothing";
    case MAILLOG_OUTCOME:
        return outcomes[record->status];
    case MAILLOG_SUBMISSION:
        return "submission";
    case MAILLOG_MESSAGE:
        return "message";
    case MAILLOG_EXPIRED:
        return "expired";
    case MAILLOG_REMOVED:
        return "removed";
    case MAILLOG_REJECTION:
        return record->status == MAILLOG_DEFERRED ? "refused for now"
                                                  : "refused";
    }
    return "?";
}

const char *maillog_shown(const struct maillog_record *record,
                          char buffer[MAILLOG_SHOWN_SIZE])
{
    struct shown shown = {buffer, 0};

    add_text(&shown, "", text_of(kind_name(record)));
    if (record->kind == MAILLOG_NOTHING) {
        return buffer;
    }
    add_text(&shown, " ", record->queue_id);
    add_recipients(&shown, record);
    if (record->original_recipient.bytes != NULL) {
        add_text(&shown, " orig_to=<", record->original_recipient);
        add(&shown, ">", 1);
    }
    add_text(&shown, " relay=", record->relay);
    add_text(&shown, " ip=", record->relay_ip);
    add_number(&shown, " port=", record->relay_port, 0);
    add_number(&shown, " delay=", record->delay_s, -1);
    add_message(&shown, record);
    add_answer(&shown, record);
    return buffer;
}

const char *maillog_parse_shown(struct maillog_parser *parser,
                                struct text message,
                                char buffer[MAILLOG_SHOWN_SIZE])
{
    static const char head[] = "Jan  2 03:04:05 mail ";
    struct maillog_record record;
    struct text line;
    char *bytes = malloc(sizeof head - 1 + message.length);

    assert_non_null(bytes); /* as long as the line, so that ASan sees its end */
    memcpy(bytes, head, sizeof head - 1);
    memcpy(bytes + sizeof head - 1, message.bytes, message.length);
    line.bytes = bytes;
    line.length = sizeof head - 1 + message.length;
    (void)maillog_parse(parser, line, &record);
    (void)maillog_shown(&record, buffer);
    free(bytes);
    return buffer;
}

void maillog_rows_hold(const struct maillog_row *rows, size_t count)
{
    char *buffer = malloc(MAILLOG_SHOWN_SIZE);
    size_t wrong = 0;

    assert_non_null(buffer);
    for (size_t i = 0; i < count; i++) {
        struct maillog_parser *parser = maillog_parser_new(0);
        const char *shown;

        assert_non_null(parser);
        shown = maillog_parse_shown(parser, text_of(rows[i].line), buffer);
        if (strcmp(shown, rows[i].shown) != 0) {
            print_error("%s:\n line   %s\n wanted %s\n is     %s\n",
                        rows[i].name, rows[i].line, rows[i].shown, shown);
            wrong++;
        }
        maillog_parser_free(parser);
    }
    free(buffer);
    assert_int_equal(wrong, 0);
}
