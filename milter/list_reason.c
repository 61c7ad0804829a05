#include "list_reason.h"

#include "verdict.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct list_reasons {
    const struct bounce_rules *rules;
    struct bounce_scratch *scratch;
};

struct list_reasons *list_reasons_new(const struct bounce_rules *rules)
{
    struct list_reasons *reasons = calloc(1, sizeof *reasons);

    if (reasons == NULL) {
        return NULL;
    }
    reasons->rules = rules;
    reasons->scratch = bounce_scratch_new(rules);
    if (reasons->scratch == NULL) {
        free(reasons);
        return NULL;
    }
    return reasons;
}

void list_reasons_free(struct list_reasons *reasons)
{
    if (reasons != NULL) {
        bounce_scratch_free(reasons->scratch);
        free(reasons);
    }
}

/* In letters of any case. SUPPRESSED: a bounce, whose reply may tell more. */
static const struct cause_row {
    enum list_preset preset;
    const char *cause; /* NULL: whatever it is */
    const char *who;   /* NULL: whoever it was */
    enum reason reason;
} rows[] = {
    {LIST_PRESET_SPARKPOST, "Bounce Rule", NULL, REASON_SUPPRESSED},
    {LIST_PRESET_SPARKPOST, "Spam Complaint", NULL, REASON_COMPLAINT},
    {LIST_PRESET_SPARKPOST, "Unsubscribe Link", NULL, REASON_UNSUBSCRIBE},
    {LIST_PRESET_SPARKPOST, "List Unsubscribe", NULL, REASON_UNSUBSCRIBE},
    {LIST_PRESET_SPARKPOST, "Compliance", NULL, REASON_COMPLAINT},
    {LIST_PRESET_SPARKPOST, "Manually Added", NULL, REASON_BLOCKLISTED},
    {LIST_PRESET_SES, "BOUNCE", NULL, REASON_SUPPRESSED},
    {LIST_PRESET_SES, "COMPLAINT", NULL, REASON_COMPLAINT},
    {LIST_PRESET_MAILGUN, NULL, NULL, REASON_UNSUBSCRIBE}, /* its tags */
    {LIST_PRESET_POSTMARK, "HardBounce", NULL, REASON_SUPPRESSED},
    {LIST_PRESET_POSTMARK, "SpamComplaint", NULL, REASON_COMPLAINT},
    {LIST_PRESET_POSTMARK, "ManualSuppression", "Recipient",
     REASON_UNSUBSCRIBE},
    {LIST_PRESET_POSTMARK, "ManualSuppression", NULL, REASON_BLOCKLISTED},
};

static bool is_word(struct text text, const char *word)
{
    return word == NULL ? text.length > 0
                        : text.length == strlen(word) &&
                              strncasecmp(text.bytes, word, text.length) == 0;
}

/* 0: it is none. */
static int reply_code_of(const char digits[3])
{
    int code = 0;

    for (size_t i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return 0;
        }
        code = code * 10 + (digits[i] - '0');
    }
    return code;
}

/* A reply says more than "it bounced". */
static enum reason judge(struct list_reasons *reasons,
                         const struct list_cause *cause)
{
    struct verdict_question question = {.reply = cause->reply};
    struct verdict verdict;

    if (reasons == NULL || cause->reply.length == 0) {
        return REASON_SUPPRESSED;
    }
    if (cause->code.length == 3) {
        question.reply_code = reply_code_of(cause->code.bytes);
    } else if (cause->code.length > 3) { /* SendGrid's is an enhanced one */
        question.enhanced_status = cause->code;
    }
    verdict_classify(reasons->rules, reasons->scratch, &question, &verdict);
    return verdict.reason == REASON_UNDETERMINED ? REASON_SUPPRESSED
                                                 : verdict.reason;
}

enum reason list_reason_of(struct list_reasons *reasons,
                           const struct list_cause *cause)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].preset == cause->preset &&
            is_word(cause->cause, rows[i].cause) &&
            (rows[i].who == NULL || is_word(cause->who, rows[i].who))) {
            return rows[i].reason == REASON_SUPPRESSED ? judge(reasons, cause)
                                                       : rows[i].reason;
        }
    }
    return judge(reasons, cause);
}
