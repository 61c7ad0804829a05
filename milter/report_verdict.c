#include "report_verdict.h"

#include "report_text.h"

#include <string.h>

#define REPLIES_MAX        3
#define STATUS_BEHIND_CODE 3 /* bytes: a blank, a quote, a # */

/* "550-'5.2.2 full'": the status behind the code, else the first. */
static struct text told_status(struct text reply)
{
    size_t code = report_text_reply(reply);

    if (code != REPORT_TEXT_NOWHERE) {
        struct text behind = report_text_part(reply, code + 3, 12);
        struct text status = report_text_status(behind);

        if (status.length > 0 &&
            (size_t)(status.bytes - behind.bytes) <= STATUS_BEHIND_CODE) {
            return status;
        }
    }
    return report_text_status(reply);
}

/*
 * "451 4.0.0 write error 550 5.1.1 user unknown": why a failure is for good
 * is the reply that is for good, whatever went wrong on the way there.
 */
static struct text final_reply(struct text reply,
                               const struct report_recipient *recipient)
{
    struct text rest = reply;
    size_t code = report_text_reply(rest);

    if (recipient->action != REPORT_ACTION_FAILED ||
        recipient->status.length == 0 || recipient->status.bytes[0] != '5') {
        return reply;
    }
    while (code != REPORT_TEXT_NOWHERE && rest.bytes[code] == '4') {
        rest = report_text_part(rest, code + 3, rest.length);
        code = report_text_reply(rest);
    }
    return code == REPORT_TEXT_NOWHERE || rest.bytes == reply.bytes
               ? reply
               : report_text_part(rest, code, rest.length);
}

static bool ask(const struct bounce_rules *rules,
                struct bounce_scratch *scratch, struct text reply,
                const struct report_recipient *recipient,
                struct verdict *verdict)
{
    struct verdict_question question = {.reply = reply,
                                        .remote_mta = recipient->remote_mta};
    struct text told = told_status(reply);

    question.enhanced_status = recipient->status;
    if (told.length > 0 && report_text_status_is_vague(recipient->status) &&
        !report_text_status_is_vague(told)) {
        question.enhanced_status = told;
    }
    verdict_classify(rules, scratch, &question, verdict);
    return verdict->source == VERDICT_RULE;
}

/*
 * The texts in the order in which they are trusted. All of the report's text
 * speaks of this recipient only where there is no other.
 */
static size_t list_replies(const struct report *report,
                           const struct report_recipient *recipient,
                           struct text replies[REPLIES_MAX])
{
    size_t count = 0;

    if (recipient->diagnostic.length > 0) {
        replies[count++] = recipient->diagnostic;
    }
    /* a status that says something says it without a guess */
    if (count == 0 && !report_text_status_is_vague(recipient->status)) {
        replies[count++] = text_of("");
        return count;
    }
    if (recipient->said.length > 0) {
        replies[count++] = recipient->said;
    }
    if (report->said.length > 0 && report->recipient_count == 1 &&
        report_text_status_is_vague(recipient->status)) {
        replies[count++] = report->said;
    }
    return count;
}

void report_verdict(const struct bounce_rules *rules,
                    struct bounce_scratch *scratch, const struct report *report,
                    const struct report_recipient *recipient,
                    struct verdict *verdict, struct text *said)
{
    struct text replies[REPLIES_MAX];
    size_t count = list_replies(report, recipient, replies);
    bool decided = false;

    for (size_t i = 0; i < count && !decided; i++) {
        *said = final_reply(replies[i], recipient);
        decided = ask(rules, scratch, *said, recipient, verdict);
    }
    if (!decided && count != 1) {
        *said = count == 0 ? text_of("") : final_reply(replies[0], recipient);
        (void)ask(rules, scratch, *said, recipient, verdict);
    }
    if (recipient->action == REPORT_ACTION_DELAYED) {
        verdict->failure_type = FAILURE_TYPE_IGNORED;
    }
}
