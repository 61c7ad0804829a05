#include "list_column.h"

#include <string.h>

#define NAME_SIZE 32

static const char *const preset_names[LIST_PRESETS] = {
    [LIST_PRESET_NONE] = "none",       [LIST_PRESET_SPARKPOST] = "sparkpost",
    [LIST_PRESET_SES] = "ses",         [LIST_PRESET_SENDGRID] = "sendgrid",
    [LIST_PRESET_MAILGUN] = "mailgun", [LIST_PRESET_POSTMARK] = "postmark",
};

const char *list_preset_name(enum list_preset preset)
{
    return preset_names[preset];
}

bool list_preset_parse(struct text name, enum list_preset *preset)
{
    for (size_t i = 1; i < LIST_PRESETS; i++) {
        if (text_is(name, preset_names[i])) {
            *preset = (enum list_preset)i;
            return true;
        }
    }
    return false;
}

static const char *const member_names[LIST_MEMBERS] = {
    [LIST_REASON] = "reason",
    [LIST_TYPE] = "type",
    [LIST_NOTE] = "note",
    [LIST_BY] = "by",
    [LIST_ORIGIN] = "origin",
    [LIST_ADDED_AT] = "added_at",
    [LIST_MODE] = "mode",
    [LIST_EVIDENCE] = "evidence",
    [LIST_PATTERN] = "pattern",
    [LIST_SCOPE] = "scope",
    [LIST_CODE] = "code",
    [LIST_EXPIRES_AT] = "expires_at",
    [LIST_CAUSE] = "cause",
    [LIST_WHO] = "who",
    [LIST_STREAM] = "stream",
    [LIST_TRANSACTIONAL] = "transactional",
    [LIST_NON_TRANSACTIONAL] = "non_transactional",
    [LIST_PASSED_OVER] = "other",
};

const char *list_member_name(enum list_member member)
{
    return member_names[member];
}

/* A bit for each preset that whose files have the column. */
#define IN(preset) (1U << (unsigned)LIST_PRESET_##preset)
#define ANY        0x3fU

static const struct column {
    const char *name; /* lower case, letters and digits only */
    enum list_member member;
    unsigned presets;
} columns[] = {
    {"pattern", LIST_PATTERN, ANY},
    {"address", LIST_PATTERN, ANY},
    {"recipient", LIST_PATTERN, ANY},
    {"email", LIST_PATTERN, ANY},
    {"emailaddress", LIST_PATTERN, ANY},
    {"scope", LIST_SCOPE, IN(NONE)},
    {"reason", LIST_REASON, IN(NONE)},
    {"type", LIST_TYPE, IN(NONE)},
    {"note", LIST_NOTE, IN(NONE)},
    {"description", LIST_NOTE, IN(NONE)},
    {"by", LIST_BY, IN(NONE)},
    {"origin", LIST_ORIGIN, IN(NONE)},
    {"addedat", LIST_ADDED_AT, IN(NONE)},
    {"createdat", LIST_ADDED_AT, IN(NONE)},
    {"created", LIST_ADDED_AT, IN(NONE)},
    {"expiresat", LIST_EXPIRES_AT, IN(NONE)},
    {"expires", LIST_EXPIRES_AT, IN(NONE)},
    {"mode", LIST_MODE, IN(NONE)},
    {"evidence", LIST_EVIDENCE, IN(NONE)},
    {"source", LIST_CAUSE, IN(SPARKPOST)},
    {"description", LIST_NOTE, IN(SPARKPOST)},
    {"type", LIST_STREAM, IN(SPARKPOST)},
    {"transactional", LIST_TRANSACTIONAL, IN(SPARKPOST)},
    {"nontransactional", LIST_NON_TRANSACTIONAL, IN(SPARKPOST)},
    {"created", LIST_ADDED_AT, IN(SPARKPOST) | IN(SENDGRID)},
    {"reason", LIST_CAUSE, IN(SES)},
    {"suppressionreason", LIST_CAUSE, IN(SES)},
    {"lastupdatetime", LIST_ADDED_AT, IN(SES)},
    {"lastupdated", LIST_ADDED_AT, IN(SES)}, /* and what scripts make of it */
    {"lastupdate", LIST_ADDED_AT, IN(SES)},
    {"dateadded", LIST_ADDED_AT, IN(SES)},
    {"addedat", LIST_ADDED_AT, IN(SES)},
    {"createdat", LIST_ADDED_AT, IN(SES)},
    {"timestamp", LIST_ADDED_AT, IN(SES)},
    {"date", LIST_ADDED_AT, IN(SES)},
    {"reason", LIST_NOTE, IN(SENDGRID)},
    {"status", LIST_CODE, IN(SENDGRID)},
    {"code", LIST_CODE, IN(MAILGUN)},
    {"error", LIST_NOTE, IN(MAILGUN)},
    {"tags", LIST_CAUSE, IN(MAILGUN)},
    {"createdat", LIST_ADDED_AT, IN(MAILGUN) | IN(POSTMARK)},
    {"suppressionreason", LIST_CAUSE, IN(POSTMARK)},
    {"origin", LIST_WHO, IN(POSTMARK)},
};

