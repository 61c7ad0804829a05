#include "report_complaint.h"

#include "report_text.h"

#include <string.h>

/* Texts are lower case; NULL: of no matter. */
static const struct complaint_row {
    const char *name;
    const char *from, *subject, *words;
    const char *type;   /* as RFC 5965 has it */
    const char *header; /* of the returned message that names the recipient */
} rows[] = {
    /* it uses mailto: of List-Unsubscribe in the user's name */
    {"Apple Mail", NULL, "unsubscribe", "sent this email to unsubscribe",
     "opt-out", NULL},
    {"JMRP", "staff@hotmail.com", "complaint about message from", NULL, "abuse",
     "x-hmxmroriginalrecipient"},
    {"JMRP", "staff@outlook.com", "complaint about message from", NULL, "abuse",
     "x-hmxmroriginalrecipient"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static bool has(struct text text, const char *words)
{
    return words == NULL ||
           report_text_find(text, words) != REPORT_TEXT_NOWHERE;
}

static bool headers_fit(const struct complaint_row *row,
                        const struct report_signs *signs)
{
    return has(signs->values[REPORT_HEADER_FROM], row->from) &&
           has(signs->subject, row->subject);
}

bool report_complaint_may_be(const struct report_signs *signs)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (headers_fit(&rows[i], signs)) {
            return true;
        }
    }
    return false;
}

/* The header of the row, else To. */
static struct text returned_recipient(const struct complaint_row *row,
                                      struct text returned)
{
    struct text to = {NULL, 0};
    struct report_field field;

    while (report_text_field(&returned, &field) && field.name.length > 0) {
        if (report_text_equals(field.name, row->header)) {
            return field.value;
        }
        if (report_text_equals(field.name, "to") && to.bytes == NULL) {
            to = field.value;
        }
    }
    return to;
}

const char *report_complaint_read(const struct report_signs *signs,
                                  const struct report_words *words,
                                  struct text returned,
                                  struct report_build *build)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct complaint_row *row = &rows[i];
        struct text value = signs->values[REPORT_HEADER_FROM];
        struct report_recipient *recipient;

        if (!headers_fit(row, signs) || !has(words->text, row->words)) {
            continue;
        }
        if (row->header != NULL) {
            value = returned_recipient(row, returned);
        }
        value = report_text_mailbox(build->work, value);
        if (value.bytes != NULL &&
            (recipient = report_build_add(build)) != NULL) {
            recipient->original_recipient = value;
        } else {
            build->report->feedback.redacted = true;
        }
        build->report->feedback.type = text_of(row->type);
        return row->name;
    }
    return NULL;
}
