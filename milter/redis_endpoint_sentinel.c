#include "redis_endpoint_sentinel.h"

#include "clock.h"
#include "redis_link.h"
#include "text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_DEFAULT  "26379"
#define NAME_MAX_SIZE 256
#define SHARE_MS      200 /* what each gets at least, when names were slow */
#define LOCATION_SIZE 300 /* tcp:[HOST]:PORT */

struct redis_sentinels {
    char name[NAME_MAX_SIZE];
    struct redis_endpoint *asked[REDIS_SENTINELS_MAX];
    size_t count;
    atomic_size_t first; /* the one that answered last */
};

/* Those that Sentinel itself takes in the name of a master. */
static bool is_name(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789.-_");

    return length > 0 && length < NAME_MAX_SIZE && name[length] == '\0';
}

/* HOST, HOST:PORT, [IPv6] or [IPv6]:PORT */
static bool has_port(struct text entry)
{
    const char *close = memchr(entry.bytes, ']', entry.length);
    const char *after = close == NULL ? entry.bytes : close;
    size_t length = entry.length - (size_t)(after - entry.bytes);

    return memchr(after, ':', length) != NULL;
}

static bool add_sentinel(struct redis_sentinels *sentinels, struct text entry,
                         struct error *error)
{
    char location[LOCATION_SIZE];
    struct redis_endpoint_options options = {.location = location};
    struct error why;
    char shown[128];
    int length = -1;

    if (sentinels->count == REDIS_SENTINELS_MAX) {
        error_set(error, "redis: sentinel: takes at most %d sentinels",
                  REDIS_SENTINELS_MAX);
        return false;
    }
    if (entry.length > 0 && entry.length < LOCATION_SIZE) {
        length =
            snprintf(location, sizeof location, "tcp:%.*s%s", (int)entry.length,
                     entry.bytes, has_port(entry) ? "" : ":" PORT_DEFAULT);
    }
    if (length > 0 && (size_t)length < sizeof location) {
        sentinels->asked[sentinels->count] = redis_endpoint_new(&options, &why);
    }
    if (sentinels->asked[sentinels->count] == NULL) {
        error_set(error,
                  "redis: sentinel: \"%s\" is no HOST or HOST:PORT; an IPv6 "
                  "address stands in brackets: [::1]:" PORT_DEFAULT,
                  text_escape(entry, shown, sizeof shown));
        return false;
    }
    sentinels->count++;
    return true;
}

static bool add_sentinels(struct redis_sentinels *sentinels, struct text list,
                          struct error *error)
{
    const char *comma;

    while ((comma = memchr(list.bytes, ',', list.length)) != NULL) {
        struct text entry = {list.bytes, (size_t)(comma - list.bytes)};

        if (!add_sentinel(sentinels, entry, error)) {
            return false;
        }
        list.bytes = comma + 1;
        list.length -= entry.length + 1;
    }
    return add_sentinel(sentinels, list, error);
}

struct redis_sentinels *redis_sentinels_new(const char *location,
                                            struct error *error)
{
    const char *slash = strchr(location, '/');
    struct redis_sentinels *sentinels;

    if (slash == NULL || !is_name(slash + 1)) {
        error_set(error, "redis: sentinel: takes HOST:PORT,HOST:PORT/NAME, "
                         "where NAME is the master's in \"sentinel monitor\"; "
                         "no database behind it, it is 0");
        return NULL;
    }
    sentinels = calloc(1, sizeof *sentinels);
    if (sentinels == NULL) {
        error_set(error, "redis: out of memory");
        return NULL;
    }
    atomic_init(&sentinels->first, 0);
    memcpy(sentinels->name, slash + 1, strlen(slash + 1) + 1);
    if (!add_sentinels(sentinels,
                       (struct text){location, (size_t)(slash - location)},
                       error)) {
        redis_sentinels_free(sentinels);
        return NULL;
    }
    return sentinels;
}

void redis_sentinels_free(struct redis_sentinels *sentinels)
{
    if (sentinels == NULL) {
        return;
    }
    for (size_t i = 0; i < sentinels->count; i++) {
        redis_endpoint_free(sentinels->asked[i]);
    }
    free(sentinels);
}

/* ---- one sentinel -------------------------------------------------------- */

