#include "bounce_rules_match.h"

#include <stdlib.h>
#include <string.h>

#define ANY (-1)

/* --- stages ------------------------------------------------------------ */

static const struct stage {
    enum bounce_stage stage;
    const char *name;
} stages[] = {
    {BOUNCE_STAGE_CONNECT, "connect"}, {BOUNCE_STAGE_EHLO, "ehlo"},
    {BOUNCE_STAGE_MAIL, "mail"},       {BOUNCE_STAGE_RCPT, "rcpt"},
    {BOUNCE_STAGE_DATA, "data"},       {BOUNCE_STAGE_EOM, "eom"},
};
#define STAGES (sizeof stages / sizeof stages[0])

const char *bounce_stage_name(enum bounce_stage stage)
{
    for (size_t i = 0; i < STAGES; i++) {
        if (stages[i].stage == stage) {
            return stages[i].name;
        }
    }
    return "unknown";
}

bool bounce_stage_parse(struct text name, enum bounce_stage *stage)
{
    for (size_t i = 0; i < STAGES; i++) {
        if (text_is(name, stages[i].name)) {
            *stage = stages[i].stage;
            return true;
        }
    }
    return false;
}

/* --- reading ----------------------------------------------------------- */

/* At most three digits and nothing else; ANY - 1: it is none. */
static int number_of(struct text text)
{
    int number = 0;

    if (text.length < 1 || text.length > 3) {
        return ANY - 1;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return ANY - 1;
        }
        number = number * 10 + (text.bytes[i] - '0');
    }
    return number;
}

static bool take_code(struct text value, struct bounce_conditions *conditions)
{
    int code = number_of(value);

    if (conditions->code_count == BOUNCE_VALUES_MAX || value.length == 2 ||
        (value.length == 1 && (code < 2 || code > 5)) ||
        (value.length == 3 && (code < 200 || code > 599)) || code < 0) {
        return false;
    }
    conditions->codes[conditions->code_count++] = (int16_t)code;
    return true;
}

/* Up to the next byte, or all; the rest behind it. */
static struct text take_until(struct text *text, char byte)
{
    const char *end =
        text->length == 0 ? NULL : memchr(text->bytes, byte, text->length);
    struct text taken = *text;

    if (end == NULL) {
        text->bytes += text->length;
        text->length = 0;
        return taken;
    }
    taken.length = (size_t)(end - text->bytes);
    text->bytes = end + 1;
    text->length -= taken.length + 1;
    return taken;
}

static bool parse_status(struct text value, struct bounce_status *status)
{
    for (size_t i = 0; i < 3; i++) {
        struct text part;

        if (i < 2 && (value.length == 0 ||
                      memchr(value.bytes, '.', value.length) == NULL)) {
            return false;
        }
        part = take_until(&value, i < 2 ? '.' : '\0');
        status->parts[i] =
            (int16_t)(text_is(part, "x") ? ANY : number_of(part));
        if (status->parts[i] < ANY) {
            return false;
        }
    }
    return status->parts[0] == ANY || status->parts[0] == 2 ||
           status->parts[0] == 4 || status->parts[0] == 5;
}

static bool take_status(struct text value, struct bounce_conditions *conditions)
{
    if (conditions->status_count == BOUNCE_STATUSES_MAX ||
        !parse_status(value, &conditions->statuses[conditions->status_count])) {
        return false;
    }
    conditions->status_count++;
    return true;
}

static bool take_mta(struct text value, struct bounce_conditions *conditions)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_*";

    if (conditions->mta_count == BOUNCE_VALUES_MAX || value.length < 1 ||
        value.length > BOUNCE_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] == '\0' || strchr(allowed, value.bytes[i]) == NULL) {
            return false;
        }
    }
    conditions->mtas[conditions->mta_count] =
        strndup(value.bytes, value.length);
    return conditions->mtas[conditions->mta_count++] != NULL;
}

static bool take_stage(struct text value, struct bounce_conditions *conditions)
{
    enum bounce_stage stage;

    if (!bounce_stage_parse(value, &stage)) {
        return false;
    }
    conditions->stages |= (unsigned)stage;
    return true;
}

