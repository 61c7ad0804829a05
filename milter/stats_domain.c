#include "stats.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERIES   "deliveries"
#define DETAILS_MOST 100 /* asked in one round trip */

/* What is added up of a domain, before any is chosen. */
struct tally {
    int64_t failures, deliveries;
    int64_t reasons[REASONS];
    struct text down_since; /* borrowed from the reply that has it */
};

struct reading {
    GHashTable *tallies; /* char * -> struct tally * */
    redisReply *down[STORE_BUCKETS];
    int64_t skipped;
};

static void free_tally(gpointer tally)
{
    free(tally);
}

static struct tally *find_tally(struct reading *reading, struct text name)
{
    char key[MAILBOX_DOMAIN_MAX + 1];
    struct tally *tally;

    if (name.length == 0 || name.length > MAILBOX_DOMAIN_MAX ||
        memchr(name.bytes, '\0', name.length) != NULL) {
        return NULL;
    }
    (void)text_copy(name, key, sizeof key);
    tally = g_hash_table_lookup(reading->tallies, key);
    if (tally == NULL &&
        g_hash_table_size(reading->tallies) < STATS_DOMAINS_MAX) {
        tally = calloc(1, sizeof *tally);
        if (tally != NULL) {
            (void)g_hash_table_insert(reading->tallies, g_strdup(key), tally);
        }
    }
    return tally;
}

/* "example.org|mailbox_full", "example.org|deliveries" */
static void take_field(struct reading *reading, struct text field,
                       struct text value)
{
    const char *bar =
        field.bytes == NULL ? NULL : memrchr(field.bytes, '|', field.length);
    struct tally *tally = NULL;
    enum reason reason = REASON_UNDETERMINED;
    struct text word;
    bool delivered;
    int64_t number;

    if (bar == NULL) {
        reading->skipped++;
        return;
    }
    if (bar == field.bytes) {
        return; /* "|mailbox_full": the sum of a bucket */
    }
    word =
        (struct text){bar + 1, field.length - (size_t)(bar - field.bytes) - 1};
    delivered = text_is(word, DELIVERIES);
    if (stats_number(value, &number) &&
        (delivered || reason_parse(word, &reason))) {
        tally = find_tally(
            reading, (struct text){field.bytes, (size_t)(bar - field.bytes)});
    }
    if (tally == NULL) {
        reading->skipped++;
    } else if (delivered) {
        stats_sum(&tally->deliveries, number);
    } else {
        stats_sum(&tally->failures, number);
        stats_sum(&tally->reasons[reason], number);
    }
}

static void take_hash(void *context, size_t hour, const redisReply *hash)
{
    (void)hour;
    for (size_t i = 0; i + 1 < hash->elements; i += 2) {
        take_field(context, stats_text(hash->element[i]),
                   stats_text(hash->element[i + 1]));
    }
}

static void take_down(struct reading *reading, const redisReply *hash)
{
    if (hash->type != REDIS_REPLY_ARRAY) {
        reading->skipped++;
        return;
    }
    for (size_t i = 0; i + 1 < hash->elements; i += 2) {
        struct tally *tally = find_tally(reading, stats_text(hash->element[i]));

        if (tally == NULL) {
            reading->skipped++;
        } else {
            tally->down_since = stats_text(hash->element[i + 1]);
        }
    }
}

/* First of all: whatever is too much later, these are in it. */
static bool read_down(struct reading *reading,
                      const struct stats_source *source, struct error *error)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (!stats_ask(source, "HGETALL", STORE_DOWN, i, text_of(NULL),
                       error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        reading->down[i] = stats_reply(source, error);
        if (reading->down[i] == NULL) {
            return false;
        }
        take_down(reading, reading->down[i]);
    }
    return true;
}

/* --- the worst of them -------------------------------------------------- */

static enum reason most_frequent(const struct tally *tally)
{
    size_t most = REASON_UNDETERMINED;

    for (size_t i = 0; i < REASONS; i++) {
        if (tally->reasons[i] > tally->reasons[most]) {
            most = i;
        }
    }
    return (enum reason)most;
}

static int compare_domains(const void *one, const void *other)
{
    const struct stats_domain *left = one;
    const struct stats_domain *right = other;

    if (left->down != right->down) {
        return left->down ? -1 : 1;
    }
    if (left->failures != right->failures) {
        return left->failures < right->failures ? 1 : -1;
    }
    return strcmp(left->name, right->name);
}

static void add_row(struct stats_domains *domains, const char *name,
                    const struct tally *tally)
{
    struct stats_domain *row = &domains->rows[domains->count++];

    (void)text_copy(text_of(name), row->name, sizeof row->name);
    row->failures = tally->failures;
    row->deliveries = tally->deliveries;
    row->worst = most_frequent(tally);
    row->down = tally->down_since.bytes != NULL;
    (void)text_copy(tally->down_since, row->down_since, sizeof row->down_since);
}

/*
 * A list of limit is sorted whenever twice as many are in it, so that no more
 * memory is taken than that.
 */