/* One round of questions, and the best that can be said of its failure. */
struct inquiry {
    const char *name;
    const struct redis_endpoint_options *login;
    struct redis_endpoint *sentinel; /* asked now */
    char refused[LOCATION_SIZE];     /* named before, and no master */
    bool answered;                   /* why is about an answer */
    struct error why;
};

/* "HOST:PORT" of the sentinel */
static const char *sentinel_of(const struct inquiry *inquiry)
{
    return redis_endpoint_name(inquiry->sentinel) + strlen("tcp:");
}

/* What a sentinel answered says more than that another one is away. */
static bool wants_word(struct inquiry *inquiry, bool answered)
{
    bool better =
        inquiry->why.text[0] == '\0' || (answered && !inquiry->answered);

    inquiry->answered = inquiry->answered || answered;
    return better;
}

/* Errors of a link begin with what ours begin with already. */
static const char *cause_of(const struct error *error)
{
    static const char start[] = "redis: ";
    size_t length = sizeof start - 1;

    return strncmp(error->text, start, length) == 0 ? error->text + length
                                                    : error->text;
}

static void tell_silence(struct inquiry *inquiry, const struct error *error)
{
    if (wants_word(inquiry, false)) {
        error_set(&inquiry->why, "redis: sentinel %s: %.300s",
                  sentinel_of(inquiry), cause_of(error));
    }
}

static void tell_login(struct inquiry *inquiry, const char *refusal)
{
    const char *user = inquiry->login->user;

    if (wants_word(inquiry, true)) {
        error_set(&inquiry->why,
                  "redis: sentinel %s: %.160s: it is asked as redis_user "
                  "with redis_password_file, allow that there: ACL SETUSER %s "
                  "on >PASSWORD +sentinel|get-master-addr-by-name",
                  sentinel_of(inquiry), refusal,
                  user == NULL || user[0] == '\0' ? "default" : user);
    }
}

static void tell_refusal(struct inquiry *inquiry, const redisReply *reply)
{
    struct text text = {reply->str, (size_t)reply->len};
    char shown[160];

    (void)text_escape(text, shown, sizeof shown);
    if (redis_fault_of(reply) == REDIS_FAULT_LOGIN) {
        tell_login(inquiry, shown);
    } else if (wants_word(inquiry, true)) {
        error_set(&inquiry->why, "redis: %s does not answer as a sentinel: %s",
                  sentinel_of(inquiry), shown);
    }
}

static void tell_unknown(struct inquiry *inquiry)
{
    if (wants_word(inquiry, true)) {
        error_set(&inquiry->why,
                  "redis: sentinel %s knows no master \"%s\": \"redis-cli -p "
                  "PORT SENTINEL MASTERS\" lists those it knows",
                  sentinel_of(inquiry), inquiry->name);
    }
}

static void tell_nonsense(struct inquiry *inquiry)
{
    if (wants_word(inquiry, true)) {
        error_set(&inquiry->why,
                  "redis: %s does not answer as a sentinel: unexpected reply",
                  sentinel_of(inquiry));
    }
}

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING && reply->len > 0 &&
           memchr(reply->str, '\0', (size_t)reply->len) == NULL;
}

/* "tcp:HOST:PORT" of an answer; whether it is one, the endpoint checks. */
static bool read_location(const redisReply *reply, char location[LOCATION_SIZE])
{
    const char *host;
    const char *port;
    bool six;
    int length;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_text(reply->element[0]) || !is_text(reply->element[1])) {
        return false;
    }
    host = reply->element[0]->str;
    port = reply->element[1]->str;
    if (port[strspn(port, "0123456789")] != '\0') {
        return false; /* "6379/1" would be a database */
    }
    six = strchr(host, ':') != NULL;
    length = snprintf(location, LOCATION_SIZE, "tcp:%s%s%s:%s", six ? "[" : "",
                      host, six ? "]" : "", port);
    return length > 0 && length < LOCATION_SIZE;
}

/* The reply, or NULL with error and fault. */
static redisReply *put_question(struct redis_endpoint *sentinel,
                                const char *name, int64_t deadline_ms,
                                enum redis_fault *fault, struct error *error)
{
    const char *argv[] = {"SENTINEL", "get-master-addr-by-name", name};
    struct redis_link *link = redis_link_new(sentinel);
    redisReply *reply = NULL;

