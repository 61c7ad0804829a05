#include "list_entry.h"

#include "command.h"
#include "control_request.h"
#include "list_reason.h"

#include <glib.h>
#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX     64
#define TYPE_MAX     16
#define ORIGIN_MAX   64
#define EVIDENCE_MAX 2000
#define ORIGIN       "import"

/* ---- times ---- */

/* "2026-12-24 18:00:00", perhaps with UTC behind it, made RFC 3339. */
static bool parse_loose(const char *text, int64_t *us)
{
    char strict[TIME_MAX + 16];
    size_t length = strlen(text);
    size_t zone;

    if (length < 10 || length > TIME_MAX || text[4] != '-') {
        return false;
    }
    memcpy(strict, text, length + 1);
    if (length == 10) {
        (void)snprintf(strict + 10, sizeof strict - 10, "T00:00:00Z");
        return clock_parse(strict, strlen(strict), us);
    }
    strict[10] = 'T';
    zone = 11 + strspn(strict + 11, "0123456789:.");
    while (strict[zone] == ' ') {
        memmove(strict + zone, strict + zone + 1, strlen(strict + zone));
    }
    if (strict[zone] == '\0' || strcmp(strict + zone, "UTC") == 0 ||
        strcmp(strict + zone, "GMT") == 0) {
        (void)snprintf(strict + zone, sizeof strict - zone, "Z");
    } else if (strlen(strict + zone) == 5 && strict[zone] != 'Z') { /* +0100 */
        memmove(strict + zone + 4, strict + zone + 3, 3);
        strict[zone + 3] = ':';
    }
    return clock_parse(strict, strlen(strict), us);
}

/* Seconds since 1970, perhaps with a fraction; of 13 digits milliseconds. */
static bool parse_number(const char *text, int64_t *us)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number;

    if (digits == 0 || digits > 13 ||
        (text[digits] != '\0' &&
         (text[digits] != '.' || strspn(text + digits + 1, "0123456789") !=
                                     strlen(text + digits + 1)))) {
        return false;
    }
    number = strtoll(text, NULL, 10);
    *us = digits > 11 ? number * 1000 : number * 1000000;
    return digits <= 11 || digits == 13;
}

static bool parse_mail_date(const char *text, int64_t *us)
{
    GDateTime *date = NULL;

    if (strpbrk(text, "JFMASOND") == NULL) { /* the months */
        return false;
    }
    date = g_mime_utils_header_decode_date(text);
    if (date == NULL) {
        return false;
    }
    *us = g_date_time_to_unix(date) * 1000000;
    g_date_time_unref(date);
    return true;
}

bool list_time(struct text text, int64_t *us)
{
    char typed[TIME_MAX + 1];

    if (text.bytes == NULL || text.length == 0 || text.length > TIME_MAX ||
        memchr(text.bytes, '\0', text.length) != NULL) {
        return false;
    }
    (void)text_copy(text, typed, sizeof typed);
    return clock_parse(typed, text.length, us) || parse_loose(typed, us) ||
           parse_number(typed, us) || parse_mail_date(typed, us);
}

void list_reason_word(struct text reason, char word[LIST_REASON_SIZE])
{
    size_t length = 0;

    for (size_t i = 0; i < reason.length && length < LIST_REASON_SIZE - 1;
         i++) {
        char byte = g_ascii_tolower(reason.bytes[i]);

        if (!g_ascii_islower(byte) && !g_ascii_isdigit(byte) &&
            memchr("_.-", byte, 3) == NULL) {
            byte = '_';
        }
        if (byte != '_' || length == 0 || word[length - 1] != '_') {
            word[length++] = byte;
        }
    }
    word[length] = '\0';
}

/* ---- reading a row ---- */

struct taking {
    const struct list_reading *reading;
    struct list_entry *entry;
    struct text members[LIST_MEMBERS];
    size_t used; /* of the entry's block */
};

