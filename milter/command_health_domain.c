#include "command_health.h"

#include <stdio.h>
#include <string.h>

#define ALL "*"

/* What the history says of it besides counts. */
static const char *const facts[] = {
    "consecutive_failures", "failing_since",    "down_since",
    "down_reason",          "last_delivery_at", "last_failure_at",
    "last_failure_reason",
};
#define FACTS (sizeof facts / sizeof facts[0])

static bool is_fact(struct text field)
{
    size_t i = 0;

    while (i < FACTS && !text_is(field, facts[i])) {
        i++;
    }
    return i < FACTS;
}

static bool ask(struct health_source *source, struct text name)
{
    unsigned bucket = store_bucket(name.bytes, name.length);
    unsigned of_all = store_bucket(ALL, strlen(ALL));
    const struct text none = {NULL, 0};

    return health_ask(source, "HGETALL", STORE_DOMAIN, bucket, name, NULL, 0) &&
           health_ask(source, "ZCARD", STORE_WAITING, bucket, name, NULL, 0) &&
           health_ask(source, "HGETALL", STORE_BREAKER, bucket, none, NULL,
                      0) &&
           health_ask(source, "HGETALL", STORE_BREAKER, of_all, none, NULL, 0);
}

/* Of a bucket's those for this domain, and those for all. */
static bool take_breakers(struct health_source *source, unsigned bucket,
                          int64_t now_us, GArray *breakers)
{
    redisReply *hash = health_take(source);

    health_breakers_add(breakers, bucket, hash, now_us);
    freeReplyObject(hash);
    return hash != NULL;
}

static void keep_breakers(struct health_domain *domain, bool of_all,
                          const GArray *found)
{
    for (guint i = 0; i < found->len; i++) {
        const struct quarantine_breaker *breaker =
            &g_array_index(found, struct quarantine_breaker, i);

        if (strcmp(breaker->domain, of_all ? "" : domain->name) == 0) {
            g_array_append_val(domain->breakers, *breaker);
        }
    }
}

static bool read_breakers(struct health_source *source, int64_t now_us,
                          struct health_domain *domain)
{
    const char *const names[] = {domain->name, ALL};
    bool taken = true;

    for (size_t i = 0; i < 2 && taken; i++) {
        GArray *found =
            g_array_new(FALSE, FALSE, sizeof(struct quarantine_breaker));

        taken = take_breakers(source, store_bucket(names[i], strlen(names[i])),
                              now_us, found);
        keep_breakers(domain, i == 1, found);
        g_array_free(found, TRUE);
    }
    return taken;
}

bool health_domain_read(struct health_source *source, struct text name,
                        int64_t now_us, struct health_domain *domain)
{
    memset(domain, 0, sizeof *domain);
    domain->breakers =
        g_array_new(FALSE, FALSE, sizeof(struct quarantine_breaker));
    (void)text_copy(name, domain->name, sizeof domain->name);
    if (!ask(source, name)) {
        return false;
    }
    domain->hash = health_take(source);
    return domain->hash != NULL &&
           health_take_number(source, &domain->waiting) &&
           read_breakers(source, now_us, domain);
}

void health_domain_clear(struct health_domain *domain)
{
    if (domain->breakers != NULL) {
        g_array_free(domain->breakers, TRUE);
    }
    freeReplyObject(domain->hash);
    memset(domain, 0, sizeof *domain);
}

static struct text fact(const struct health_domain *domain, const char *name)
{
    return health_value(domain->hash, name);
}

bool health_domain_is_down(const struct health_domain *domain)
{
    return fact(domain, "down_since").length > 0;
}

/* --- for people -------------------------------------------------------- */

/* "name: time (reason)", or what stands there otherwise. */
static void print_time(const char *name, struct text at, struct text reason,
                       const char *otherwise)
{
    (void)printf("%s: ", name);
    if (at.length == 0) {
        (void)fputs(otherwise, stdout);
    } else {
        command_put(at);
        if (reason.length > 0) {
            (void)fputs(" (", stdout);
            command_put(reason);
            (void)fputc(')', stdout);
        }
    }
    (void)fputc('\n', stdout);
}

