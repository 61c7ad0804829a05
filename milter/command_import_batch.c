#include "clock.h"
#include "command_import.h"

#include <stdlib.h>
#include <string.h>

#define SEND_MS 30000 /* nixied serves others before us */
#define WAIT_MS 30000

struct import_batch *import_batch_new(void)
{
    struct import_batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL) {
        return NULL;
    }
    batch->keys = g_hash_table_new(g_str_hash, g_str_equal);
    batch->request = control_batch_new();
    if (batch->request == NULL) {
        import_batch_free(batch);
        return NULL;
    }
    return batch;
}

static void clear(struct import_batch *batch)
{
    g_hash_table_remove_all(batch->keys);
    for (size_t i = 0; i < batch->count; i++) {
        list_entry_clear(&batch->entries[i]);
        list_stored_clear(&batch->stored[i]);
    }
    control_batch_clear(batch->request);
    memset(batch->counts, 0, sizeof batch->counts);
    batch->count = 0;
    batch->waits = false;
    batch->is_in_flight = false;
}

void import_batch_free(struct import_batch *batch)
{
    if (batch != NULL) {
        if (batch->request != NULL) {
            clear(batch);
        }
        control_batch_free(batch->request);
        g_hash_table_destroy(batch->keys);
        free(batch);
    }
}

/* ---- rows ---- */

/* Twice in a batch: the later counts, in the place of the earlier. */
static void replace(struct import *import, struct import_batch *batch,
                    size_t index, struct list_entry *later)
{
    struct list_entry *earlier = &batch->entries[index];
    char what[80];

    (void)snprintf(what, sizeof what,
                   "duplicate of line %llu, the later line counts",
                   (unsigned long long)earlier->line);
    import_tell_row(import, later->line, what, later->typed);
    list_entry_clear(earlier);
    g_hash_table_remove(batch->keys, earlier->key.text);
    *earlier = *later;
    g_hash_table_insert(batch->keys, earlier->key.text,
                        GSIZE_TO_POINTER(index + 1));
    batch->counts[IMPORT_DUPLICATE]++;
}

void import_batch_add(struct import *import, struct import_batch *batch,
                      const struct import_batch *other,
                      const struct list_row *row)
{
    struct list_entry *entry = &batch->entries[batch->count];
    bool seen;
    size_t index;

    list_entry_read(&import->reading, row, entry);
    batch->stored[batch->count].reply = NULL;
    batch->is_duplicate[batch->count] = false;
    if (entry->fault[0] != '\0') {
        batch->count++; /* told in its turn */
        return;
    }
    seen = list_seen_add(import->seen, &entry->key);
    index = GPOINTER_TO_SIZE(
        seen ? g_hash_table_lookup(batch->keys, entry->key.text) : NULL);
    if (index > 0) {
        struct list_entry later = *entry;

        replace(import, batch, index - 1, &later);
        return;
    }
    batch->is_duplicate[batch->count] = seen;
    batch->waits =
        batch->waits || (seen && other != NULL && other->is_in_flight &&
                         g_hash_table_contains(other->keys, entry->key.text));
    g_hash_table_insert(batch->keys, entry->key.text,
                        GSIZE_TO_POINTER(batch->count + 1));
    batch->count++;
}

/* ---- what is to change ---- */

static bool read_stored(struct import *import, struct import_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_key *key = &batch->entries[i].key;

        batch->stored[i].key = batch->entries[i].fault[0] != '\0'
                                   ? text_of(NULL)
                                   : (struct text){key->text, key->length};
    }
    return list_stored_read(import->store, batch->stored, batch->count,
                            &import->error);
}

static enum import_count judge(struct import *import,
                               struct import_batch *batch, size_t index,
                               int64_t now_us)
{
    struct list_entry *entry = &batch->entries[index];
    const struct list_stored *stored = &batch->stored[index];
    bool exists = stored->kind != LIST_KIND_NONE;
    struct list_buffers buffers;
    struct event event;
    struct error error;

    if (entry->fault[0] != '\0') {
        return IMPORT_BAD;
    }
    if (entry->expires_us != 0 && entry->expires_us <= now_us) {
        return IMPORT_PAST; /* what is there may be younger */
    }
    if (list_stored_is(stored, entry, now_us)) {
        return IMPORT_UNCHANGED;
    }
    if (!list_entry_event(&import->reading, entry, exists, import->by, &buffers,
                          &event)) {
        return IMPORT_BAD;
    }
    if (!import->dry_run &&
        !control_batch_add(batch->request, &event, &error)) {
        (void)snprintf(entry->fault, sizeof entry->fault, "%.150s", error.text);
        return IMPORT_BAD;
    }
    return exists ? IMPORT_UPDATED : IMPORT_ADDED;
}

bool import_batch_judge(struct import *import, struct import_batch *batch)
{
    int64_t now_us;

    if (!read_stored(import, batch)) {
        return false;
    }
    now_us = clock_now_us();
    for (size_t i = 0; i < batch->count; i++) {
        const struct list_entry *entry = &batch->entries[i];
        enum import_count what = judge(import, batch, i, now_us);

        if (what == IMPORT_BAD) {
            import_tell_row(import, entry->line, entry->fault, entry->typed);
        } else if (batch->is_duplicate[i]) {
            import_tell_row(import, entry->line,
                            "duplicate, the later line counts", entry->typed);
            what = IMPORT_DUPLICATE;
        }
        batch->counts[what]++;
        import->bulk_for_all +=
            entry->is_bulk_for_all && what <= IMPORT_UNCHANGED ? 1 : 0;
        list_stored_clear(&batch->stored[i]);
    }
    return true;
}

/* ---- nixied ---- */

static bool give_up(struct import *import, enum control_result result)
{
    if (result == CONTROL_ABSENT) {
        error_set(&import->error,
                  "no nixied on this host: start it, since each change is a "
                  "line of its log before it is in Redis");
    }
    return result == CONTROL_DONE;
}

bool import_batch_send(struct import *import, struct import_batch *batch)
{
    if (control_batch_count(batch->request) == 0) {
        return true;
    }
    batch->is_in_flight = true;
    return give_up(import, control_batch_send(batch->request,
                                              import->call->settings->state_dir,
                                              SEND_MS, &import->error));
}

bool import_batch_finish(struct import *import, struct import_batch *batch)
{
    struct control_answer answer = {0, false};
    size_t logged;

    if (batch->is_in_flight) {
        enum control_result result = control_batch_wait(
            batch->request, WAIT_MS, &answer, &logged, &import->error);

        if (!give_up(import, result)) {
            return false;
        }
        import->logged_only += answer.applied ? 0 : logged;
    }
    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        import->counts[i] += batch->counts[i];
        import->rows += batch->counts[i];
        import->new_rows += batch->counts[i];
    }
    if (batch->offset > import->offset) {
        import->offset = batch->offset;
        import->line = batch->line;
    }
    clear(batch);
    return true;
}
