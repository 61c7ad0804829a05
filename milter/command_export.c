#include "clock.h"
#include "command.h"
#include "command_entry.h"
#include "command_store.h"
#include "list_column.h"
#include "list_seen.h"
#include "list_stored.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS_AT_ONCE 500
#define PROGRESS_MS  250

/* As they stand in a row; kind is behind them. */
static const enum list_member export_columns[] = {
    LIST_PATTERN,    LIST_SCOPE, LIST_REASON,   LIST_TYPE,
    LIST_NOTE,       LIST_BY,    LIST_ORIGIN,   LIST_ADDED_AT,
    LIST_EXPIRES_AT, LIST_MODE,  LIST_EVIDENCE,
};
#define COLUMNS (sizeof export_columns / sizeof export_columns[0])

static const char *const kind_names[] = {
    [LIST_KIND_NONE] = "",
    [LIST_KIND_HASH] = "hash",
    [LIST_KIND_STRING] = "string",
    [LIST_KIND_OTHER] = "other",
};

struct export
{
    const struct command_call *call;
    struct command_store *store;
    struct list_seen *seen; /* SCAN may give a key twice */
    bool as_json;
    uint64_t count, odd;
    int64_t begun_ms, shown_ms;
    struct error error;
    bool failed;
};

/* --- a row ------------------------------------------------------------- */

/* Bytes as they are: who reads it is a program. */
static void put_csv(struct text text)
{
    bool quoted = false;

    for (size_t i = 0; i < text.length && !quoted; i++) {
        quoted = memchr(",;\"\t\r\n", text.bytes[i], 6) != NULL;
    }
    if (text.length > 0 &&
        (text.bytes[0] == ' ' || text.bytes[text.length - 1] == ' ')) {
        quoted = true;
    }
    if (!quoted) {
        (void)fwrite(text.bytes == NULL ? "" : text.bytes, 1, text.length,
                     stdout);
        return;
    }
    (void)putc('"', stdout);
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '"') {
            (void)putc('"', stdout);
        }
        (void)putc(text.bytes[i], stdout);
    }
    (void)putc('"', stdout);
}

static void print_header(void)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        (void)printf("%s,", list_member_name(export_columns[i]));
    }
    (void)fputs("kind\r\n", stdout);
}

static void print_row(const struct export *export,
                      const struct text members[LIST_MEMBERS], const char *kind)
{
    json_t *object = NULL;

    if (export->as_json) {
        object = json_object();
        for (size_t i = 0; i < COLUMNS; i++) {
            command_json_set(object, list_member_name(export_columns[i]),
                             members[export_columns[i]]);
        }
        command_json_set(object, "kind", text_of(kind));
        command_json_print(object);
        return;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        put_csv(members[export_columns[i]]);
        (void)putc(',', stdout);
    }
    (void)printf("%s\r\n", kind);
}

static void export_one(struct export *export, const struct list_stored *stored)
{
    struct text members[LIST_MEMBERS] = {{NULL, 0}};
    char expires_at[CLOCK_TIMESTAMP_SIZE];
    struct command_store_key key;

    if (stored->kind == LIST_KIND_NONE ||
        !command_store_parse(export->call->settings,
                             export->call->command->list, stored->key, &key)) {
        return;
    }
    if (!key.normal) {
        export->odd++;
        return;
    }
    members[LIST_PATTERN] = key.pattern;
    members[LIST_SCOPE] = key.scope;
    for (size_t i = 0; i < LIST_FIELDS; i++) {
        members[i] = stored->fields[i];
    }
    if (stored->left_ms >= 0) {
        command_entry_expiry(stored->left_ms, expires_at);
        members[LIST_EXPIRES_AT] = text_of(expires_at);
    }
    print_row(export, members, kind_names[stored->kind]);
    export->count++;
}

/* --- all rows ---------------------------------------------------------- */

