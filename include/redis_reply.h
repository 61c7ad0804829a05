/*
 * redis_reply.h - what is read from the replies to a login
 *
 * Owner    texts are borrowed from the reply.
 * Threads  any.
 */
#ifndef NIXIE_REDIS_REPLY_H
#define NIXIE_REDIS_REPLY_H

#include "text.h"

#include <hiredis/hiredis.h>

/* The text of an error reply, cut so that it does not hold the secret. */
struct text redis_reply_without(const redisReply *reply, struct text secret);

/* A text of a reply that is pairs of names and values, or NULL bytes. */
struct text redis_reply_pair(const redisReply *reply, const char *name);

#endif