static struct text trimmed(struct text text)
{
    while (text.length > 0 && memchr(" \t", text.bytes[0], 2) != NULL) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 &&
           memchr(" \t", text.bytes[text.length - 1], 2) != NULL) {
        text.length--;
    }
    return text;
}

static void find_members(struct taking *taking, const struct list_row *row)
{
    const struct list_columns *columns = &taking->reading->columns;

    for (size_t i = 0; i < row->count; i++) {
        enum list_member member =
            row->names[i].bytes != NULL
                ? list_column_member(columns->preset, row->names[i])
                : columns->members[i];

        if (taking->members[member].length == 0 &&
            row->values[i].bytes != NULL) {
            taking->members[member] = row->values[i];
        }
    }
    /* a pattern is not one for its blanks */
    taking->members[LIST_SCOPE] = trimmed(taking->members[LIST_SCOPE]);
    taking->members[LIST_EXPIRES_AT] =
        trimmed(taking->members[LIST_EXPIRES_AT]);
    taking->members[LIST_CODE] = trimmed(taking->members[LIST_CODE]);
    taking->members[LIST_CAUSE] = trimmed(taking->members[LIST_CAUSE]);
    taking->members[LIST_STREAM] = trimmed(taking->members[LIST_STREAM]);
}

static void default_to(struct taking *taking, enum list_member member,
                       struct text value)
{
    if (taking->members[member].length == 0 && value.bytes != NULL) {
        taking->members[member] = value;
    }
}

/* A service's words become ours. */
static void translate(struct taking *taking)
{
    const struct list_reading *reading = taking->reading;
    struct text *members = taking->members;
    const struct list_cause cause = {reading->columns.preset,
                                     members[LIST_CAUSE], members[LIST_WHO],
                                     members[LIST_CODE], members[LIST_NOTE]};
    enum reason reason;

    if (reading->columns.preset == LIST_PRESET_NONE) {
        return;
    }
    members[LIST_ORIGIN] = text_of(list_preset_name(cause.preset));
    if (cause.cause.length + cause.code.length + cause.reply.length == 0 &&
        reading->reason.bytes != NULL) {
        return;
    }
    reason = list_reason_of(reading->reasons, &cause);
    members[LIST_REASON] = text_of(reason_name(reason));
    members[LIST_TYPE] =
        text_of(failure_type_name(reason_facts(reason)->failure_type));
}

static bool says(struct text text, const char *word)
{
    return text.length == strlen(word) &&
           g_ascii_strncasecmp(text.bytes, word, text.length) == 0;
}

/* SparkPost: no newsletters, and yet password resets. */
static bool is_about_bulk(const struct taking *taking)
{
    const struct text *members = taking->members;

    return says(members[LIST_STREAM], "non_transactional") ||
           (says(members[LIST_NON_TRANSACTIONAL], "true") &&
            !says(members[LIST_TRANSACTIONAL], "true"));
}

static void take_stream(struct taking *taking)
{
    if (taking->reading->list == STORE_SUPPRESS && is_about_bulk(taking)) {
        default_to(taking, LIST_SCOPE, taking->reading->bulk_scope);
        taking->entry->is_bulk_for_all =
            taking->members[LIST_SCOPE].length == 0 &&
            taking->reading->scope.length == 0;
    }
}

/* The row's bytes go: what is kept is copied, each with a NUL. */
static struct text keep(struct taking *taking, struct text text)
{
    struct text kept = {taking->entry->block + taking->used, text.length};

    if (text.bytes == NULL) {
        return text;
    }
    memcpy(taking->entry->block + taking->used, text.bytes, text.length);
    taking->entry->block[taking->used + text.length] = '\0';
    taking->used += text.length + 1;
    return kept;
}

