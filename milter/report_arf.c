#include "report_arf.h"

#include "report_text.h"

#include <glib.h>
#include <string.h>

static const struct feedback_row {
    const char *name;
    size_t offset; /* in struct report_feedback */
} rows[] = {
    {"feedback-type", offsetof(struct report_feedback, type)},
    {"user-agent", offsetof(struct report_feedback, user_agent)},
    {"original-mail-from", offsetof(struct report_feedback, mail_from)},
    {"arrival-date", offsetof(struct report_feedback, arrival_date)},
    {"received-date", offsetof(struct report_feedback, arrival_date)},
    {"source-ip", offsetof(struct report_feedback, source_ip)},
    {"incidents", offsetof(struct report_feedback, incidents)},
};

static bool take_row(struct report_feedback *feedback,
                     const struct report_field *field)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (report_text_equals(field->name, rows[i].name)) {
            struct text *value =
                (struct text *)(void *)((char *)feedback + rows[i].offset);

            if (value->bytes == NULL) {
                *value = field->value;
            }
            return true;
        }
    }
    return false;
}

static void take_recipient(struct report_build *build, struct text value)
{
    struct text address = report_text_mailbox(build->work, value);
    struct report_recipient *recipient;

    if (address.bytes == NULL ||
        report_text_find(address, "redacted") != REPORT_TEXT_NOWHERE) {
        build->report->feedback.redacted = true;
        return;
    }
    for (size_t i = 0; i < build->count; i++) {
        if (report_text_same(build->recipients[i].original_recipient,
                             address)) {
            return;
        }
    }
    recipient = report_build_add(build);
    if (recipient != NULL) {
        recipient->original_recipient = address;
    }
}

static void take_domain(struct report_feedback *feedback, struct text value)
{
    if (feedback->domain_count < REPORT_DOMAINS_MAX) {
        feedback->domains[feedback->domain_count++] = value;
    }
}

/* "Abuse (see below)" is abuse */
static void normalise_type(struct report_build *build)
{
    struct text *type = &build->report->feedback.type;
    char *copy = report_memory_take(build->work, type->length + 1);
    size_t length = 0;

    if (copy == NULL) {
        return;
    }
    while (
        length < type->length && length < 32 &&
        (g_ascii_isalnum(type->bytes[length]) || type->bytes[length] == '-')) {
        copy[length] = g_ascii_tolower(type->bytes[length]);
        length++;
    }
    *type = (struct text){copy, length};
}

void report_arf_read(struct report_build *build, struct text fields)
{
    struct report_feedback *feedback = &build->report->feedback;
    struct report_field field;

    while (report_text_field(&fields, &field) && !build->failed) {
        if (field.name.length == 0 || take_row(feedback, &field)) {
            continue;
        }
        if (report_text_equals(field.name, "original-rcpt-to") ||
            report_text_equals(field.name, "removal-recipient")) {
            take_recipient(build, field.value);
        } else if (report_text_equals(field.name, "reported-domain")) {
            take_domain(feedback, field.value);
        } else if (report_text_equals(field.name, "reporting-mta")) {
            build->report->reporting_mta = field.value;
        } else if (report_text_equals(field.name, "original-envelope-id")) {
            build->report->envelope_id = field.value;
        }
    }
    normalise_type(build);
}
