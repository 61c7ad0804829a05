/*
 * command_health.h - what Redis and the log say of how things are
 *
 * What `nixie health` tells, and `nixie why` of a recipient's domain.
 *
 * Source   the keys of store_key.h as nixied writes them; what an operator
 *          put in their place reads as nothing.
 * Errors   only when Redis does not answer, or refuses.
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_HEALTH_H
#define NIXIE_COMMAND_HEALTH_H

#include "clock.h"
#include "command.h"
#include "command_store.h"
#include "error.h"
#include "mailbox.h"
#include "quarantine_breaker.h"
#include "reason.h"
#include "store_key.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- questions ---- */

struct health_source {
    struct command_store *store;
    const char *key_prefix;
    struct error error;
};

/* Asks a key of the history, with up to three words behind it. */
bool health_ask(struct health_source *source, const char *verb,
                enum store_history kind, unsigned bucket, struct text name,
                const char *const *words, size_t count);

/* The next reply; of a key of another type an error reply. NULL: error. */
redisReply *health_take(struct health_source *source);

/* A number, 0 when the reply is none. False: error. */
bool health_take_number(struct health_source *source, int64_t *number);

/* Of HGETALL: its fields and values; *count 0 when it is no hash. */
size_t health_fields(const redisReply *hash);
void health_field(const redisReply *hash, size_t index, struct text *field,
                  struct text *value);
struct text health_value(const redisReply *hash, const char *field);

/* 0 when it is no number of ours. */
int64_t health_number(struct text text);

/* ---- breakers ---- */

/* Those of a {NN}:breaker that are open at now_us, behind what is there. */
void health_breakers_add(GArray *breakers, unsigned bucket,
                         const redisReply *hash, int64_t now_us);
json_t *health_breaker_json(const struct quarantine_breaker *breaker);

/* "user_unknown for example.org until 2026-11-21T20:30:58Z" */
#define HEALTH_BREAKER_SIZE 400
void health_breaker_text(const struct quarantine_breaker *breaker,
                         char text[HEALTH_BREAKER_SIZE]);

/* ---- a domain ---- */

struct health_domain {
    char name[MAILBOX_DOMAIN_MAX + 1];
    redisReply *hash; /* its history */
    int64_t waiting;  /* messages that were put off, one for a recipient */
    GArray *breakers; /* struct quarantine_breaker: for it, or for all */
};

/* False with source->error; to be cleared in any case. */
bool health_domain_read(struct health_source *source, struct text name,
                        int64_t now_us, struct health_domain *domain);
void health_domain_clear(struct health_domain *domain);
bool health_domain_is_down(const struct health_domain *domain);

void health_domain_print(const struct health_domain *domain);
json_t *health_domain_json(const struct health_domain *domain);

/* ---- the event log ---- */

struct health_beat {
    int64_t at_us; /* 0: there is none */
    int64_t applied_seq, lag_seconds;
    char cache_state[16]; /* "": it did not tell */
    int64_t cache_entries, cache_bytes, cache_age_seconds;
};

/* The last heartbeat of a file, or of the one before. False with error: it
 * cannot be read. */
bool health_beat_read(const char *path, struct health_beat *beat,
                      struct error *error);

/* ---- for tests ---- */

enum command_status command_health_at(const struct command_call *call,
                                      int64_t now_us);

#endif