static bool keep_all(struct taking *taking)
{
    struct list_entry *entry = taking->entry;
    size_t size = 0;

    for (size_t i = 0; i < LIST_MEMBERS; i++) {
        size += taking->members[i].length + 1;
    }
    entry->block = malloc(size);
    if (entry->block == NULL) {
        return false;
    }
    entry->typed = keep(taking, taking->members[LIST_PATTERN]);
    if (taking->members[LIST_SCOPE].length > 0) {
        entry->scope = keep(taking, taking->members[LIST_SCOPE]);
    }
    for (size_t i = 0; i < LIST_FIELDS; i++) {
        bool is_ours = i == LIST_BY || i == LIST_ORIGIN || i == LIST_ADDED_AT;

        /* where these are empty the import itself fills them in */
        if (!is_ours || taking->members[i].length > 0) {
            entry->fields[i] = keep(taking, taking->members[i]);
        }
    }
    return true;
}

static void set_fault(struct list_entry *entry, const char *fault)
{
    (void)snprintf(entry->fault, sizeof entry->fault, "%s", fault);
}

static const char *take_name(struct taking *taking)
{
    const struct list_reading *reading = taking->reading;
    struct list_entry *entry = taking->entry;

    if (entry->typed.length == 0) {
        return "there is no address";
    }
    if (mailbox_parse_pattern(entry->typed, &reading->settings->mailbox_rules,
                              &entry->pattern) == MAILBOX_PATTERN_INVALID) {
        return "this is no mailbox or pattern";
    }
    if (entry->scope.bytes != NULL && !store_scope_is_valid(entry->scope)) {
        return "the scope is none: up to 64 letters, digits, dots, hyphens "
               "and underscores";
    }
    return store_key_list(reading->settings->key_prefix, reading->list,
                          entry->scope.bytes, &entry->pattern, &entry->key)
               ? NULL
               : "the address is too long";
}

static const char *take_expiry(struct taking *taking)
{
    struct text text = taking->members[LIST_EXPIRES_AT];

    taking->entry->expires_us = taking->reading->expires_us;
    return text.length == 0 || list_time(text, &taking->entry->expires_us)
               ? NULL
               : "expires_at is no time: write 2026-12-24T18:00:00Z";
}

void list_entry_read(const struct list_reading *reading,
                     const struct list_row *row, struct list_entry *entry)
{
    struct taking taking = {.reading = reading, .entry = entry};
    const char *fault = row->fault;

    memset(entry, 0, sizeof *entry);
    entry->line = row->line;
    if (fault == NULL && row->count > reading->columns.count &&
        row->names[0].bytes == NULL) {
        fault = "the row has more fields than the first line";
    }
    if (fault == NULL) {
        find_members(&taking, row);
        translate(&taking);
        take_stream(&taking);
        default_to(&taking, LIST_REASON, reading->reason);
        default_to(&taking, LIST_NOTE, reading->note);
        default_to(&taking, LIST_SCOPE, reading->scope);
        default_to(&taking, LIST_MODE,
                   text_of(reading->observe ? "observe" : ""));
        fault = keep_all(&taking) ? take_name(&taking) : "out of memory";
    }
    if (fault == NULL) {
        fault = take_expiry(&taking);
    }
    if (fault != NULL) {
        set_fault(entry, fault);
    }
}

void list_entry_clear(struct list_entry *entry)
{
    free(entry->block);
    entry->block = NULL;
}

/* ---- the event ---- */

/* What the event log would not take as it is. */
static const char *fault_of_fields(const struct list_entry *entry)
{
    static const struct limit {
        enum list_member member;
        size_t most;
    } limits[] = {{LIST_BY, CONTROL_BY_MAX},
                  {LIST_ORIGIN, ORIGIN_MAX},
                  {LIST_TYPE, TYPE_MAX},
                  {LIST_EVIDENCE, EVIDENCE_MAX}};
    struct text mode = entry->fields[LIST_MODE];

    for (size_t i = 0; i < LIST_FIELDS; i++) {
        struct text field = entry->fields[i];

        if (field.length > 0 &&
            !g_utf8_validate(field.bytes, (gssize)field.length, NULL)) {
            return "it is not UTF-8";
        }
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (entry->fields[limits[i].member].length > limits[i].most) {
            return "by, origin, type or evidence is too long";
        }
    }
    return mode.length == 0 || text_is(mode, "enforce") ||
                   text_is(mode, "observe")
               ? NULL
               : "the mode is neither enforce nor observe";
}

