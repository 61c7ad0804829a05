#include "command_forget.h"

#include "clock.h"
#include "command_privacy.h"
#include "control.h"
#include "control_request.h"
#include "event_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_MS 10000 /* nixied waits for Redis before it answers */

/* --- changing ---------------------------------------------------------- */

static bool send_event(struct forget *forget, struct event *event,
                       bool *applied)
{
    struct control_answer answer = {0, false};

    event->origin = text_of("command");
    switch (control_send(forget->call->settings->state_dir, event, CONTROL_MS,
                         &answer, &forget->error)) {
    case CONTROL_DONE:
        *applied = *applied && answer.applied;
        return true;
    case CONTROL_ABSENT:
        error_set(&forget->error,
                  "no nixied on this host: start it, since what is not in its "
                  "log comes back when Redis is rebuilt");
        return false;
    case CONTROL_REFUSED:
    case CONTROL_UNKNOWN:
        break;
    }
    return false;
}

static bool remove_entries(struct forget *forget, bool *applied)
{
    char by[CONTROL_BY_MAX + 1];

    command_login(by, sizeof by);
    for (guint i = 0; i < forget->entries->len && !forget->keeps_entries; i++) {
        const struct forget_entry *entry =
            &g_array_index(forget->entries, struct forget_entry, i);
        struct event event;

        event_init(&event,
                   entry->list == STORE_ALLOW ? EVENT_ALLOW_REMOVED
                                              : EVENT_SUPPRESSION_REMOVED,
                   clock_now_us());
        event.suppression_pattern = text_of(forget->mailbox.address);
        event.scope = text_known(entry->scope);
        event.suppression_by = text_of(by);
        event.suppression_origin = text_of("command");
        if (!send_event(forget, &event, applied)) {
            return false;
        }
    }
    return true;
}

/*
 * One event; one more for each further message that waits, or scope that has
 * strikes of its own.
 */
static bool erase(struct forget *forget, bool *applied)
{
    guint i = 0;

    if (!remove_entries(forget, applied)) {
        return false;
    }
    do {
        struct event event;

        event_init(&event, EVENT_RECIPIENT_FORGOTTEN, clock_now_us());
        event.recipient = text_of(forget->mailbox.address);
        if (i < forget->waiting->len) {
            event.queue_id = text_of(g_ptr_array_index(forget->waiting, i));
        }
        if (i < forget->scopes->len) {
            event.scope = text_of(g_ptr_array_index(forget->scopes, i));
        }
        if (!send_event(forget, &event, applied)) {
            return false;
        }
        i++;
    } while (i < forget->waiting->len || i < forget->scopes->len);
    return true;
}

/* --- telling ----------------------------------------------------------- */

static void print_erased(const struct forget *forget)
{
    const char *verb = forget->dry_run ? "would erase" : "erased";

    (void)printf("%s: history of %lld fields, %lld strikes, %lld lines of "
                 "evidence, %u waiting messages%s\n",
                 verb, forget->history, forget->strikes, forget->evidence,
                 forget->waiting->len,
                 forget->is_due ? ", a suppression that was due" : "");
    for (guint i = 0; i < forget->entries->len; i++) {
        const struct forget_entry *entry =
            &g_array_index(forget->entries, struct forget_entry, i);

        (void)printf("%s: its entry in the %s list%s%s\n",
                     forget->keeps_entries ? "kept" : verb,
                     entry->list == STORE_ALLOW ? "allow" : "suppress",
                     entry->scope[0] == '\0' ? "" : " of the scope ",
                     entry->scope);
    }
}

/* When nixied deletes it at the earliest: it must be rotated first. */
static void gone_at(const struct settings *settings,
                    const struct event_file *file,
                    char at[CLOCK_TIMESTAMP_SIZE])
{
    clock_format(file->modified_us +
                     settings->event_log_retention_s * INT64_C(1000000),
                 at);
}

static void print_files(const struct forget *forget,
                        const struct event_files *files)
{
    const struct settings *settings = forget->call->settings;

    for (size_t i = 0; i < files->count; i++) {
        const struct event_file *file = &files->file[i];
        char at[CLOCK_TIMESTAMP_SIZE];

        if (file->kind == EVENT_FILE_EMPTY ||
            file->kind == EVENT_FILE_FOREIGN) {
            continue;
        }
        (void)fputs("may still have the address: ", stdout);
        command_put(text_of(file->path));
        gone_at(settings, file, at);
        if (strcmp(file->path, settings->event_log) == 0) {
            (void)printf(": goes %lld h after it is rotated\n",
                         (long long)(settings->event_log_retention_s / 3600));
        } else if (file->kind == EVENT_FILE_COMPRESSED) {
            (void)puts(": compressed, nixied does not delete it");
        } else {
            (void)printf(": goes after %.19sZ\n", at);
        }
    }
}

