/*
 * fake_redis.h - a server that says what the test wants, on a Unix socket and
 * on a TCP port of 127.0.0.1
 *
 * Threads  it runs in one of its own; the functions are for any.
 */
#ifndef NIXIE_TESTS_FAKE_REDIS_H
#define NIXIE_TESTS_FAKE_REDIS_H

#include <stddef.h>

enum fake_redis_manner {
    FAKE_REDIS_EACH,    /* the bytes for each command */
    FAKE_REDIS_ONCE,    /* the bytes for the first command, then silence */
    FAKE_REDIS_CLOSE,   /* the same, then the end of the connection */
    FAKE_REDIS_TIRED,   /* for each of the first 8, at the next the end */
    FAKE_REDIS_DRIBBLE, /* the bytes over and over, one every 5 ms */
    FAKE_REDIS_HANG_UP, /* the end of the connection before any command */
    FAKE_REDIS_FLOOD,   /* the bytes over and over, as fast as they go */
    FAKE_REDIS_BLOCK,   /* 1 MiB of zeros first, reads after they are taken */
};

struct fake_redis_script {
    enum fake_redis_manner manner;
    const char *bytes;
    size_t length;
};

struct fake_redis;

/* New, or the test fails. */
struct fake_redis *fake_redis_start(struct fake_redis_script script);

/* From now on; also for connections that exist. */
void fake_redis_say(struct fake_redis *fake, struct fake_redis_script script);

const char *fake_redis_location(const struct fake_redis *fake);
int fake_redis_port(const struct fake_redis *fake);

/* Connections taken so far. */
unsigned fake_redis_connections(const struct fake_redis *fake);

/* Ends them all. */
void fake_redis_stop(struct fake_redis *fake); /* takes it, or NULL */

#endif