    *fault = REDIS_FAULT_NONE;
    if (link == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    if (redis_link_open(link, deadline_ms, error)) {
        reply = redis_link_ask(link, deadline_ms, error, 3, argv, NULL);
    }
    *fault = reply == NULL ? redis_link_fault(link) : redis_fault_of(reply);
    redis_link_free(link);
    return reply;
}

/* The same with the login, of a sentinel that wants one. */
static redisReply *put_question_as(struct inquiry *inquiry, int64_t deadline_ms,
                                   enum redis_fault *fault, struct error *error)
{
    struct redis_endpoint_options options = *inquiry->login;
    struct redis_endpoint *sentinel;
    redisReply *reply = NULL;

    options.location = redis_endpoint_name(inquiry->sentinel);
    sentinel = redis_endpoint_new(&options, error);
    if (sentinel != NULL && redis_endpoint_resolve(sentinel, error)) {
        reply =
            put_question(sentinel, inquiry->name, deadline_ms, fault, error);
    }
    redis_endpoint_free(sentinel);
    return reply;
}

static bool has_login(const struct redis_endpoint_options *login)
{
    return login->password_file != NULL && login->password_file[0] != '\0';
}

/*
 * First without the login: a server without passwords refuses it. To give it
 * to a sentinel gives nothing away: one that lies could have us log in to
 * itself anyway, as the master.
 */
static redisReply *ask_sentinel(struct inquiry *inquiry, int64_t deadline_ms)
{
    struct error error = {""};
    enum redis_fault fault;
    redisReply *reply = put_question(inquiry->sentinel, inquiry->name,
                                     deadline_ms, &fault, &error);

    if (reply != NULL && fault == REDIS_FAULT_LOGIN &&
        has_login(inquiry->login)) {
        freeReplyObject(reply);
        reply = put_question_as(inquiry, deadline_ms, &fault, &error);
    }
    if (reply == NULL && fault == REDIS_FAULT_LOGIN) {
        tell_login(inquiry, cause_of(&error));
    } else if (reply == NULL) {
        tell_silence(inquiry, &error);
    }
    return reply;
}

/* False: no answer, or one of no use; why tells. */
static bool ask_location(struct inquiry *inquiry, int64_t deadline_ms,
                         char location[LOCATION_SIZE])
{
    redisReply *reply = ask_sentinel(inquiry, deadline_ms);
    bool named = false;

    if (reply == NULL) {
        return false;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        tell_refusal(inquiry, reply);
    } else if (reply->type == REDIS_REPLY_NIL) {
        tell_unknown(inquiry);
    } else {
        named = read_location(reply, location);
        if (!named) {
            tell_nonsense(inquiry);
        }
    }
    freeReplyObject(reply);
    return named;
}

/* Whether the server calls itself master, or at least answers for itself. */
static bool is_master(struct redis_endpoint *master, int64_t deadline_ms,
                      struct error *error)
{
    struct redis_link *link;
    bool accepted = false;

    if (!redis_endpoint_resolve(master, error)) {
        return false;
    }
    link = redis_link_new(master);
    if (link == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    if (redis_link_open(link, deadline_ms, error)) {
        accepted = true;
    } else {
        enum redis_fault fault = redis_link_fault(link);

        accepted = fault != REDIS_FAULT_NONE && fault != REDIS_FAULT_MOVED_ON;
    }
    redis_link_free(link);
    return accepted;
}

/* New, or NULL: then why tells. */
static struct redis_endpoint *
check_master(struct inquiry *inquiry, int64_t deadline_ms, const char *location)
{
    struct redis_endpoint_options options = *inquiry->login;
    struct redis_endpoint *master;
    struct error error = {""};
    char shown[LOCATION_SIZE];

    options.location = location;
    master = redis_endpoint_new(&options, &error);
    if (master != NULL) {
        redis_endpoint_want_master(master);
        if (is_master(master, deadline_ms, &error)) {
            return master;
        }
    }
    if (wants_word(inquiry, true)) {
        (void)text_escape(text_of(location + strlen("tcp:")), shown,
                          sizeof shown);
        error_set(&inquiry->why,
                  "redis: sentinel %s names %.100s as the master: %.250s",
                  sentinel_of(inquiry), shown, cause_of(&error));
    }
    memcpy(inquiry->refused, location, strlen(location) + 1);
    redis_endpoint_free(master);
    return NULL;
}

static struct redis_endpoint *ask_one(struct inquiry *inquiry,
                                      int64_t deadline_ms)
{
    char location[LOCATION_SIZE];

    if (!ask_location(inquiry, deadline_ms, location) ||
        strcmp(location, inquiry->refused) == 0) {
        return NULL; /* as another said, and it was none */
    }
    return check_master(inquiry, deadline_ms, location);
}

/* ---- all of them --------------------------------------------------------- */

struct redis_endpoint *
redis_sentinels_ask(struct redis_sentinels *sentinels,
                    const struct redis_endpoint_options *login,
                    struct error *error)
{
    struct inquiry inquiry = {.name = sentinels->name, .login = login};
    int64_t end_ms = clock_monotonic_ms() + REDIS_SENTINELS_MS;
    size_t first = atomic_load(&sentinels->first);