static json_t *json_of_files(const struct forget *forget,
                             const struct event_files *files)
{
    json_t *array = json_array();

    for (size_t i = 0; i < files->count; i++) {
        const struct event_file *file = &files->file[i];
        json_t *object;
        char at[CLOCK_TIMESTAMP_SIZE];

        if (file->kind == EVENT_FILE_EMPTY ||
            file->kind == EVENT_FILE_FOREIGN) {
            continue;
        }
        object = json_object();
        command_json_set(object, "path", text_of(file->path));
        if (file->kind == EVENT_FILE_EVENTS &&
            strcmp(file->path, forget->call->settings->event_log) != 0) {
            gone_at(forget->call->settings, file, at);
            command_json_set(object, "goes_after", text_of(at));
        }
        (void)json_array_append_new(array, object);
    }
    return array;
}

static void print_json(const struct forget *forget, bool applied,
                       const struct event_files *files)
{
    json_t *object = json_object();

    command_json_set(object, "recipient", text_of(forget->mailbox.address));
    (void)json_object_set_new(object, "dry_run", json_boolean(forget->dry_run));
    (void)json_object_set_new(object, "applied", json_boolean(applied));
    (void)json_object_set_new(object, "history", json_integer(forget->history));
    (void)json_object_set_new(object, "strikes", json_integer(forget->strikes));
    (void)json_object_set_new(object, "evidence",
                              json_integer(forget->evidence));
    (void)json_object_set_new(object, "waiting",
                              json_integer(forget->waiting->len));
    (void)json_object_set_new(object, "due", json_boolean(forget->is_due));
    (void)json_object_set_new(object, "entries",
                              json_integer(forget->entries->len));
    (void)json_object_set_new(object, "entries_kept",
                              json_boolean(forget->keeps_entries));
    (void)json_object_set_new(object, "files", json_of_files(forget, files));
    command_json_print(object);
}

static void tell(const struct forget *forget, bool applied, bool is_last)
{
    struct event_files files = {0};
    struct error error;
    bool listed =
        event_files_list(forget->call->settings->event_log, &files, &error);

    if (forget->call->json) {
        print_json(forget, applied, &files);
    } else {
        print_erased(forget);
    }
    if (!forget->call->json && is_last) {
        print_files(forget, &files);
        (void)puts("not reached from here: the MTA's queue and logs, copies "
                   "that log shippers\nhave made, backups of Redis");
    }
    if (!listed) {
        command_complain(forget->call, "%s: its files may have the address",
                         error.text);
    }
    event_files_free(&files);
    if (!applied) {
        command_complain(forget->call, "Redis does not answer: nixied has "
                                       "logged it and will apply it");
    }
}

static void begin(struct forget *forget)
{
    forget->entries = g_array_new(FALSE, TRUE, sizeof(struct forget_entry));
    forget->waiting = g_ptr_array_new_with_free_func(g_free);
    forget->scopes = g_ptr_array_new();
}

static void end(struct forget *forget)
{
    g_ptr_array_free(forget->waiting, TRUE);
    g_ptr_array_free(forget->scopes, TRUE);
    g_array_free(forget->entries, TRUE);
}

static bool is_nothing(const struct forget *forget)
{
    return forget->history == 0 && forget->strikes == 0 &&
           forget->evidence == 0 && forget->waiting->len == 0 &&
           forget->entries->len == 0 && !forget->is_due;
}

/*
 * What is known under one name. of_old: only if there is anything, since the
 * log has the name then.
 */
static enum command_status forget_name(struct forget forget,
                                       const struct mailbox *name, bool of_old,
                                       bool is_last)
{
    enum command_status status = COMMAND_FAULT;
    bool applied = true;

    forget.mailbox = *name;
    begin(&forget);
    if (!command_forget_find(&forget)) {
        command_complain(forget.call, "%s", forget.error.text);
    } else if (of_old && is_nothing(&forget)) {
        status = COMMAND_OK;
    } else if (!forget.dry_run && !erase(&forget, &applied)) {
        command_complain(forget.call, "%s", forget.error.text);
    } else {
        tell(&forget, applied, is_last);
        status = COMMAND_OK;
    }
    end(&forget);
    return status;
}

enum command_status command_forget(const struct command_call *call)
{
    struct forget forget = {.call = call};
    enum command_status status = COMMAND_OK;
    struct pseudonym_key secret;
    struct mailbox mailbox;
    struct mailbox pseudonym;
    bool has_pseudonym;

    if (!command_mailbox(call, call->arguments[0], &mailbox)) {
        return COMMAND_FAULT;
    }
    if (mailbox.address_length == 0) {
        command_complain(call, "the address is too long to be known");
        return COMMAND_FAULT;
    }
    has_pseudonym = command_pseudonym(command_pseudonyms(call, &secret),
                                      &mailbox, &pseudonym);
    pseudonym_key_clear(&secret);
    forget.keeps_entries = command_value(call, "keep-suppressed") != NULL;
    forget.dry_run = command_value(call, "dry-run") != NULL;
    forget.store = command_store_open(call->settings, &forget.error);
    if (forget.store == NULL) {
        command_complain(call, "%s", forget.error.text);
        return COMMAND_FAULT;
    }
    status = forget_name(forget, &mailbox, has_pseudonym, !has_pseudonym);
    if (status == COMMAND_OK && has_pseudonym) {
        status = forget_name(forget, &pseudonym, false, true);
    }
    command_store_close(forget.store);
    return status;
}
