#include "lists_world.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

void news_take(void *context, bool available, const char *error)
{
    struct news *news = context;

    (void)pthread_mutex_lock(&news->lock);
    if (available) {
        news->closed++;
    } else {
        news->opened++;
        (void)snprintf(news->cause, sizeof news->cause, "%s", error);
    }
    if (available && error[0] != '\0') {
        abort(); /* the contract: "" when it closes */
    }
    (void)pthread_cond_broadcast(&news->came);
    (void)pthread_mutex_unlock(&news->lock);
}

void news_init(struct news *news)
{
    memset(news, 0, sizeof *news);
    assert_int_equal(pthread_mutex_init(&news->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&news->came, NULL), 0);
}

void news_await(struct news *news, unsigned opened, unsigned closed)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON / 1000;
    (void)pthread_mutex_lock(&news->lock);
    while (news->opened < opened || news->closed < closed) {
        if (pthread_cond_timedwait(&news->came, &news->lock, &until) != 0) {
            (void)pthread_mutex_unlock(&news->lock);
            fail_msg("no news: opened %u closed %u", opened, closed);
        }
    }
    (void)pthread_mutex_unlock(&news->lock);
    assert_int_equal(news->opened, opened);
    assert_int_equal(news->closed, closed);
}

int world_start(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    struct error error;

    if (world == NULL) {
        return -1;
    }
    world->server = redis_server_start(NULL);
    if (world->server == NULL) {
        return -1;
    }
    options.location = redis_server_location(world->server);
    world->endpoint = redis_endpoint_new(&options, &error);
    world->redis_cli = redis_link_new(world->endpoint);
    *state = world;
    return 0;
}

int world_stop(void **state)
{
    struct world *world = *state;

    redis_link_free(world->redis_cli);
    redis_endpoint_free(world->endpoint);
    redis_server_stop(world->server);
    free(world);
    return 0;
}

void world_operate_bytes(struct world *world, size_t argc,
                         const char *const *argv, const size_t *lengths)
{
    struct error error = {""};
    int64_t deadline_ms = clock_monotonic_ms() + SOON;
    redisReply *reply = NULL;

    if (redis_link_open(world->redis_cli, deadline_ms, &error)) {
        reply = redis_link_ask(world->redis_cli, deadline_ms, &error, argc,
                               argv, lengths);
    }
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s: %s", argv[0], reply == NULL ? error.text : reply->str);
    }
    freeReplyObject(reply);
}

void world_operate(struct world *world, const char *command)
{
    char words[512];
    const char *argv[16];
    size_t argc = 0;
    char *rest = words;
    char *word;

    assert_true(strlen(command) < sizeof words);
    memcpy(words, command, strlen(command) + 1);
    while (argc < 16 && (word = strsep(&rest, " ")) != NULL) {
        argv[argc++] = word;
    }
    world_operate_bytes(world, argc, argv, NULL);
}

int world_empty(void **state)
{
    world_operate(*state, "FLUSHALL");
    return 0;
}

struct suppression *lists_new(struct redis_endpoint *endpoint, int timeout_ms,
                              int connections, struct news *news)
{
    struct suppression_options options = {
        .endpoint = endpoint,
        .key_prefix = "nixie:",
        .timeout_ms = timeout_ms,
        .connections = connections,
        .store_changed = news == NULL ? NULL : news_take,
        .context = news,
    };
    struct error error = {""};
    struct suppression *list = suppression_new(&options, &error);

    assert_string_equal(error.text, "");
    assert_non_null(list);
    return list;
}

struct mailbox lists_mailbox(const char *address)
{
    struct mailbox mailbox;

    assert_int_equal(mailbox_parse(text_of(address), NULL, &mailbox),
                     MAILBOX_OK);
    return mailbox;
}

enum suppression_result lists_find(struct suppression *list,
                                   const char *address, const char *scope,
                                   struct suppression_entry *entry)
{
    struct mailbox mailbox = lists_mailbox(address);
    struct error error = {""};
    enum suppression_result result =
        suppression_find(list, &mailbox, scope, entry, &error);

    if (result == SUPPRESSION_UNAVAILABLE) {
        fail_msg("%s: %s", address, error.text);
    }
    return result;
}

int64_t lists_find_nothing(struct suppression *list, struct error *error)
{
    struct mailbox mailbox = lists_mailbox("ann@example.org");
    struct suppression_entry entry;
    int64_t start = clock_monotonic_ms();

    assert_int_equal(suppression_find(list, &mailbox, NULL, &entry, error),
                     SUPPRESSION_UNAVAILABLE);
    assert_string_not_equal(error->text, "");
    return clock_monotonic_ms() - start;
}
