#include "command_release.h"

#include "control.h"
#include "control_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_MS   10000 /* nixied waits for Redis before it answers */
#define SHOWN_MAX    400
#define GROUPS_SHOWN 20
#define LIST_SHOWN   20

/* --- what the options say ---------------------------------------------- */

static bool take_window(struct release *release)
{
    const struct command_call *call = release->call;
    int64_t now_us = clock_now_us();

    release->until_us = now_us;
    if (command_value(call, "since") == NULL) {
        command_complain(call, "--since is missing: --since 2h are the last "
                               "two hours");
        return false;
    }
    if (!command_when(call, "since", now_us, &release->since_us) ||
        !command_when(call, "until", now_us, &release->until_us)) {
        return false;
    }
    if (release->since_us > release->until_us) {
        command_complain(call, "--since is later than %s",
                         command_value(call, "until") == NULL ? "now"
                                                              : "--until");
        return false;
    }
    return true;
}

static bool take_options(struct release *release)
{
    const struct command_call *call = release->call;
    const char *domain = command_value(call, "domain");
    const char *origin = command_value(call, "origin");
    char shown[SHOWN_MAX];

    release->reason = text_of(command_value(call, "reason"));
    release->origin = text_of(origin == NULL ? "policy" : origin);
    release->dry_run = command_value(call, "dry-run") != NULL;
    if (domain != NULL &&
        !mailbox_parse_domain(text_of(domain), release->domain)) {
        command_complain(call, "--domain \"%s\": write example.org",
                         text_escape(text_of(domain), shown, sizeof shown));
        return false;
    }
    return take_window(release);
}

/* --- removing ---------------------------------------------------------- */

static void make_event(struct event *event, const struct release_entry *entry,
                       const char *by)
{
    event_init(event, EVENT_SUPPRESSION_REMOVED, clock_now_us());
    event->origin = text_of("command");
    event->scope = entry->scope;
    event->suppression_pattern = entry->pattern;
    event->suppression_by = text_of(by);
    event->suppression_origin = text_of("command");
}

static const struct release_entry *entry_at(const struct release *release,
                                            size_t index)
{
    return g_ptr_array_index(release->found, index);
}

static bool delete_some(struct release *release, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const struct text words[] = {text_of("DEL"),
                                     text_of(entry_at(release, i)->key)};

        if (!command_store_add(release->store, 2, words, &release->error)) {
            return false;
        }
    }
    for (size_t i = first; i < end; i++) {
        redisReply *reply = command_store_next(release->store, &release->error);
        char shown[SHOWN_MAX];

        if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
            if (reply != NULL) {
                error_set(&release->error, "redis: DEL: %s",
                          text_escape(command_store_text(reply), shown,
                                      sizeof shown));
            }
            freeReplyObject(reply);
            return false;
        }
        freeReplyObject(reply);
        release->removed++;
    }
    return true;
}

/* As `suppress del` does without nixied. */
static bool without_nixied(struct release *release, size_t first, size_t end)
{
    for (size_t i = first; i < end; i += COMMAND_STORE_BATCH) {
        size_t next = i + COMMAND_STORE_BATCH;

        if (!delete_some(release, i, next < end ? next : end)) {
            command_complain(release->call, "%s", release->error.text);
            return false;
        }
    }
    if (!release->told_absent) {
        (void)fflush(stdout);
        (void)fputs("(no nixied on this host: removed from Redis only)\n",
                    stderr);
        release->told_absent = true;
    }
    return true;
}

/* At most CONTROL_TOGETHER. False after a complaint. */
static bool remove_some(struct release *release, size_t first, size_t end)
{
    struct control_answer answers[CONTROL_TOGETHER];
    enum control_result result;
    size_t done;

    for (size_t i = first; i < end; i++) {
        make_event(&release->events[i - first], entry_at(release, i),
                   release->by);
    }
    result = control_send_all(release->call->settings->state_dir,
                              release->events, end - first, CONTROL_MS, answers,
                              &done, &release->error);
    for (size_t i = 0; i < done; i++) {
        release->removed += answers[i].applied;
        release->logged += !answers[i].applied;
    }
    switch (result) {
    case CONTROL_DONE:
        return true;
    case CONTROL_ABSENT:
        return without_nixied(release, first, end);
    case CONTROL_REFUSED:
        command_complain(release->call, "%s", release->error.text);
        return false;
    case CONTROL_UNKNOWN:
        command_complain(release->call,
                         "%s; some more may have been removed: repeat it for "
                         "the rest",
                         release->error.text);
        return false;
    }
    return false;
}

static bool remove_all(struct release *release)
{
    size_t count = release->found->len;
    bool going_on = true;

    command_login(release->by, sizeof release->by);
    release->events = g_new(struct event, CONTROL_TOGETHER);
    for (size_t i = 0; i < count && going_on; i += CONTROL_TOGETHER) {
        size_t end = i + CONTROL_TOGETHER;

        going_on = remove_some(release, i, end < count ? end : count);
        command_release_progress(release, "removed %zu of %zu",
                                 release->removed + release->logged, count);
    }
    command_release_progress_end(release);
    return going_on;
}

/* --- telling ----------------------------------------------------------- */

static int compare_groups(const void *one, const void *other)
{
    const struct release_group *const *left = one;
    const struct release_group *const *right = other;

    return ((*left)->count < (*right)->count) -
           ((*left)->count > (*right)->count);
}

