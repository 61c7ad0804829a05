#include "forgotten.h"

#include "clock.h"
#include "small_file.h"
#include "store_key.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX ((size_t)64 * 1024 * 1024) /* bytes of the file */

struct forgotten {
    char *state_dir;
    const struct mailbox_rules *rules;
    atomic_bool is_any;
    pthread_mutex_t lock; /* guards all below */
    struct pseudonym_key key;
    GHashTable *names;
};

void forgotten_free(struct forgotten *forgotten)
{
    if (forgotten != NULL) {
        pseudonym_key_clear(&forgotten->key);
        (void)pthread_mutex_destroy(&forgotten->lock);
        g_hash_table_destroy(forgotten->names);
        free(forgotten->state_dir);
        free(forgotten);
    }
}

/* ---- the files ---- */

static void path_of(const struct forgotten *forgotten, const char *name,
                    char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%s", forgotten->state_dir, name);
}

/* Names that we could not have made are not looked up. */
static bool keep(struct forgotten *forgotten, const char *name, size_t length)
{
    if (!pseudonym_is((struct text){name, length}) ||
        memchr(name, '@', length) == NULL) {
        return false;
    }
    atomic_store(&forgotten->is_any, true);
    return g_hash_table_add(forgotten->names, g_strndup(name, length));
}

static bool load_names(struct forgotten *forgotten, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    gchar *text = NULL;
    gsize length = 0;

    path_of(forgotten, "forgotten", path);
    if (stat(path, &status) != 0 && errno == ENOENT) {
        return true;
    }
    if ((size_t)status.st_size > NAMES_MAX ||
        !g_file_get_contents(path, &text, &length, NULL)) {
        error_set(error, "%s cannot be read", path);
        return false;
    }
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");

        (void)keep(forgotten, line, size);
        line += size + (line[size] == '\n');
    }
    g_free(text);
    return true;
}

struct forgotten *forgotten_open(const char *state_dir,
                                 const struct mailbox_rules *rules,
                                 struct error *error)
{
    struct forgotten *forgotten = calloc(1, sizeof *forgotten);

    if (forgotten == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    forgotten->names =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    forgotten->rules = rules;
    forgotten->state_dir = strdup(state_dir);
    (void)pthread_mutex_init(&forgotten->lock, NULL);
    if (forgotten->state_dir == NULL ||
        !pseudonym_key_load(&forgotten->key, state_dir, error) ||
        !load_names(forgotten, error)) {
        forgotten_free(forgotten);
        return NULL;
    }
    return forgotten;
}

/* ---- names ---- */

bool forgotten_add(struct forgotten *forgotten, const struct mailbox *mailbox,
                   char name[PSEUDONYM_SIZE], struct error *error)
{
    char path[PATH_MAX];
    char line[PSEUDONYM_SIZE + 1];
    bool added = false;

    (void)pthread_mutex_lock(&forgotten->lock);
    if (!pseudonym_key_make(&forgotten->key, forgotten->state_dir, error)) {
        goto out;
    }
    if (mailbox->domain_length == 0 ||
        !pseudonym_of(&forgotten->key, mailbox, name)) {
        error_set(error, "the address has no domain, or is too long");
        goto out;
    }
    added = g_hash_table_contains(forgotten->names, name);
    if (!added) {
        path_of(forgotten, "forgotten", path);
        (void)snprintf(line, sizeof line, "%s\n", name);
        added = small_file_write(path, O_APPEND, line, error) &&
                keep(forgotten, name, strlen(name));
    }
out:
    (void)pthread_mutex_unlock(&forgotten->lock);
    return added;
}

bool forgotten_is(struct forgotten *forgotten, const struct mailbox *mailbox,
                  char name[PSEUDONYM_SIZE])
{
    bool found;

    (void)pthread_mutex_lock(&forgotten->lock);
    found = g_hash_table_size(forgotten->names) > 0 &&
            pseudonym_of(&forgotten->key, mailbox, name) &&
            g_hash_table_contains(forgotten->names, name);
    (void)pthread_mutex_unlock(&forgotten->lock);
    return found;
}

static bool is_forgotten(struct forgotten *forgotten, struct text address,
                         char name[PSEUDONYM_SIZE])
{
    struct mailbox mailbox;

    return address.bytes != NULL && address.length > 0 &&
           mailbox_parse(address, forgotten->rules, &mailbox) == MAILBOX_OK &&
           forgotten_is(forgotten, &mailbox, name);
}

/* ---- from Redis ---- */

static void take_reply(struct forgotten *forgotten, const redisReply *reply)
{
    (void)pthread_mutex_lock(&forgotten->lock);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++) {
        const redisReply *name = reply->element[i];

        if (name->type == REDIS_REPLY_STRING &&
            !g_hash_table_contains(forgotten->names, name->str)) {
            char path[PATH_MAX];
            char line[PSEUDONYM_SIZE + 1];
            struct error unheard;

            path_of(forgotten, "forgotten", path);
            (void)snprintf(line, sizeof line, "%s\n", name->str);
            if (keep(forgotten, name->str, (size_t)name->len)) {
                (void)small_file_write(path, O_APPEND, line, &unheard);
            }
        }
    }
    (void)pthread_mutex_unlock(&forgotten->lock);
}