static void print_failures(const struct health_domain *domain)
{
    int64_t count = health_number(fact(domain, "consecutive_failures"));

    (void)printf("  failures on the way there since the last delivery: %lld",
                 (long long)count);
    if (count > 0) {
        (void)fputs(", since ", stdout);
        command_put(fact(domain, "failing_since"));
    }
    (void)fputc('\n', stdout);
}

static void print_counts(const struct health_domain *domain)
{
    bool first = true;

    (void)fputs("  counts: ", stdout);
    for (size_t i = 0; i < health_fields(domain->hash); i++) {
        struct text field;
        struct text value;

        health_field(domain->hash, i, &field, &value);
        if (health_number(value) == 0 || is_fact(field)) {
            continue;
        }
        (void)fputs(first ? "" : ", ", stdout);
        command_put(field);
        (void)fputc(' ', stdout);
        command_put(value);
        first = false;
    }
    (void)puts(first ? "none" : "");
}

void health_domain_print(const struct health_domain *domain)
{
    const struct text none = {NULL, 0};
    bool down = health_domain_is_down(domain);

    (void)fputs("domain ", stdout);
    command_put(text_of(domain->name));
    (void)puts(down ? " takes no mail:" : ":");
    /* bounces of single recipients say nothing about it */
    if (down) {
        print_time("  down since", fact(domain, "down_since"),
                   fact(domain, "down_reason"), "");
    } else {
        (void)puts("  the way there: not down");
    }
    print_failures(domain);
    print_time("  last delivery", fact(domain, "last_delivery_at"), none,
               "none known");
    print_time("  last failure on the way there",
               fact(domain, "last_failure_at"),
               fact(domain, "last_failure_reason"), "none known");
    (void)printf("  messages waiting: %lld\n", (long long)domain->waiting);
    print_counts(domain);
    for (guint i = 0; i < domain->breakers->len; i++) {
        char text[HEALTH_BREAKER_SIZE];

        health_breaker_text(
            &g_array_index(domain->breakers, struct quarantine_breaker, i),
            text);
        (void)printf("  breaker open: %s\n", text);
    }
}

/* --- for programs ------------------------------------------------------ */

static json_t *json_of_counts(const struct health_domain *domain)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < health_fields(domain->hash); i++) {
        struct text field;
        struct text value;
        json_t *name;

        health_field(domain->hash, i, &field, &value);
        if (health_number(value) == 0 || is_fact(field)) {
            continue;
        }
        name = command_json_text(field);
        if (json_is_string(name)) {
            (void)json_object_set_new(counts, json_string_value(name),
                                      json_integer(health_number(value)));
        }
        json_decref(name);
    }
    return counts;
}

json_t *health_domain_json(const struct health_domain *domain)
{
    json_t *object = json_object();
    json_t *breakers = json_array();

    command_json_set(object, "domain", text_of(domain->name));
    (void)json_object_set_new(object, "down",
                              json_boolean(health_domain_is_down(domain)));
    for (size_t i = 1; i < FACTS; i++) {
        command_json_set(object, facts[i], fact(domain, facts[i]));
    }
    (void)json_object_set_new(
        object, facts[0], json_integer(health_number(fact(domain, facts[0]))));
    (void)json_object_set_new(object, "waiting", json_integer(domain->waiting));
    (void)json_object_set_new(object, "counts", json_of_counts(domain));
    for (guint i = 0; i < domain->breakers->len; i++) {
        (void)json_array_append_new(
            breakers, health_breaker_json(&g_array_index(
                          domain->breakers, struct quarantine_breaker, i)));
    }
    (void)json_object_set_new(object, "breakers", breakers);
    return object;
}
