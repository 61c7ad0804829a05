#include "envelope_check.h"

#include <stdio.h>
#include <string.h>

#define REASON_MAX    64 /* of an entry's reason in a reply */
#define RECIPIENT_MAX 256
#define DATE_LENGTH   10 /* 2026-11-02 */

static bool is_exempt(const struct settings *settings,
                      const struct mailbox *mailbox)
{
    struct mailbox_pattern candidate;

    for (size_t i = 0; mailbox_candidate(mailbox, i, &candidate); i++) {
        for (size_t j = 0; j < settings->exempt_count; j++) {
            if (candidate.length == settings->exempt[j].length &&
                memcmp(candidate.text, settings->exempt[j].text,
                       candidate.length) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool is_let_through(const struct envelope_question *question)
{
    return question->null_sender ||
           is_exempt(question->settings, question->mailbox) ||
           (question->delivered != NULL &&
            is_exempt(question->settings, question->delivered));
}

static enum suppression_result find(const struct envelope_question *question,
                                    struct suppression_entry *entry,
                                    struct error *error)
{
    const char *scope = question->scope == NULL ? NULL : question->scope->name;
    enum suppression_result result = suppression_find(
        question->list, question->mailbox, scope, entry, error);

    return question->delivered != NULL &&
                   (result == SUPPRESSION_ABSENT ||
                    (result == SUPPRESSION_UNAVAILABLE &&
                     entry->last_known == SUPPRESSION_ABSENT))
               ? suppression_find(question->list, question->delivered, scope,
                                  entry, error)
               : result;
}

static enum envelope_verdict
verdict_when_found(const struct envelope_question *question,
                   const struct suppression_entry *entry)
{
    if (is_let_through(question)) {
        return ENVELOPE_EXEMPT;
    }
    if (scope_mode(question->settings, question->scope) == MODE_OBSERVE ||
        strcmp(entry->mode, "observe") == 0) {
        return ENVELOPE_OBSERVE;
    }
    return ENVELOPE_SUPPRESS;
}

/* A hash may say mode=observe; what is not known is not enforced. */
static bool mode_is_unknown(const struct suppression_entry *entry)
{
    return entry->unread && strcmp(entry->kind, "hash") == 0;
}

static enum envelope_verdict
verdict_when_unavailable(const struct envelope_question *question)
{
    const struct settings *settings = question->settings;

    if (settings->on_store_failure != FAILURE_TEMPFAIL ||
        scope_mode(settings, question->scope) == MODE_OBSERVE ||
        is_let_through(question)) {
        return ENVELOPE_PASS;
    }
    return ENVELOPE_TEMPFAIL;
}

/* The list that was last known decides, if there is one. */
static bool take_last_known(const struct envelope_question *question,
                            struct envelope_answer *answer)
{
    if (question->settings->on_store_failure != FAILURE_CACHED) {
        return false;
    }
    switch (answer->entry.last_known) {
    case SUPPRESSION_FOUND:
        answer->verdict = verdict_when_found(question, &answer->entry);
        return true;
    case SUPPRESSION_ABSENT:
    case SUPPRESSION_ALLOWED:
        answer->verdict = ENVELOPE_PASS;
        return true;
    case SUPPRESSION_UNAVAILABLE:
        break;
    }
    return false;
}

void envelope_check(const struct envelope_question *question,
                    struct envelope_answer *answer)
{
    struct error error = {""};

    memset(answer, 0, sizeof *answer);
    switch (find(question, &answer->entry, &error)) {
    case SUPPRESSION_ABSENT:
    case SUPPRESSION_ALLOWED:
        answer->verdict = ENVELOPE_PASS;
        return;
    case SUPPRESSION_FOUND:
        if (!mode_is_unknown(&answer->entry)) {
            answer->verdict = verdict_when_found(question, &answer->entry);
            return;
        }
        error_set(&error, "an entry could not be read in time");
        break;
    case SUPPRESSION_UNAVAILABLE:
        break;
    }
    if (take_last_known(question, answer)) {
        return;
    }
    answer->store_down = true;
    answer->verdict = verdict_when_unavailable(question);
    (void)text_copy(text_of(error.text), answer->store_error,
                    sizeof answer->store_error);
}

/* Bytes that a reply may hold: printable ASCII but %, which MTAs expand. */
static size_t append(char *reply, size_t size, size_t used, struct text text)
{
    for (size_t i = 0; i < text.length && used + 1 < size; i++) {
        char byte = text.bytes[i];

        reply[used++] = byte >= ' ' && byte <= '~' && byte != '%' ? byte : '?';
    }
    reply[used] = '\0';
    return used;
}

static struct text bounded(const char *string, size_t most)
{
    struct text text = text_of(string);

    if (text.length > most) {
        text.length = most;
    }
    return text;
}

/* " since 2026-11-02", or nothing when added_at tells no date. */
static size_t append_since(char *reply, size_t size, size_t used,
                           const char *added_at)
{
    static const char shape[] = "dddd-dd-dd";

    for (size_t i = 0; i < DATE_LENGTH; i++) {
        bool digit = added_at[i] >= '0' && added_at[i] <= '9';

        if (shape[i] == 'd' ? !digit : added_at[i] != shape[i]) {
            return used;
        }
    }
    used = append(reply, size, used, text_of(" since "));
    return append(reply, size, used, bounded(added_at, DATE_LENGTH));
}

void envelope_reply(const struct settings *settings,
                    const struct suppression_entry *entry,
                    const char *recipient, const char *transaction_id,
                    struct envelope_reply *reply)
{
    char *text = reply->text;
    const size_t size = sizeof reply->text;
    size_t used = 0;

    memcpy(reply->code, settings->refusal_code, sizeof reply->code);
    memcpy(reply->enhanced_status, settings->refusal_enhanced_status,
           sizeof reply->enhanced_status);
    text[0] = '\0';
    for (const char *from = settings->refusal_text; *from != '\0'; from++) {
        if (*from != '%') {
            used = append(text, size, used, (struct text){from, 1});
            continue;
        }
        switch (*++from) {
        case 'R':
            used = append(
                text, size, used,
                bounded(entry->reason[0] != '\0' ? entry->reason : "listed",
                        REASON_MAX));
            break;
        case 's':
            used = append_since(text, size, used, entry->added_at);
            break;
        case 'i':
            used = append(text, size, used, text_of(transaction_id));
            break;
        case 'r':
            used = append(text, size, used, bounded(recipient, RECIPIENT_MAX));
            break;
        default: /* MTAs make one of two */
            if (used + 2 < size) {
                memcpy(text + used, "%%", 3);
                used += 2;
            }
            break;
        }
    }
}
