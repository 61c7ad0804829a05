#include "suppression_follow_begin.h"

#include "text.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CHANNEL "__redis__:invalidate"

enum suppression_follow_result suppression_follow_strange(struct error *error)
{
    error_set(error, "redis: unexpected reply while tracking keys");
    return SUPPRESSION_FOLLOW_BROKEN;
}

enum suppression_follow_result
suppression_follow_refused(const char *what, const redisReply *reply,
                           struct error *error)
{
    enum redis_fault fault = redis_fault_of(reply);
    char shown[256];

    if (reply->type != REDIS_REPLY_ERROR) {
        return suppression_follow_strange(error);
    }
    error_set(error, "redis: %s refused: %s", what,
              text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown));
    return fault == REDIS_FAULT_BUSY || fault == REDIS_FAULT_MOVED_ON
               ? SUPPRESSION_FOLLOW_BROKEN
               : SUPPRESSION_FOLLOW_REFUSED;
}

/* The number of the naming connection; 0 with error. */
static long long client_id(const struct suppression_follow_pair *pair,
                           int64_t deadline_ms, struct error *error,
                           enum suppression_follow_result *result)
{
    static const char *const words[] = {"CLIENT", "ID"};
    redisReply *reply =
        redis_link_ask(pair->naming, deadline_ms, error, 2, words, NULL);
    long long id = 0;

    if (reply == NULL) {
        *result = SUPPRESSION_FOLLOW_BROKEN;
    } else if (reply->type != REDIS_REPLY_INTEGER) {
        *result = suppression_follow_refused("CLIENT ID", reply, error);
    } else {
        id = reply->integer;
    }
    freeReplyObject(reply);
    return id;
}

static enum suppression_follow_result
subscribe(const struct suppression_follow_pair *pair, int64_t deadline_ms,
          struct error *error)
{
    static const char *const words[] = {"SUBSCRIBE", CHANNEL};
    redisReply *reply =
        redis_link_ask(pair->naming, deadline_ms, error, 2, words, NULL);
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;

    if (reply == NULL) {
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    if (reply->type != REDIS_REPLY_ARRAY) {
        result = suppression_follow_refused("SUBSCRIBE", reply, error);
    }
    freeReplyObject(reply);
    return result;
}

static enum suppression_follow_result
track(const struct suppression_follow_pair *pair, long long id,
      int64_t deadline_ms, struct error *error)
{
    char number[24];
    const char *words[] = {
        "CLIENT", "TRACKING",       "ON",     "REDIRECT",
        number,   "BCAST",          "PREFIX", pair->prefixes[0],
        "PREFIX", pair->prefixes[1]};
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;
    redisReply *reply;

    (void)snprintf(number, sizeof number, "%lld", id);
    reply = redis_link_ask(pair->asking, deadline_ms, error,
                           sizeof words / sizeof words[0], words, NULL);
    if (reply == NULL) {
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    if (reply->type != REDIS_REPLY_STATUS) {
        result = suppression_follow_refused("CLIENT TRACKING", reply, error);
    }
    freeReplyObject(reply);
    return result;
}

/* A client's number means something on one server alone. */
static bool is_one_server(const struct suppression_follow_pair *pair)
{
    struct sockaddr_storage peers[2];
    socklen_t lengths[2] = {sizeof peers[0], sizeof peers[1]};
    struct pollfd files[] = {redis_link_poll(pair->naming),
                             redis_link_poll(pair->asking)};

    memset(peers, 0, sizeof peers);
    for (size_t i = 0; i < 2; i++) {
        if (getpeername(files[i].fd, (struct sockaddr *)&peers[i],
                        &lengths[i]) != 0) {
            return false;
        }
    }
    return lengths[0] == lengths[1] &&
           memcmp(&peers[0], &peers[1], sizeof peers[0]) == 0;
}

enum suppression_follow_result
suppression_follow_begin(const struct suppression_follow_pair *pair,
                         int64_t deadline_ms, struct error *error)
{
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;
    long long id;

    if (!redis_link_open(pair->naming, deadline_ms, error) ||
        !redis_link_open(pair->asking, deadline_ms, error)) {
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    if (!is_one_server(pair)) {
        error_set(error, "redis: two connections lead to two servers");
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    id = client_id(pair, deadline_ms, error, &result);
    if (id != 0) {
        result = subscribe(pair, deadline_ms, error);
    }
    return result == SUPPRESSION_FOLLOW_GOES_ON
               ? track(pair, id, deadline_ms, error)
               : result;
}