static bool is_new(struct export *export, struct text key)
{
    struct store_key name;

    if (key.bytes == NULL || key.length >= sizeof name.text) {
        return false; /* no mail has such a long address */
    }
    memcpy(name.text, key.bytes, key.length);
    name.length = key.length;
    return !list_seen_add(export->seen, &name);
}

static bool export_some(struct export *export, const redisReply *keys,
                        size_t first, size_t end)
{
    struct list_stored stored[KEYS_AT_ONCE];
    size_t count = 0;
    bool read;

    for (size_t i = first; i < end; i++) {
        struct text key = command_store_text(keys->element[i]);

        if (is_new(export, key)) {
            stored[count++].key = key;
        }
    }
    read = list_stored_read(export->store, stored, count, &export->error);
    for (size_t i = 0; i < count; i++) {
        if (read) {
            export_one(export, &stored[i]);
        }
        list_stored_clear(&stored[i]);
    }
    return read;
}

static void show_progress(struct export *export, bool ends)
{
    int64_t now_ms = clock_monotonic_ms();

    if (isatty(STDERR_FILENO) != 1 || isatty(STDOUT_FILENO) == 1) {
        return;
    }
    if (ends && export->shown_ms != 0) {
        (void)fputs("\r\033[K", stderr);
    }
    if (ends || now_ms - export->begun_ms < PROGRESS_MS ||
        now_ms - export->shown_ms < PROGRESS_MS) {
        return;
    }
    export->shown_ms = now_ms;
    (void)fprintf(stderr, "\r\033[K%llu entries, %llu a second",
                  (unsigned long long)export->count,
                  (unsigned long long)(export->count * 1000 /
                                       (uint64_t)(now_ms - export->begun_ms)));
}

static bool visit(void *context, const redisReply *keys)
{
    struct export *export = context;

    for (size_t i = 0; i < keys->elements && !export->failed;
         i += KEYS_AT_ONCE) {
        size_t end = i + KEYS_AT_ONCE;

        export->failed = !export_some(
            export, keys, i, end < keys->elements ? end : keys->elements);
    }
    show_progress(export, false);
    return !export->failed && ferror(stdout) == 0;
}

static bool take_format(struct export *export)
{
    const char *value = command_value(export->call, "format");

    export->as_json = export->call->json;
    if (value == NULL || strcmp(value, "csv") == 0) {
        return true;
    }
    export->as_json = true;
    if (strcmp(value, "jsonl") != 0) {
        command_complain(export->call, "--format takes csv or jsonl");
        return false;
    }
    return true;
}

static bool walk_all(struct export *export, const char *scope)
{
    const struct command_store_walk walk = {.list = export->call->command->list,
                                            .scope = scope,
                                            .visit = visit,
                                            .context = export};
    bool walked = command_store_walk(export->store, export->call->settings,
                                     &walk, &export->error);

    show_progress(export, true);
    return walked && !export->failed;
}

enum command_status command_export(const struct command_call *call)
{
    struct export export = {.call = call, .begun_ms = clock_monotonic_ms()};
    enum command_status status = COMMAND_FAULT;
    const char *scope;

    if (!take_format(&export) || !command_scope(call, &scope)) {
        return COMMAND_FAULT;
    }
    export.seen = list_seen_new();
    export.store = command_store_open(call->settings, &export.error);
    if (export.seen == NULL || export.store == NULL) {
        command_complain(call, "%s",
                         export.store == NULL ? export.error.text
                                              : "out of memory");
        goto out;
    }
    if (!export.as_json) {
        print_header();
    }
    if (!walk_all(&export, scope)) {
        command_complain(call, "%s: the export is not complete",
                         export.error.text);
        goto out;
    }
    status = COMMAND_OK;
    if (export.odd > 0) {
        command_complain(call,
                         "left out: keys=%llu that no mail is looked up under; "
                         "\"nixie %s list\" names them",
                         (unsigned long long)export.odd,
                         call->command->list == STORE_ALLOW ? "allow"
                                                            : "suppress");
    }
out:
    command_store_close(export.store);
    list_seen_free(export.seen);
    return status;
}
