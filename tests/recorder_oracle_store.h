/*
 * recorder_oracle_store.h - a store of the oracle's: what Redis does, in JSON
 *
 * A hash is {field: value}, a sorted set {member: score}, a list {"0": the
 * first, …}; when the key ends, in seconds since 1970, stands beside these.
 */
#ifndef NIXIE_TESTS_RECORDER_ORACLE_STORE_H
#define NIXIE_TESTS_RECORDER_ORACLE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define ORACLE_EXPIRES "(expires)"

/* NULL when there is none. */
const char *oracle_get(json_t *store, const char *key, const char *field);

/* value NULL or "": removes it, and a key that has no other. */
void oracle_set(json_t *store, const char *key, const char *field,
                const char *value);
void oracle_set_number(json_t *store, const char *key, const char *field,
                       int64_t value);
void oracle_add(json_t *store, const char *key, const char *field); /* one */
void oracle_add_number(json_t *store, const char *key, const char *field,
                       int64_t value);
void oracle_delete(json_t *store, const char *key);

/* A time that has passed deletes the key. */
void oracle_expire(json_t *store, const char *key, int64_t at);
void oracle_extend(json_t *store, const char *key, int64_t at); /* never less */

/* Puts value in front of a list, which keeps the first three. */
void oracle_push(json_t *store, const char *key, const char *value);

/* Removes members of a sorted set with scores below, or up to, this one. */
void oracle_forget(json_t *store, const char *key, int64_t score, bool itself);

#endif