static bool choose(struct stats_domains *domains, struct reading *reading,
                   size_t limit)
{
    GHashTableIter walk;
    gpointer name, tally;

    domains->rows = calloc(2 * limit, sizeof *domains->rows);
    if (domains->rows == NULL) {
        return false;
    }
    g_hash_table_iter_init(&walk, reading->tallies);
    while (g_hash_table_iter_next(&walk, &name, &tally)) {
        const struct tally *one = tally;

        if (one->failures == 0 && one->down_since.bytes == NULL) {
            continue;
        }
        domains->known++;
        if (domains->count == 2 * limit) {
            qsort(domains->rows, domains->count, sizeof *domains->rows,
                  compare_domains);
            domains->count = limit;
            memset(&domains->rows[limit], 0, limit * sizeof *domains->rows);
        }
        add_row(domains, name, one);
    }
    qsort(domains->rows, domains->count, sizeof *domains->rows,
          compare_domains);
    domains->count = domains->count < limit ? domains->count : limit;
    return true;
}

/* --- what else is known of these ---------------------------------------- */

static const char *const words[] = {
    "down_reason",      "failing_since",       "last_failure_at",
    "last_delivery_at", "last_failure_reason", "consecutive_failures",
};
#define WORDS (sizeof words / sizeof words[0])

static bool ask_domain(const struct stats_source *source, const char *name,
                       struct error *error)
{
    unsigned bucket = store_bucket(name, strlen(name));
    struct store_key key;
    const char *command[2 + WORDS] = {"HMGET", key.text};
    size_t lengths[2 + WORDS] = {strlen("HMGET"), 0};

    if (!store_key_history(source->key_prefix, bucket, STORE_DOMAIN,
                           text_of(name), &key)) {
        error_set(error, "the key of this name would be too long");
        return false;
    }
    lengths[1] = key.length;
    for (size_t i = 0; i < WORDS; i++) {
        command[2 + i] = words[i];
        lengths[2 + i] = strlen(words[i]);
    }
    if (!redis_link_command(source->link, 2 + WORDS, command, lengths)) {
        error_set(error, "out of memory, or the connection is gone");
        return false;
    }
    return stats_ask(source, "ZCARD", STORE_WAITING, bucket, text_of(name),
                     error);
}

static void take_words(struct stats_domain *row, const redisReply *reply)
{
    const struct {
        char *text;
        size_t size;
    } places[] = {
        {row->down_reason, sizeof row->down_reason},
        {row->failing_since, sizeof row->failing_since},
        {row->last_failure_at, sizeof row->last_failure_at},
        {row->last_delivery_at, sizeof row->last_delivery_at},
        {row->last_failure_reason, sizeof row->last_failure_reason},
    };

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != WORDS) {
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)text_copy(stats_text(reply->element[i]), places[i].text,
                        places[i].size);
    }
    (void)stats_number(stats_text(reply->element[WORDS - 1]),
                       &row->consecutive_failures);
}

static bool take_domain(const struct stats_source *source,
                        struct stats_domain *row, struct error *error)
{
    redisReply *reply = stats_reply(source, error);

    if (reply == NULL) {
        return false;
    }
    take_words(row, reply);
    freeReplyObject(reply);
    reply = stats_reply(source, error);
    if (reply == NULL) {
        return false;
    }
    if (reply->type == REDIS_REPLY_INTEGER) {
        row->waiting = reply->integer;
    }
    freeReplyObject(reply);
    return true;
}

static bool read_details(struct stats_domains *domains,
                         const struct stats_source *source, struct error *error)
{
    for (size_t i = 0; i < domains->count; i += DETAILS_MOST) {
        size_t end = i + DETAILS_MOST < domains->count ? i + DETAILS_MOST
                                                       : domains->count;

        for (size_t j = i; j < end; j++) {
            if (!ask_domain(source, domains->rows[j].name, error)) {
                return false;
            }
        }
        for (size_t j = i; j < end; j++) {
            if (!take_domain(source, &domains->rows[j], error)) {
                return false;
            }
        }
    }
    return true;
}

bool stats_domains_read(struct stats_domains *domains, struct stats_span span,
                        size_t limit, const struct stats_source *source,
                        struct error *error)
{
    struct reading reading = {
        .tallies =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_tally),
    };
    const struct stats_walk walk = {
        .kind = STORE_HOUR,
        .span = span,
        .visit = take_hash,
        .context = &reading,
        .skipped = &reading.skipped,
    };
    bool read;

    *domains = (struct stats_domains){.rows = NULL};
    read = read_down(&reading, source, error) &&
           stats_walk_hours(source, &walk, error);
    if (read && !choose(domains, &reading, limit)) {
        error_set(error, "out of memory");
        read = false;
    }
    domains->skipped = reading.skipped;
    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        freeReplyObject(reading.down[i]);
    }
    g_hash_table_destroy(reading.tallies);
    return read && read_details(domains, source, error);
}

void stats_domains_clear(struct stats_domains *domains)
{
    free(domains->rows);
    *domains = (struct stats_domains){.rows = NULL};
}
