#include "suppression_names.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_FIRST 64
#define NAMES_KEPT  4096 /* of more the memory is given back */
#define BYTES_FIRST 4096

struct item {
    uint64_t fingerprint;
    size_t offset; /* in bytes */
    size_t length;
    bool was_present;
};

struct suppression_names {
    struct item *items;
    size_t count, size; /* size is a power of two */
    size_t *index;      /* twice size slots: number of an item from 1, or 0 */
    char *bytes;
    size_t bytes_used, bytes_size;
};

struct suppression_names *suppression_names_new(void)
{
    return calloc(1, sizeof(struct suppression_names));
}

static void release(struct suppression_names *names)
{
    free(names->items);
    free(names->index);
    free(names->bytes);
    memset(names, 0, sizeof *names);
}

void suppression_names_free(struct suppression_names *names)
{
    if (names == NULL) {
        return;
    }
    release(names);
    free(names);
}

/* Where the number of the item stands, or the empty slot for it. */
static size_t *find(const struct suppression_names *names, uint64_t fingerprint)
{
    size_t mask = 2 * names->size - 1;
    size_t slot = (size_t)(fingerprint >> 8) & mask;

    while (names->index[slot] != 0 &&
           names->items[names->index[slot] - 1].fingerprint != fingerprint) {
        slot = (slot + 1) & mask;
    }
    return &names->index[slot];
}

static bool have(const struct suppression_names *names, uint64_t fingerprint)
{
    return names->count > 0 && *find(names, fingerprint) != 0;
}

bool suppression_names_find(const struct suppression_names *names,
                            uint64_t fingerprint, struct suppression_name *name)
{
    if (!have(names, fingerprint)) {
        return false;
    }
    *name = suppression_names_at(names, *find(names, fingerprint) - 1);
    return true;
}

static bool grow_items(struct suppression_names *names)
{
    size_t size = names->size == 0 ? NAMES_FIRST : 2 * names->size;
    size_t *index = calloc(2 * size, sizeof *index);
    struct item *items =
        index == NULL ? NULL : realloc(names->items, size * sizeof *items);

    if (items == NULL) {
        free(index);
        return false;
    }
    free(names->index);
    names->index = index;
    names->items = items;
    names->size = size;
    for (size_t i = 0; i < names->count; i++) {
        *find(names, items[i].fingerprint) = i + 1;
    }
    return true;
}

static bool grow_bytes(struct suppression_names *names, size_t more)
{
    size_t size = names->bytes_size == 0 ? BYTES_FIRST : names->bytes_size;
    char *bytes;

    while (size - names->bytes_used < more) {
        size *= 2;
    }
    bytes = realloc(names->bytes, size);
    if (bytes == NULL) {
        return false;
    }
    names->bytes = bytes;
    names->bytes_size = size;
    return true;
}

bool suppression_names_add(struct suppression_names *names,
                           const struct suppression_name *name)
{
    if (have(names, name->fingerprint)) {
        return true;
    }
    if ((names->count == names->size && !grow_items(names)) ||
        (names->bytes_size - names->bytes_used < name->key.length &&
         !grow_bytes(names, name->key.length))) {
        return false;
    }
    names->items[names->count] =
        (struct item){name->fingerprint, names->bytes_used, name->key.length,
                      name->was_present};
    if (name->key.length > 0) {
        memcpy(names->bytes + names->bytes_used, name->key.bytes,
               name->key.length);
    }
    names->bytes_used += name->key.length;
    names->count++;
    *find(names, name->fingerprint) = names->count;
    return true;
}

size_t suppression_names_count(const struct suppression_names *names)
{
    return names->count;
}

struct suppression_name
suppression_names_at(const struct suppression_names *names, size_t index)
{
    const struct item *item = &names->items[index];

    return (struct suppression_name){
        .fingerprint = item->fingerprint,
        .key = {names->bytes + item->offset, item->length},
        .was_present = item->was_present,
    };
}

void suppression_names_clear(struct suppression_names *names)
{
    if (names->size > NAMES_KEPT) {
        release(names);
        return;
    }
    if (names->count > 0) {
        memset(names->index, 0, 2 * names->size * sizeof names->index[0]);
    }
    names->count = 0;
    names->bytes_used = 0;
}
