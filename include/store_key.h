/*
 * store_key.h - the names of our keys in Redis
 *
 * Lists      <prefix>suppress:<pattern>  <prefix>suppress@<scope>:<pattern>
 *            <prefix>allow:<pattern>     (and allow@<scope>:)
 * History    <prefix>{NN}:recipient:<address>   {NN}:strikes:<address>
 *            {NN}:strikes@<scope>:<address>   {NN}:strikes@*:<address>
 *            {NN}:evidence:<address>
 *            {NN}:domain:<domain>   {NN}:waiting:<domain>
 *            {NN}:seen:<trace_id>|<type>
 *            {NN}:stats:<YYYYMMDDHH>   {NN}:hour:<YYYYMMDDHH>
 *            {NN}:due   {NN}:breaker   {NN}:down   {NN}:checkpoint
 *            {NN}:forgotten   {NN}:known   {NN}:claim:<list key, no prefix>
 *
 * NN is two decimal digits: CRC16 (XMODEM, as Redis Cluster hashes) of the
 * normal form of the recipient, or of the domain for domain keys, mod 64.
 */
#ifndef NIXIE_STORE_KEY_H
#define NIXIE_STORE_KEY_H

#include "mailbox.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_BUCKETS    64
#define STORE_PREFIX_MAX 64
#define STORE_SCOPE_MAX  64
#define STORE_KEY_MAX    512 /* prefix, scope, kind, 323 bytes of a pattern */

/*
 * In place of a scope, of which it can be no name: requests about the list
 * for all stand apart from failures, as those about a scope's do.
 */
#define STORE_SCOPE_ALL "*"

uint16_t store_crc16(const char *bytes, size_t length);
unsigned store_bucket(const char *bytes, size_t length); /* 0 to 63 */

/* The bucket of a pattern: of its mailbox, of its domain, of its text. */
unsigned store_bucket_of_pattern(const struct mailbox_pattern *pattern);

struct store_key {
    char text[STORE_KEY_MAX];
    size_t length;
};

enum store_list { STORE_SUPPRESS, STORE_ALLOW };

/* 1 to STORE_SCOPE_MAX letters, digits, dots, hyphens, underscores. */
bool store_scope_is_valid(struct text scope);

/* scope NULL or "": for every scope. False: does not fit. */
bool store_key_list(const char *prefix, enum store_list list, const char *scope,
                    const struct mailbox_pattern *pattern,
                    struct store_key *key);

enum store_history {
    STORE_RECIPIENT,
    STORE_STRIKES,
    STORE_EVIDENCE,
    STORE_DOMAIN,
    STORE_WAITING,    /* name: the domain */
    STORE_STATS,      /* name: YYYYMMDDHH */
    STORE_HOUR,       /* name: YYYYMMDDHH */
    STORE_SEEN,       /* name: what is not to count again */
    STORE_DUE,        /* no name */
    STORE_BREAKER,    /* no name */
    STORE_DOWN,       /* no name */
    STORE_CHECKPOINT, /* no name */
    STORE_FORGOTTEN,  /* no name */
    STORE_KNOWN,      /* no name */
    STORE_CLAIM,      /* name: key of a list, without prefix */
};
bool store_key_history(const char *prefix, unsigned bucket,
                       enum store_history kind, struct text name,
                       struct store_key *key);

/*
 * Strikes for one scope's list; scope unknown or "": failures, for that for
 * all; STORE_SCOPE_ALL: requests, for that for all.
 */
bool store_key_strikes(const char *prefix, unsigned bucket, struct text scope,
                       struct text address, struct store_key *key);

/*
 * A field of {NN}:due is "<address>" or "<address> <scope>", of a domain
 * "@<domain>"; a value "<reason>" or "<reason>@<scope>", by whose policy.
 * scope is unknown where there is none, that of a field may be
 * STORE_SCOPE_ALL. In no address a blank is followed by what may be a scope.
 */
void store_due_field(struct text field, struct text *address,
                     struct text *scope);
void store_due_value(struct text value, struct text *reason,
                     struct text *scope);

#endif