bool forgotten_learn(struct forgotten *forgotten, struct redis_link *link,
                     const char *key_prefix, int64_t deadline_ms,
                     struct error *error)
{
    if (!redis_link_open(link, deadline_ms, error)) {
        return false;
    }
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        struct store_key key;
        const char *words[] = {"HKEYS", key.text};

        if (!store_key_history(key_prefix, bucket, STORE_FORGOTTEN,
                               text_of(NULL), &key) ||
            !redis_link_command(link, 2, words, NULL)) {
            error_set(error, "out of memory");
            redis_link_close(link);
            return false;
        }
    }
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        redisReply *reply = redis_link_reply(link, deadline_ms, error);

        if (reply == NULL) {
            return false;
        }
        take_reply(forgotten, reply);
        freeReplyObject(reply);
    }
    return true;
}

/* ---- events ---- */

/* What an operator changes by name must have the name to act. */
static bool is_by_name(const struct event *event)
{
    static const enum event_type changes[] = {
        EVENT_SUPPRESSION_ADDED, EVENT_SUPPRESSION_UPDATED,
        EVENT_SUPPRESSION_REMOVED, EVENT_ALLOW_ADDED, EVENT_ALLOW_REMOVED};

    if (event->type == EVENT_RECIPIENT_FORGOTTEN) {
        return true;
    }
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (event->type == changes[i]) {
            return text_is(event->origin, "command");
        }
    }
    return false;
}

/* Texts about the recipient that may name it, in whatever form. */
static void leave_out(struct event *event)
{
    struct text *const texts[] = {
        &event->original_recipient, &event->final_recipient, &event->diagnostic,
        &event->suppression_note, &event->suppression_evidence};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = text_of(NULL);
    }
}

void forgotten_veil(void *context, struct event *event,
                    char room[FORGOTTEN_ROOM])
{
    struct forgotten *forgotten = context;
    struct text *const names[] = {&event->recipient, &event->final_recipient,
                                  &event->suppression_pattern, &event->sender,
                                  &event->auth_user};
    bool told = false;
    size_t used = 0;

    if (!atomic_load(&forgotten->is_any) || is_by_name(event)) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[PSEUDONYM_SIZE];
        size_t length;

        if (!is_forgotten(forgotten, *names[i], name)) {
            continue;
        }
        told = told || i < 3;
        length = strlen(name);
        if (used + length > FORGOTTEN_ROOM) {
            *names[i] = text_of(NULL);
            continue;
        }
        memcpy(room + used, name, length);
        *names[i] = (struct text){room + used, length};
        used += length;
    }
    if (told) {
        leave_out(event);
    }
}
