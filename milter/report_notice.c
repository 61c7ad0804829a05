#include "report_notice.h"

#include "report_dsn.h"
#include "report_text.h"

#include <string.h>

#include <jansson.h>

bool report_notice_may_be(const struct report_signs *signs)
{
    return report_text_find(signs->values[REPORT_HEADER_FROM],
                            "@sns.amazonaws.com") != REPORT_TEXT_NOWHERE;
}

/* --- JSON -------------------------------------------------------------- */

/* A line end and the blank of its fold are not of the string they are in. */
static struct text unfold(struct report_memory *memory, struct text text)
{
    char *copy = report_memory_take(memory, text.length + 1);
    size_t used = 0;

    if (copy == NULL) {
        return (struct text){NULL, 0};
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] != '\n') {
            copy[used++] = text.bytes[i];
        } else if (i + 1 < text.length && text.bytes[i + 1] == ' ') {
            i++;
        }
    }
    return (struct text){copy, used};
}

/* New, or NULL. */
static json_t *load(struct text text)
{
    return text.length == 0
               ? NULL
               : json_loadb(text.bytes, text.length,
                            JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
}

/* The notice itself; new, or NULL. */
static json_t *load_notice(struct report_memory *memory, struct text text)
{
    json_t *outer = load(unfold(memory, report_text_trim(text)));
    const json_t *inner = json_object_get(outer, "Message");
    json_t *notice;

    if (!json_is_string(inner)) {
        return outer;
    }
    notice = load(
        (struct text){json_string_value(inner), json_string_length(inner)});
    json_decref(outer);
    return notice;
}

/* A copy: the object does not live as long. */
static struct text member(struct report_memory *memory, const json_t *object,
                          const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value)) {
        return (struct text){NULL, 0};
    }
    return report_memory_text(
        memory,
        (struct text){json_string_value(value), json_string_length(value)},
        REPORT_FIELD_MAX);
}

/* --- notices ----------------------------------------------------------- */

static const struct notice_row {
    const char *type; /* notificationType, eventType */
    const char *object, *recipients;
    enum report_kind kind;
    enum report_action action;
} rows[] = {
    {"Bounce", "bounce", "bouncedRecipients", REPORT_STATUS,
     REPORT_ACTION_FAILED},
    {"DeliveryDelay", "deliveryDelay", "delayedRecipients", REPORT_STATUS,
     REPORT_ACTION_DELAYED},
    {"Complaint", "complaint", "complainedRecipients", REPORT_FEEDBACK,
     REPORT_ACTION_UNKNOWN},
};

static const struct notice_row *row_of(const json_t *notice)
{
    const char *type =
        json_string_value(json_object_get(notice, "notificationType"));

    if (type == NULL) {
        type = json_string_value(json_object_get(notice, "eventType"));
    }
    for (size_t i = 0; type != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(type, rows[i].type) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void add_recipient(struct report_build *build,
                          const struct notice_row *row, const json_t *object)
{
    struct text address = report_text_mailbox(
        build->work, member(build->work, object, "emailAddress"));
    struct text diagnostic = member(build->work, object, "diagnosticCode");
    struct report_recipient *recipient;

    if (address.bytes == NULL ||
        (recipient = report_build_add(build)) == NULL) {
        return;
    }
    recipient->final_recipient = address;
    recipient->action = row->action;
    recipient->status =
        report_text_status(member(build->work, object, "status"));
    if (diagnostic.length > 0) {
        recipient->diagnostic = report_dsn_without_type(diagnostic);
    }
}

static void set_feedback(struct report_build *build, const json_t *object)
{
    struct text type = member(build->work, object, "complaintFeedbackType");

    build->report->feedback.type = type.length > 0 ? type : text_of("abuse");
    build->report->feedback.user_agent =
        member(build->work, object, "userAgent");
}

bool report_notice_read(struct report_build *build, struct text text)
{
    json_t *notice = load_notice(build->work, text);
    const struct notice_row *row = row_of(notice);
    const json_t *object, *recipient;
    size_t index;

    if (row != NULL) {
        object = json_object_get(notice, row->object);
        json_array_foreach(json_object_get(object, row->recipients), index,
                           recipient)
        {
            add_recipient(build, row, recipient);
        }
        if (row->kind == REPORT_FEEDBACK) {
            set_feedback(build, object);
        }
        build->report->kind = build->count > 0 ? row->kind : REPORT_NONE;
    }
    json_decref(notice);
    return build->report->kind != REPORT_NONE;
}