static const struct condition {
    const char *name;
    bool (*take)(struct text value, struct bounce_conditions *conditions);
    const char *advice;
} kinds[] = {
    {"code", take_code,
     "write code=550, code=5 or code=550,551: a reply code or its class, at "
     "most 32"},
    {"status", take_status,
     "write status=5.1.1, status=x.1.1 or status=5.7.x: class, subject and "
     "detail, at most 128"},
    {"mta", take_mta,
     "write mta=*.example.org: host names in lower case, * for any bytes, at "
     "most 32"},
    {"stage", take_stage,
     "write stage=rcpt, or others of connect, ehlo, mail, rcpt, data, eom"},
};

bool bounce_condition_parse(struct text condition,
                            struct bounce_conditions *conditions,
                            const char **advice)
{
    struct text name = take_until(&condition, '=');

    *advice = "conditions are code=, status=, mta= and stage=, and a pattern "
              "stands between slashes";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!text_is(name, kinds[i].name)) {
            continue;
        }
        *advice = kinds[i].advice;
        do {
            if (!kinds[i].take(take_until(&condition, ','), conditions)) {
                return false;
            }
        } while (condition.length > 0);
        return condition.bytes[-1] != ','; /* "code=550," */
    }
    return false;
}

void bounce_conditions_clear(struct bounce_conditions *conditions)
{
    for (size_t i = 0; i < conditions->mta_count; i++) {
        free(conditions->mtas[i]);
    }
    conditions->mta_count = 0;
}

bool bounce_conditions_empty(const struct bounce_conditions *conditions)
{
    return conditions->code_count == 0 && conditions->status_count == 0 &&
           conditions->mta_count == 0 && conditions->stages == 0;
}

/* --- matching ---------------------------------------------------------- */

void bounce_facts_take(const struct bounce_question *question,
                       struct bounce_facts *facts)
{
    struct text mta = question->remote_mta;

    facts->reply_code = question->reply_code;
    facts->stage = question->stage;
    if (!parse_status(text_of(question->enhanced_status), &facts->status)) {
        facts->status.parts[0] = 0;
    }
    facts->mta_length = 0;
    if (mta.bytes == NULL || mta.length > BOUNCE_HOST_MAX) {
        mta.length = 0;
    }
    for (size_t i = 0; i < mta.length; i++) {
        char byte = mta.bytes[i];

        facts->mta[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
    }
    facts->mta_length = mta.length;
    if (mta.length > 0 && facts->mta[mta.length - 1] == '.') {
        facts->mta_length--;
    }
    facts->mta[facts->mta_length] = '\0';
}

static bool code_holds(const struct bounce_conditions *conditions, int code)
{
    for (size_t i = 0; i < conditions->code_count; i++) {
        if (conditions->codes[i] == code ||
            (code > 0 && conditions->codes[i] == code / 100)) {
            return true;
        }
    }
    return false;
}

static bool status_holds(const struct bounce_conditions *conditions,
                         const struct bounce_status *status)
{
    if (status->parts[0] == 0) {
        return false;
    }
    for (size_t i = 0; i < conditions->status_count; i++) {
        const struct bounce_status *wanted = &conditions->statuses[i];
        size_t part = 0;

        while (part < 3 && (wanted->parts[part] == ANY ||
                            wanted->parts[part] == status->parts[part])) {
            part++;
        }
        if (part == 3) {
            return true;
        }
    }
    return false;
}

/* The last * takes as much as is needed: at most length x length steps. */
static bool glob_holds(const char *glob, const char *host)
{
    const char *star = NULL;
    const char *retry = NULL;

    while (*host != '\0') {
        if (*glob == '*') {
            star = ++glob;
            retry = host;
        } else if (*glob == *host) {
            glob++;
            host++;
        } else if (star != NULL) {
            glob = star;
            host = ++retry;
        } else {
            return false;
        }
    }
    while (*glob == '*') {
        glob++;
    }
    return *glob == '\0';
}

static bool mta_holds(const struct bounce_conditions *conditions,
                      const struct bounce_facts *facts)
{
    for (size_t i = 0; facts->mta_length > 0 && i < conditions->mta_count;
         i++) {
        if (glob_holds(conditions->mtas[i], facts->mta)) {
            return true;
        }
    }
    return false;
}

bool bounce_conditions_hold(const struct bounce_conditions *conditions,
                            const struct bounce_facts *facts)
{
    return (conditions->code_count == 0 ||
            code_holds(conditions, facts->reply_code)) &&
           (conditions->status_count == 0 ||
            status_holds(conditions, &facts->status)) &&
           (conditions->stages == 0 ||
            (conditions->stages & (unsigned)facts->stage) != 0) &&
           (conditions->mta_count == 0 || mta_holds(conditions, facts));
}
