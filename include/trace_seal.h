/*
 * trace_seal.h - what marks are made of: a head, seals and tags
 *
 * The head H has 9 bytes: version (3 bits) and number of the key (5 bits),
 * the day since 1970 (2 bytes), a random number of the message (6 bytes). Of a
 * message in a scope the version is 2, and the last 3 bytes of that number are
 * not random: they hide the scope's code, the first 3 bytes of the SHA-256 of
 * its name. Who sees marks learns that they have scopes, not which. H is in all
 * that is sealed, so a scope cannot be exchanged. Which name has the code is
 * for the configuration to say: marks outlive a reload.
 *
 * A seal has 10 bytes and a tag 8, the first of the HMAC of
 *
 *   "e" H recipient        the envelope id of a message with one recipient
 *   "e" H                  of a message with more
 *   "s" H recipient        the header of a message with one recipient
 *   "c" H seal number      32 bytes each, to hide the recipient in it
 *   "m" H tags             the header of a message with more; of one with
 *                          more than 50 there are no tags
 *   "r" H recipient        the tag of a recipient
 *   "n" H                  3 bytes, to hide the code in it, which is 0 here
 *
 * No recipient is empty, and H has one length, so that no two of them are the
 * HMAC of the same bytes. The seal covers the tags: none can be left out, and
 * a mark with tags does not become one without.
 *
 * Owner    arguments are borrowed.
 * Threads  any.
 */
#ifndef NIXIE_TRACE_SEAL_H
#define NIXIE_TRACE_SEAL_H

#include "text.h"
#include "trace_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_VERSION    1
#define TRACE_SCOPED     2 /* the version of a message in a scope */
#define TRACE_NONCE_SIZE 6
#define TRACE_SCOPE_SIZE 3 /* of the nonce */
#define TRACE_HEAD_SIZE  9
#define TRACE_SEAL_SIZE  10
#define TRACE_TAG_SIZE   8

#define TRACE_DAY_US  INT64_C(86400000000)
#define TRACE_DAY_MAX 65535 /* in the year 2149 */

struct trace_head {
    unsigned char bytes[TRACE_HEAD_SIZE];
};

/* -1: no day that a mark can have. */
int64_t trace_day_of(int64_t us);

/* False: no random numbers. */
bool trace_head_make(struct trace_head *head, unsigned kid, int64_t day);

/* Never 0, which stands for no scope. */
uint32_t trace_scope_code(struct text name);

/* Of a head that nothing was sealed with yet; code is not 0. */
void trace_head_set_scope(struct trace_head *head, const struct trace_key *key,
                          uint32_t code);

/* 0: it has none. To be believed only where a seal proves the head. */
uint32_t trace_head_scope(const struct trace_head *head,
                          const struct trace_key *key);

/* False: another version. */
bool trace_head_read(struct trace_head *head,
                     const unsigned char bytes[TRACE_HEAD_SIZE]);

unsigned trace_head_kid(const struct trace_head *head);
int64_t trace_head_day(const struct trace_head *head);
const unsigned char *trace_head_nonce(const struct trace_head *head);

/* recipient is empty for a message with more than one. */
void trace_seal_envelope(const struct trace_key *key,
                         const struct trace_head *head, struct text recipient,
                         unsigned char seal[TRACE_SEAL_SIZE]);

void trace_seal_single(const struct trace_key *key,
                       const struct trace_head *head, struct text recipient,
                       unsigned char seal[TRACE_SEAL_SIZE]);

/* Hides what stands in bytes, or shows it again. */
void trace_seal_cover(const struct trace_key *key,
                      const struct trace_head *head,
                      const unsigned char seal[TRACE_SEAL_SIZE],
                      unsigned char *bytes, size_t length);

void trace_seal_tags(const struct trace_key *key, const struct trace_head *head,
                     struct text tags, unsigned char seal[TRACE_SEAL_SIZE]);

void trace_seal_tag(const struct trace_key *key, const struct trace_head *head,
                    struct text recipient, unsigned char tag[TRACE_TAG_SIZE]);

/* In a time that tells nothing of where they differ. */
bool trace_seal_is_same(const unsigned char *one, const unsigned char *other,
                        size_t size);

/* Whether tag is one of them; all of them are looked at. */
bool trace_seal_has_tag(const unsigned char *tags, size_t count,
                        const unsigned char tag[TRACE_TAG_SIZE]);

#endif