/* The most frequent first; the caller's, but its elements are not. */
static GPtrArray *sorted_groups(const struct release *release)
{
    GPtrArray *groups = g_ptr_array_new();
    GHashTableIter iter;
    gpointer group;

    g_hash_table_iter_init(&iter, release->groups);
    while (g_hash_table_iter_next(&iter, NULL, &group)) {
        g_ptr_array_add(groups, group);
    }
    if (groups->len > 1) {
        qsort(groups->pdata, groups->len, sizeof *groups->pdata,
              compare_groups);
    }
    return groups;
}

static void print_groups(const GPtrArray *groups)
{
    for (guint i = 0; i < groups->len && i < GROUPS_SHOWN; i++) {
        const struct release_group *group = g_ptr_array_index(groups, i);

        (void)printf("%8zu  ", group->count);
        command_put(text_of(group->reason));
        (void)fputs("  ", stdout);
        command_put(text_of(group->domain));
        (void)fputc('\n', stdout);
    }
    if (groups->len > GROUPS_SHOWN) {
        (void)printf("          and %u more reasons and domains\n",
                     groups->len - GROUPS_SHOWN);
    }
}

static void print_entries(const struct release *release)
{
    for (size_t i = 0; i < release->found->len && i < LIST_SHOWN; i++) {
        const struct release_entry *entry = entry_at(release, i);

        command_put(entry->pattern);
        if (entry->scope.bytes != NULL) {
            (void)fputs(" (scope ", stdout);
            command_put(entry->scope);
            (void)fputc(')', stdout);
        }
        (void)fputs("  ", stdout);
        command_put(text_of(entry->reason));
        (void)printf("  %.19sZ\n", entry->added_at);
    }
    if (release->found->len > LIST_SHOWN) {
        (void)printf("and %u more\n", release->found->len - LIST_SHOWN);
    }
}

static void print_summary(const struct release *release,
                          const GPtrArray *groups)
{
    if (release->found->len == 0) {
        (void)puts("no entry matches");
    } else if (release->dry_run) {
        (void)printf("%u of %zu entries match:\n", release->found->len,
                     release->looked_at);
        print_groups(groups);
        print_entries(release);
    } else {
        print_groups(groups);
        (void)printf("removed %zu of %u entries\n", release->removed,
                     release->found->len);
    }
    if (release->logged > 0) {
        (void)printf("logged %zu more; Redis does not answer, nixied will "
                     "apply them\n",
                     release->logged);
    }
}

static json_t *json_of_entries(const struct release *release)
{
    json_t *entries = json_array();

    for (size_t i = 0; i < release->found->len && i < LIST_SHOWN; i++) {
        const struct release_entry *entry = entry_at(release, i);
        json_t *object = json_object();

        command_json_set(object, "pattern", entry->pattern);
        command_json_set(object, "scope", entry->scope);
        command_json_set(object, "reason", text_of(entry->reason));
        command_json_set(object, "added_at", text_of(entry->added_at));
        (void)json_array_append_new(entries, object);
    }
    return entries;
}

static json_t *json_of_groups(const GPtrArray *groups)
{
    json_t *array = json_array();

    for (guint i = 0; i < groups->len; i++) {
        const struct release_group *group = g_ptr_array_index(groups, i);
        json_t *object = json_object();

        command_json_set(object, "reason", text_of(group->reason));
        command_json_set(object, "domain", text_of(group->domain));
        (void)json_object_set_new(object, "count",
                                  json_integer((json_int_t)group->count));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static void print_json(const struct release *release, const GPtrArray *groups)
{
    const struct {
        const char *name;
        size_t count;
    } counts[] = {
        {"looked_at", release->looked_at},
        {"matched", release->found->len},
        {"removed", release->removed},
        {"logged", release->logged},
        {"odd", release->odd},
    };
    json_t *object = json_object();

    (void)json_object_set_new(object, "dry_run",
                              json_boolean(release->dry_run));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        (void)json_object_set_new(object, counts[i].name,
                                  json_integer((json_int_t)counts[i].count));
    }
    (void)json_object_set_new(object, "groups", json_of_groups(groups));
    if (release->dry_run) {
        (void)json_object_set_new(object, "entries", json_of_entries(release));
    }
    command_json_print(object);
}

static void tell(const struct release *release)
{
    GPtrArray *groups = sorted_groups(release);

    if (release->call->json) {
        print_json(release, groups);
    } else {
        print_summary(release, groups);
    }
    if (release->odd > 0) {
        command_complain(release->call,
                         "left alone: keys=%zu that no mail is looked up "
                         "under; \"nixie suppress list\" names them",
                         release->odd);
    }
    g_ptr_array_free(groups, TRUE);
}

enum command_status command_release(const struct command_call *call)
{
    struct release release = {.call = call};
    enum command_status status = COMMAND_FAULT;

    if (!take_options(&release)) {
        return COMMAND_FAULT;
    }
    command_release_init(&release);
    release.store = command_store_open(call->settings, &release.error);
    if (release.store == NULL || !command_release_find(&release)) {
        command_complain(call, "%s", release.error.text);
        goto out;
    }
    status = release.found->len == 0 ? COMMAND_NO : COMMAND_OK;
    if (!release.dry_run && !remove_all(&release)) {
        status = COMMAND_FAULT;
    }
    tell(&release);
out:
    command_release_clear(&release);
    return status;
}
