#include "maillog_refused.h"

#include "fnv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4
#define SETS (MAILLOG_REFUSED / WAYS)

struct maillog_refused {
    struct set {
        uint64_t keys[WAYS]; /* 0: none */
        unsigned next;       /* the oldest */
    } sets[SETS];
};

struct maillog_refused *maillog_refused_new(void)
{
    return calloc(1, sizeof(struct maillog_refused));
}

void maillog_refused_free(struct maillog_refused *refused)
{
    free(refused);
}

static uint64_t add_to_hash(uint64_t hash, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];

        byte = byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
        hash = fnv_add_byte(hash, byte);
    }
    return (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

/*
 * Who is named without a domain gets one by what is known at that time, which
 * may differ: the name as it came is the key.
 */
static struct text name_of(const struct event *event)
{
    struct text typed = event->original_recipient;

    return typed.length > 0 && memchr(typed.bytes, '@', typed.length) == NULL
               ? typed
               : event->recipient;
}

/* 0: it has none. */
static uint64_t key_of(const struct event *event)
{
    struct text name = name_of(event);
    uint64_t hash = FNV_BEGIN;

    if (event->queue_id.length == 0 || name.length == 0) {
        return 0;
    }
    hash = add_to_hash(add_to_hash(hash, event->queue_id), name);
    return hash == 0 ? 1 : hash;
}

static size_t set_of(uint64_t key)
{
    return (size_t)(key >> 40) % SETS;
}

bool maillog_refused_has(const struct maillog_refused *refused,
                         const struct event *event)
{
    uint64_t key = key_of(event);

    for (size_t i = 0; key != 0 && i < WAYS; i++) {
        if (refused->sets[set_of(key)].keys[i] == key) {
            return true;
        }
    }
    return false;
}

void maillog_refused_add(struct maillog_refused *refused,
                         const struct event *event)
{
    uint64_t key = key_of(event);
    struct set *set = &refused->sets[set_of(key)];

    if (key != 0 && !maillog_refused_has(refused, event)) {
        set->keys[set->next] = key;
        set->next = (set->next + 1) % WAYS;
    }
}
