#include "report_belief.h"

#include <string.h>
#include <strings.h>

/* "" when there is none. */
static void parse(const struct report_believer *believer, struct text address,
                  struct mailbox *mailbox)
{
    if (address.bytes == NULL ||
        mailbox_parse(address, believer->rules, mailbox) != MAILBOX_OK) {
        memset(mailbox, 0, sizeof *mailbox);
    }
}

/* Whether the domain stands in text as a whole, or as the end of another. */
static bool names_domain(struct text text, const char *domain)
{
    const size_t length = strlen(domain);

    for (size_t at = 0; length > 0 && at + length <= text.length; at++) {
        const char before = at == 0 ? '<' : text.bytes[at - 1];
        const char behind =
            at + length == text.length ? '>' : text.bytes[at + length];

        if (strncasecmp(text.bytes + at, domain, length) == 0 &&
            strchr("<.@ ", before) != NULL && strchr("> ", behind) != NULL) {
            return true;
        }
    }
    return false;
}

/*
 * A subscriber of a list has a copy with our mark, and its MTA may return that
 * for the list's address: of mail that went through the recipient's own list
 * nothing is believed.
 */
static bool is_list_of(const struct report *report, const char *domain)
{
    return report->returned.list_id.bytes != NULL &&
           names_domain(report->returned.list_id, domain);
}

static void check_trace(const struct report_believer *believer,
                        const struct report *report,
                        struct report_belief *belief)
{
    const struct text texts[] = {text_known(belief->original.address),
                                 text_known(belief->final.address)};
    struct text recipients[2];
    struct trace_evidence evidence = {
        .headers = report->returned.traces,
        .header_count = report->returned.trace_count,
        .envelope_id = report->envelope_id,
        .recipients = recipients,
    };

    for (size_t i = 0; i < 2; i++) {
        if (texts[i].bytes != NULL) {
            recipients[evidence.recipient_count++] = texts[i];
        }
    }
    memset(&belief->trace, 0, sizeof belief->trace);
    if (believer->keys != NULL) {
        (void)trace_check(believer->keys, &evidence, believer->now_us,
                          &belief->trace);
    }
}

/* What the mark knows of its recipient; NULL: nothing. */
static const struct mailbox *marked_recipient(struct report_belief *belief)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    const struct text recipient = {belief->trace.recipient,
                                   belief->trace.recipient_length};

    return recipient.length > 0 && mailbox_parse(recipient, &as_it_is,
                                                 &belief->marked) == MAILBOX_OK
               ? &belief->marked
               : NULL;
}

void report_believe(const struct report_believer *believer,
                    const struct report *report,
                    const struct report_recipient *recipient,
                    struct report_belief *belief)
{
    const struct mailbox *named, *marked;

    parse(believer, recipient->original_recipient, &belief->original);
    parse(believer, recipient->final_recipient, &belief->final);
    parse(believer, recipient->actual_recipient, &belief->actual);
    check_trace(believer, report, belief);
    named = belief->original.address[0] != '\0' ? &belief->original
                                                : &belief->final;
    marked = marked_recipient(belief);
    if (is_list_of(report, marked == NULL ? named->domain : marked->domain)) {
        memset(&belief->trace, 0, sizeof belief->trace);
        marked = NULL;
    }
    belief->sent_to = marked == NULL ? named : marked;
}