    for (size_t i = 0; i < sentinels->count; i++) {
        size_t index = (first + i) % sentinels->count;
        struct redis_endpoint *master;
        struct error unresolved;
        int64_t now_ms;
        int64_t share_ms;

        inquiry.sentinel = sentinels->asked[index];
        if (!redis_endpoint_resolve(inquiry.sentinel, &unresolved)) {
            /* it may have an address from before */
            tell_silence(&inquiry, &unresolved);
        }
        now_ms = clock_monotonic_ms();
        share_ms = (end_ms - now_ms) / (int64_t)(sentinels->count - i);
        master = ask_one(&inquiry,
                         now_ms + (share_ms < SHARE_MS ? SHARE_MS : share_ms));
        if (master != NULL) {
            atomic_store(&sentinels->first, index);
            return master;
        }
    }
    error_set(error, "%s", inquiry.why.text);
    return NULL;
}

/* ---- most of them -------------------------------------------------------- */

struct votes {
    size_t count;
    struct {
        char location[LOCATION_SIZE];
        size_t sentinel; /* who named it first */
        size_t number;
    } named[REDIS_SENTINELS_MAX];
};

static void count_vote(struct votes *votes, const char *location,
                       size_t sentinel)
{
    size_t at = 0;

    while (at < votes->count &&
           strcmp(votes->named[at].location, location) != 0) {
        at++;
    }
    if (at == votes->count) {
        memcpy(votes->named[at].location, location, strlen(location) + 1);
        votes->named[at].sentinel = sentinel;
        votes->named[at].number = 0;
        votes->count++;
    }
    votes->named[at].number++;
}

/* Of as many votes the one that was named first. */
static size_t winner_of(const struct votes *votes)
{
    size_t winner = 0;

    for (size_t i = 1; i < votes->count; i++) {
        if (votes->named[i].number > votes->named[winner].number) {
            winner = i;
        }
    }
    return winner;
}

/* The location that it names; of a silent one the address may be another. */
static bool ask_for_vote(struct inquiry *inquiry, char location[LOCATION_SIZE])
{
    struct redis_address known[REDIS_ENDPOINT_ADDRESSES];
    const bool is_new = redis_endpoint_addresses(inquiry->sentinel, known) == 0;
    struct error unheard;
    bool named;

    if (is_new) {
        (void)redis_endpoint_resolve(inquiry->sentinel, &unheard);
    }
    named = ask_location(inquiry, clock_monotonic_ms() + SHARE_MS, location);
    if (!named && !is_new) { /* for the next time */
        (void)redis_endpoint_resolve(inquiry->sentinel, &unheard);
    }
    return named;
}

struct redis_endpoint *
redis_sentinels_vote(struct redis_sentinels *sentinels,
                     const struct redis_endpoint_options *login,
                     struct error *error)
{
    struct inquiry inquiry = {.name = sentinels->name, .login = login};
    struct votes votes = {.count = 0};
    size_t first = atomic_load(&sentinels->first);
    struct redis_endpoint *master = NULL;
    size_t winner;

    for (size_t i = 0; i < sentinels->count; i++) {
        size_t index = (first + i) % sentinels->count;
        char location[LOCATION_SIZE];

        inquiry.sentinel = sentinels->asked[index];
        if (ask_for_vote(&inquiry, location)) {
            count_vote(&votes, location, index);
        }
    }
    if (votes.count > 0) {
        winner = winner_of(&votes);
        master = check_master(&inquiry, clock_monotonic_ms() + SHARE_MS,
                              votes.named[winner].location);
        if (master != NULL) {
            atomic_store(&sentinels->first, votes.named[winner].sentinel);
        }
    }
    if (master == NULL) {
        error_set(error, "%s", inquiry.why.text);
    }
    return master;
}