static const char *fault_of(const struct list_reading *reading,
                            const struct list_entry *entry, int64_t *added_us)
{
    const char *fault =
        command_pattern_fault(reading->settings, entry->typed, &entry->pattern);

    if (fault == NULL) {
        fault = fault_of_fields(entry);
    }
    *added_us = clock_now_us();
    if (fault == NULL && entry->fields[LIST_ADDED_AT].length > 0 &&
        !list_time(entry->fields[LIST_ADDED_AT], added_us)) {
        fault = "added_at is no time: write 2026-12-24T18:00:00Z";
    }
    return fault;
}

/* An entry of the policy that comes back is no new decision of the policy. */
static enum event_type type_of(const struct list_reading *reading,
                               const struct list_entry *entry, bool exists)
{
    if (reading->list == STORE_ALLOW) {
        return EVENT_ALLOW_ADDED;
    }
    return exists || text_is(entry->fields[LIST_ORIGIN], "policy")
               ? EVENT_SUPPRESSION_UPDATED
               : EVENT_SUPPRESSION_ADDED;
}

struct text list_note(struct text note)
{
    if (note.length > LIST_NOTE_MAX) {
        note.length = LIST_NOTE_MAX;
        while (note.length > 0 &&
               ((unsigned char)note.bytes[note.length] & 0xc0U) == 0x80U) {
            note.length--;
        }
    }
    return note;
}

static struct text known(struct text text)
{
    return text.length > 0 ? text : text_of(NULL);
}

static void fill_event(struct list_entry *entry, const char *by,
                       struct list_buffers *buffers, struct event *event)
{
    const struct text *fields = entry->fields;

    event->origin = text_of("command");
    event->scope = entry->scope;
    event->suppression_pattern =
        (struct text){entry->pattern.text, entry->pattern.length};
    event->suppression_by =
        fields[LIST_BY].bytes == NULL ? text_of(by) : known(fields[LIST_BY]);
    event->suppression_origin = fields[LIST_ORIGIN].bytes == NULL
                                    ? text_of(ORIGIN)
                                    : known(fields[LIST_ORIGIN]);
    event->suppression_added_at = text_of(buffers->added_at);
    event->suppression_note = known(list_note(fields[LIST_NOTE]));
    event->suppression_evidence = known(fields[LIST_EVIDENCE]);
    event->failure_type = known(fields[LIST_TYPE]);
    if (fields[LIST_REASON].length > 0) {
        list_reason_word(fields[LIST_REASON], buffers->reason);
        event->suppression_reason = text_of(buffers->reason);
    }
    if (text_is(fields[LIST_MODE], "observe")) {
        event->suppression_mode = fields[LIST_MODE];
    }
    if (entry->expires_us != 0) {
        clock_format(entry->expires_us, buffers->expires_at);
        event->suppression_expires_at = text_of(buffers->expires_at);
    }
}

bool list_entry_event(const struct list_reading *reading,
                      struct list_entry *entry, bool exists, const char *by,
                      struct list_buffers *buffers, struct event *event)
{
    int64_t added_us;
    const char *fault = fault_of(reading, entry, &added_us);

    if (fault != NULL) {
        set_fault(entry, fault);
        return false;
    }
    clock_format(added_us, buffers->added_at);
    event_init(event, type_of(reading, entry, exists), clock_now_us());
    fill_event(entry, by, buffers, event);
    return true;
}
