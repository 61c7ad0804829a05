#include "command_release.h"
#include "redis_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 200
#define SHOWN_MAX   300
#define NONE        "-"

enum field { FIELD_ORIGIN, FIELD_REASON, FIELD_ADDED_AT };
#define FIELDS 3

void command_release_init(struct release *release)
{
    release->entries = g_hash_table_new(g_str_hash, g_str_equal);
    release->found = g_ptr_array_new_with_free_func(g_free);
    release->groups =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void command_release_clear(struct release *release)
{
    g_hash_table_destroy(release->entries);
    g_ptr_array_free(release->found, TRUE);
    g_hash_table_destroy(release->groups);
    g_free(release->events);
    command_store_close(release->store);
}

/* --- progress ---------------------------------------------------------- */

void command_release_progress(struct release *release, const char *format, ...)
{
    int64_t now_ms = clock_monotonic_ms();
    va_list arguments;

    if (release->shown_ms == 0) {
        release->shown_ms = now_ms; /* nothing at all for short work */
    }
    if (now_ms - release->shown_ms < PROGRESS_MS ||
        isatty(STDERR_FILENO) != 1) {
        return;
    }
    release->shown_ms = now_ms;
    (void)fputc('\r', stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
}

void command_release_progress_end(struct release *release)
{
    if (release->shown_ms != 0 && isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
    release->shown_ms = 0;
}

/* --- which entries ----------------------------------------------------- */

static bool is_same(struct text one, struct text other)
{
    return one.bytes != NULL && one.length == other.length &&
           memcmp(one.bytes, other.bytes, one.length) == 0;
}

/* Of a pattern in normal form; empty of "ann@". */
static struct text domain_of(struct text pattern)
{
    const char *at = memrchr(pattern.bytes, '@', pattern.length);
    struct text domain = {"", 0};

    if (at != NULL) {
        domain.bytes = at + 1;
        domain.length = pattern.length - (size_t)(at + 1 - pattern.bytes);
    }
    if (domain.length > 0 && domain.bytes[0] == '.') {
        domain.bytes++;
        domain.length--;
    }
    return domain;
}

static bool is_wanted(const struct release *release,
                      const struct text fields[FIELDS], struct text pattern)
{
    struct text added_at = fields[FIELD_ADDED_AT];
    int64_t us;

    return is_same(fields[FIELD_ORIGIN], release->origin) &&
           (release->reason.bytes == NULL ||
            is_same(fields[FIELD_REASON], release->reason)) &&
           (release->domain[0] == '\0' ||
            is_same(domain_of(pattern), text_of(release->domain))) &&
           added_at.bytes != NULL &&
           clock_parse(added_at.bytes, added_at.length, &us) &&
           us >= release->since_us && us <= release->until_us;
}

/* The text, or "-", with a NUL behind it. */
static char *put_word(char *end, struct text text)
{
    if (text.length == 0) {
        text = text_of(NONE);
    }
    return end + text_copy(text, end, text.length + 1);
}

/* Its group, with one more in it. */
static struct release_group *count_group(struct release *release,
                                         struct text reason, struct text domain)
{
    struct release_group *group = g_malloc(sizeof *group + reason.length +
                                           domain.length + 2 * sizeof NONE + 1);
    struct release_group *known;
    char *end = put_word(group->name, reason);
    size_t reason_length = (size_t)(end - group->name);

    *end = '\n'; /* for the name; then it ends the reason */
    (void)put_word(end + 1, domain);
    known = g_hash_table_lookup(release->groups, group->name);
    if (known != NULL) {
        g_free(group);
        known->count++;
        return known;
    }
    group->count = 1;
    group->reason = group->name;
    group->domain = group->name + reason_length + 1;
    g_hash_table_insert(release->groups, g_strdup(group->name), group);
    *end = '\0';
    return group;
}

static void add_entry(struct release *release, struct text key,
                      const struct text fields[FIELDS])
{
    struct release_entry *entry = g_malloc0(sizeof *entry + key.length + 1);
    struct command_store_key parsed;
    int64_t us;

    (void)text_copy(key, entry->key, key.length + 1);
    (void)command_store_parse(release->call->settings, STORE_SUPPRESS,
                              (struct text){entry->key, key.length}, &parsed);
    entry->pattern = parsed.pattern;
    entry->scope = parsed.scope;
    (void)clock_parse(fields[FIELD_ADDED_AT].bytes,
                      fields[FIELD_ADDED_AT].length, &us);
    clock_format(us, entry->added_at);
    entry->reason =
        count_group(release, fields[FIELD_REASON], domain_of(entry->pattern))
            ->reason;
    g_ptr_array_add(release->found, entry);
    (void)g_hash_table_add(release->entries, entry->key);
}

static void look_at(struct release *release, struct text key,
                    const redisReply *reply)
{
    struct text fields[FIELDS];
    struct command_store_key parsed;

    release->looked_at++;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS) {
        return; /* no hash: nobody knows since when it is there */
    }
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = command_store_text(reply->element[i]);
    }
    if (!command_store_parse(release->call->settings, STORE_SUPPRESS, key,
                             &parsed) ||
        !is_wanted(release, fields, parsed.pattern)) {
        return;
    }
    if (!parsed.normal || memchr(key.bytes, '\0', key.length) != NULL) {
        release->odd++; /* removing it by its pattern would remove another */
    } else if (!g_hash_table_contains(release->entries, key.bytes)) {
        add_entry(release, key, fields);
    }
}

/* --- asking ------------------------------------------------------------ */

/* An error, but for that of a key which is no hash. */
static bool is_refusal(struct release *release, const redisReply *reply)
{
    char shown[SHOWN_MAX];

    if (reply->type != REDIS_REPLY_ERROR ||
        redis_fault_of(reply) == REDIS_FAULT_TYPE) {
        return false;
    }
    error_set(&release->error, "redis: HMGET: %s",
              text_escape(command_store_text(reply), shown, sizeof shown));
    return true;
}

static bool ask_some(struct release *release, const redisReply *keys,
                     size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const struct text words[] = {
            text_of("HMGET"), command_store_text(keys->element[i]),
            text_of("origin"), text_of("reason"), text_of("added_at")};

        if (words[1].bytes == NULL ||
            !command_store_add(release->store, 5, words, &release->error)) {
            return false;
        }
    }
    for (size_t i = first; i < end; i++) {
        redisReply *reply = command_store_next(release->store, &release->error);

        if (reply == NULL || is_refusal(release, reply)) {
            freeReplyObject(reply);
            return false;
        }
        look_at(release, command_store_text(keys->element[i]), reply);
        freeReplyObject(reply);
    }
    return true;
}

static bool visit(void *context, const redisReply *keys)
{
    struct release *release = context;

    for (size_t i = 0; i < keys->elements && !release->failed;
         i += COMMAND_STORE_BATCH) {
        size_t end = i + COMMAND_STORE_BATCH;

        release->failed = !ask_some(
            release, keys, i, end < keys->elements ? end : keys->elements);
    }
    command_release_progress(release, "looked at %zu entries, %u match",
                             release->looked_at, release->found->len);
    return !release->failed;
}

bool command_release_find(struct release *release)
{
    const struct command_store_walk walk = {
        .list = STORE_SUPPRESS, .visit = visit, .context = release};
    bool walked = command_store_walk(release->store, release->call->settings,
                                     &walk, &release->error);

    command_release_progress_end(release);
    return walked && !release->failed;
}
