#include "report_dsn.h"

#include "report_text.h"

#include <string.h>

/* --- values ------------------------------------------------------------ */

enum report_action report_dsn_action(struct text value)
{
    static const struct action_row {
        const char *begins;
        enum report_action action;
    } rows[] = {
        {"fail", REPORT_ACTION_FAILED},
        {"delayed", REPORT_ACTION_DELAYED},
        {"delivered", REPORT_ACTION_DELIVERED},
        {"relayed", REPORT_ACTION_RELAYED},
        {"expanded", REPORT_ACTION_EXPANDED},
        /* of no standard */
        {"expired", REPORT_ACTION_FAILED},
        {"undeliver", REPORT_ACTION_FAILED},
        {"error", REPORT_ACTION_FAILED},
        {"bounce", REPORT_ACTION_FAILED},
        {"dropped", REPORT_ACTION_FAILED},
        {"reject", REPORT_ACTION_FAILED},
        {"deferred", REPORT_ACTION_DELAYED},
        {"delay", REPORT_ACTION_DELAYED},
        {"deliverable", REPORT_ACTION_DELIVERED},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (report_text_begins(value, rows[i].begins)) {
            return rows[i].action;
        }
    }
    return REPORT_ACTION_UNKNOWN;
}

#define TYPE_MAX 20 /* bytes of "dns", "x-postfix", "x-local-hostname" */

struct text report_dsn_without_type(struct text value)
{
    for (size_t i = 0; i < value.length && i < TYPE_MAX; i++) {
        char byte = value.bytes[i];

        if (byte == ';') {
            return report_text_trim(
                report_text_part(value, i + 1, value.length));
        }
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
              (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
              byte == '/')) {
            break;
        }
    }
    return value;
}

static struct text first_word(struct text value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (strchr(" \t\n;(", value.bytes[i]) != NULL) {
            return report_text_part(value, 0, i);
        }
    }
    return value;
}

/* --- groups ------------------------------------------------------------ */

enum group_field {
    GROUP_FINAL,
    GROUP_ORIGINAL,
    GROUP_ACTUAL,
    GROUP_ACTION,
    GROUP_STATUS,
    GROUP_REMOTE_MTA,
    GROUP_DIAGNOSTIC,
    GROUP_LAST_ATTEMPT,
    GROUP_RETRY_UNTIL,
};
#define GROUP_FIELDS 9

static const struct group_row {
    const char *name;
    enum group_field field;
} group_rows[] = {
    {"final-recipient", GROUP_FINAL},          /* RFC 3464 2.3.2 */
    {"original-recipient", GROUP_ORIGINAL},    /* 2.3.1 */
    {"x-actual-recipient", GROUP_ACTUAL},      /* Sendmail */
    {"action", GROUP_ACTION},                  /* 2.3.3 */
    {"status", GROUP_STATUS},                  /* 2.3.4 */
    {"remote-mta", GROUP_REMOTE_MTA},          /* 2.3.5 */
    {"diagnostic-code", GROUP_DIAGNOSTIC},     /* 2.3.6 */
    {"last-attempt-date", GROUP_LAST_ATTEMPT}, /* 2.3.7 */
    {"will-retry-until", GROUP_RETRY_UNTIL},   /* 2.3.9 */
};

struct group {
    struct text values[GROUP_FIELDS];
    bool has[GROUP_FIELDS];
};

static bool has_recipient(const struct group *group)
{
    return group->has[GROUP_FINAL] || group->has[GROUP_ORIGINAL] ||
           group->has[GROUP_ACTUAL];
}

/* Whether it may be whole: a blank line ends it then. */
static bool is_whole(const struct group *group)
{
    return has_recipient(group) &&
           (group->has[GROUP_ACTION] || group->has[GROUP_STATUS]);
}

static void set_addresses(struct report_build *build, const struct group *group,
                          struct report_recipient *recipient)
{
    struct text final =
        report_text_mailbox(build->work, group->values[GROUP_FINAL]);
    struct text original =
        report_text_mailbox(build->work, group->values[GROUP_ORIGINAL]);

    struct text actual =
        report_text_mailbox(build->work, group->values[GROUP_ACTUAL]);

    recipient->final_recipient = final.bytes == NULL ? actual : final;
    recipient->actual_recipient = actual;
    recipient->original_recipient = original;
}

/* "4.0.0 (host name lookup failure)": of a vague status the comment tells. */
static struct text status_comment(struct text value, struct text status)
{
    const char *open =
        value.length == 0 ? NULL : memchr(value.bytes, '(', value.length);
    struct text comment;