/* "Email address", "email_address" and "EmailAddress" are one name. */
static void simplify(struct text name, char simple[NAME_SIZE])
{
    size_t length = 0;

    for (size_t i = 0; i < name.length && length < NAME_SIZE - 1; i++) {
        char byte = name.bytes[i];

        if (byte >= 'A' && byte <= 'Z') {
            byte = (char)(byte - 'A' + 'a');
        }
        if (memchr(" \t_-", byte, 4) == NULL) {
            simple[length++] = byte;
        }
    }
    simple[length] = '\0';
}

enum list_member list_column_member(enum list_preset preset, struct text name)
{
    char simple[NAME_SIZE];

    simplify(name, simple);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if ((columns[i].presets & (1U << (unsigned)preset)) != 0 &&
            strcmp(columns[i].name, simple) == 0) {
            return columns[i].member;
        }
    }
    return LIST_PASSED_OVER;
}

/* Names that only this service uses together. */
static const struct sign {
    enum list_preset preset;
    const char *names[3];
} signs[] = {
    {LIST_PRESET_POSTMARK, {"emailaddress", "suppressionreason"}},
    {LIST_PRESET_SES, {"emailaddress", "reason", "lastupdatetime"}},
    {LIST_PRESET_SES, {"emailaddress", "reason"}},
    {LIST_PRESET_SPARKPOST, {"recipient", "source"}},
    {LIST_PRESET_SPARKPOST, {"recipient", "nontransactional"}},
    {LIST_PRESET_SENDGRID, {"email", "created", "status"}},
    {LIST_PRESET_SENDGRID, {"email", "created"}},
    {LIST_PRESET_MAILGUN, {"address", "createdat", "error"}},
    {LIST_PRESET_MAILGUN, {"address", "createdat", "code"}},
    {LIST_PRESET_MAILGUN, {"address", "createdat", "tags"}},
    {LIST_PRESET_MAILGUN, {"address", "createdat"}},
};

static bool has_name(const struct text *names, size_t count, const char *wanted)
{
    char simple[NAME_SIZE];

    for (size_t i = 0; i < count; i++) {
        simplify(names[i], simple);
        if (strcmp(simple, wanted) == 0) {
            return true;
        }
    }
    return false;
}

enum list_preset list_preset_told(const struct text *names, size_t count)
{
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        bool all = true;

        for (size_t j = 0; j < 3 && signs[i].names[j] != NULL; j++) {
            all = all && has_name(names, count, signs[i].names[j]);
        }
        if (all) {
            return signs[i].preset;
        }
    }
    return LIST_PRESET_NONE;
}

bool list_columns_bind(enum list_preset preset, const struct text *names,
                       size_t count, struct list_columns *bound)
{
    bool has_pattern = false;

    bound->preset = preset;
    bound->count = count;
    for (size_t i = 0; i < count && i < LIST_FIELDS_MAX; i++) {
        bound->members[i] = list_column_member(preset, names[i]);
        has_pattern = has_pattern || bound->members[i] == LIST_PATTERN;
    }
    return has_pattern;
}
