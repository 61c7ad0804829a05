#include "list_seen.h"

#include "fnv.h"

#include <stdint.h>
#include <stdlib.h>

#define SLOTS_MIN ((size_t)1 << 16)
#define SLOTS_MAX ((size_t)1 << 24)

struct list_seen {
    uint64_t *slots; /* 0: free */
    size_t size;     /* a power of two */
    size_t count;
};

struct list_seen *list_seen_new(void)
{
    struct list_seen *seen = calloc(1, sizeof *seen);

    if (seen == NULL) {
        return NULL;
    }
    seen->size = SLOTS_MIN;
    seen->slots = calloc(seen->size, sizeof *seen->slots);
    if (seen->slots == NULL) {
        free(seen);
        return NULL;
    }
    return seen;
}

void list_seen_free(struct list_seen *seen)
{
    if (seen != NULL) {
        free(seen->slots);
        free(seen);
    }
}

/* Its bits mixed; never 0. Who makes keys meet gains but a
 * wrong line in a report. */
static uint64_t print_of(const struct store_key *key)
{
    uint64_t print = fnv_add(FNV_BEGIN, (struct text){key->text, key->length});

    print = (print ^ (print >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    print ^= print >> 33;
    return print == 0 ? 1 : print;
}

/* Where it is, or the free slot where it belongs. */
static size_t slot_of(const uint64_t *slots, size_t size, uint64_t print)
{
    size_t slot = (size_t)print & (size - 1);

    while (slots[slot] != 0 && slots[slot] != print) {
        slot = (slot + 1) & (size - 1);
    }
    return slot;
}

/* False: it stays as it is. */
static bool grow(struct list_seen *seen)
{
    size_t size = 2 * seen->size;
    uint64_t *slots;

    if (size > SLOTS_MAX) {
        return false;
    }
    slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < seen->size; i++) {
        if (seen->slots[i] != 0) {
            slots[slot_of(slots, size, seen->slots[i])] = seen->slots[i];
        }
    }
    free(seen->slots);
    seen->slots = slots;
    seen->size = size;
    return true;
}

bool list_seen_add(struct list_seen *seen, const struct store_key *key)
{
    uint64_t print = print_of(key);
    size_t slot = slot_of(seen->slots, seen->size, print);

    if (seen->slots[slot] == print) {
        return true;
    }
    if (seen->count >= seen->size / 4 * 3) {
        if (!grow(seen)) {
            return false;
        }
        slot = slot_of(seen->slots, seen->size, print);
    }
    seen->slots[slot] = print;
    seen->count++;
    return false;
}