    if (open == NULL || !report_text_status_is_vague(status)) {
        return (struct text){NULL, 0};
    }
    comment =
        report_text_part(value, (size_t)(open - value.bytes) + 1, value.length);
    while (comment.length > 0 &&
           strchr(") \t", comment.bytes[comment.length - 1]) != NULL) {
        comment.length--;
    }
    return comment;
}

static void end_group(struct report_build *build, struct group *group)
{
    struct report_recipient *recipient;

    if (has_recipient(group) &&
        (is_whole(group) || group->has[GROUP_DIAGNOSTIC]) &&
        (recipient = report_build_add(build)) != NULL) {
        set_addresses(build, group, recipient);
        recipient->action = report_dsn_action(group->values[GROUP_ACTION]);
        recipient->status = report_text_status(group->values[GROUP_STATUS]);
        recipient->diagnostic =
            report_dsn_without_type(group->values[GROUP_DIAGNOSTIC]);
        if (recipient->diagnostic.length == 0) {
            recipient->diagnostic =
                status_comment(group->values[GROUP_STATUS], recipient->status);
        }
        recipient->remote_mta = first_word(
            report_dsn_without_type(group->values[GROUP_REMOTE_MTA]));
        recipient->last_attempt = group->values[GROUP_LAST_ATTEMPT];
        recipient->will_retry_until = group->values[GROUP_RETRY_UNTIL];
    }
    memset(group, 0, sizeof *group);
}

/* A field that comes again begins the next group. */
static bool begins_group(const struct group *group, enum group_field field)
{
    return group->has[field] && (is_whole(group) || field == GROUP_FINAL);
}

static bool take_group_field(struct report_build *build, struct group *group,
                             const struct report_field *field)
{
    for (size_t i = 0; i < GROUP_FIELDS; i++) {
        enum group_field which = group_rows[i].field;

        if (report_text_equals(field->name, group_rows[i].name)) {
            if (begins_group(group, which)) {
                end_group(build, group);
            }
            if (!group->has[which]) {
                group->values[which] = field->value;
                group->has[which] = true;
            }
            return true;
        }
    }
    return false;
}

/* --- fields of the message --------------------------------------------- */

static void take_message_field(struct report *report,
                               struct report_memory *work,
                               const struct report_field *field)
{
    if (report_text_equals(field->name, "reporting-mta")) {
        report->reporting_mta =
            first_word(report_dsn_without_type(field->value));
    } else if (report_text_equals(field->name, "original-envelope-id")) {
        report->envelope_id = field->value;
    } else if (report_text_equals(field->name, "arrival-date")) {
        report->arrival_date = field->value;
    } else if (report_text_equals(field->name, "x-postfix-queue-id")) {
        report->queue_id = field->value;
    } else if (report_text_equals(field->name, "x-postfix-sender")) {
        report->sender = report_text_mailbox(work, field->value);
        if (report->sender.bytes == NULL) {
            report->sender = text_of(""); /* the null reverse-path */
        }
    }
}

void report_dsn_read(struct report_build *build, struct text fields)
{
    struct group group;
    struct report_field field;

    memset(&group, 0, sizeof group);
    while (report_text_field(&fields, &field) && !build->failed) {
        if (field.name.length == 0) {
            if (is_whole(&group) && report_text_trim(field.value).length == 0) {
                end_group(build, &group);
            }
        } else if (!take_group_field(build, &group, &field)) {
            take_message_field(build->report, build->work, &field);
        }
    }
    end_group(build, &group);
}

/* Where a line begins with words, or REPORT_TEXT_NOWHERE. */
static size_t find_line(struct text text, const char *words)
{
    size_t from = 0;
    size_t at;

    while ((at = report_text_find(report_text_part(text, from, text.length),
                                  words)) != REPORT_TEXT_NOWHERE) {
        at += from;
        if (at == 0 || text.bytes[at - 1] == '\n') {
            return at;
        }
        from = at + 1;
    }
    return REPORT_TEXT_NOWHERE;
}

size_t report_dsn_find(struct text text)
{
    size_t start = find_line(text, "final-recipient:");
    struct text behind;

    if (start == REPORT_TEXT_NOWHERE) {
        start = find_line(text, "original-recipient:");
    }
    if (start == REPORT_TEXT_NOWHERE) {
        return REPORT_TEXT_NOWHERE;
    }
    behind = report_text_part(text, start, text.length);
    if (find_line(behind, "action:") == REPORT_TEXT_NOWHERE &&
        find_line(behind, "status:") == REPORT_TEXT_NOWHERE) {
        return REPORT_TEXT_NOWHERE;
    }
    return start;
}
