/*
 * recorder_oracle.h - what the store must hold, told from the log alone
 *
 * Folds the lines of the log's files by the rules of nixie-redis(7), without
 * any code of the recorder, and compares with Redis key by key and field by
 * field. Each test that applies events ends with it.
 */
#ifndef NIXIE_TESTS_RECORDER_ORACLE_H
#define NIXIE_TESTS_RECORDER_ORACLE_H

#include "redis_link.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* New: {key: {field: value}}. */
json_t *oracle_new(void);

/* One line of the log. */
void oracle_fold_line(json_t *store, const char *prefix, const char *line,
                      size_t length);

/* All files whose path begins with event_log, each seq of an instance once. */
void oracle_fold_files(json_t *store, const char *prefix,
                       const char *event_log);

/* What Redis holds, but for checkpoints, as above; fails on other types. */
json_t *oracle_read(struct redis_link *redis);

/* Fails the test when they differ, and prints where. */
void oracle_compare(json_t *expected, json_t *found);

#endif
