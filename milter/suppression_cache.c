#include "suppression_cache.h"

#include "siphash.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/*
 * The set is cut into PARTITIONS by the highest bits, each an open-addressing
 * table of its own: one that has to grow is built anew in the other of its two
 * areas, so that no more than a 256th of all is there twice.
 *
 * Readers take no lock. Each partition has a version, odd while the writer
 * moves what is there; a reader who finds it odd or changed looks again. The
 * writer stores with release and a reader loads with acquire: whoever has seen
 * a slot as it was changed sees that the version is another too. The memory
 * behind an old table stays mapped for ever, so a late reader finds zeros or a
 * newer table there, but never a fault, and its version tells it.
 */
#define PARTITIONS 256
#define SLOT_SIZE  sizeof(_Atomic uint64_t)
#define SPINS      64
#define PATIENCE   (SPINS + 64)

/* The lowest bit of a slot tells in which load it was last added. */
#define MARK UINT64_C(1)

typedef _Atomic uint64_t cache_slot;

struct partition {
    _Alignas(64) _Atomic uint64_t version;
    _Atomic(cache_slot *) slots;
    _Atomic size_t size; /* slots; 0: none yet */
    size_t used;         /* the writer's */
    unsigned area;       /* 0 or 1: where slots is */
};

struct suppression_cache {
    struct partition partitions[PARTITIONS];
    struct siphash_key key;
    unsigned char *areas; /* two of area_size for each partition */
    size_t area_size;
    size_t page; /* of memory; the least that a table has */
    size_t memory_max;
    uint64_t mark; /* 0 or MARK: of this load; the writer's, like the next */
    bool loading;
    suppression_kinds loaded; /* kinds that were added in this load */
    _Atomic suppression_kinds kinds;
    _Atomic size_t entries;
    _Atomic size_t bytes;
};

/* ---- where a fingerprint is ---------------------------------------------- */

static size_t number_of(uint64_t fingerprint)
{
    return (size_t)(fingerprint >> 56);
}

static size_t home_of(uint64_t slot, size_t size)
{
    return (size_t)((slot >> 24 & UINT32_MAX) * size >> 32);
}

static size_t next_to(size_t index, size_t size)
{
    return index + 1 == size ? 0 : index + 1;
}

static bool is_same(uint64_t slot, uint64_t fingerprint)
{
    return (slot & ~MARK) == fingerprint;
}

static uint64_t load_slot(cache_slot *slot)
{
    return atomic_load_explicit(slot, memory_order_acquire);
}

static void store_slot(cache_slot *slot, uint64_t value)
{
    atomic_store_explicit(slot, value, memory_order_release);
}

/* The slot it has, or the empty one it would take, or size: neither. */
static size_t find_slot(cache_slot *slots, size_t size, uint64_t fingerprint)
{
    size_t index = size == 0 ? 0 : home_of(fingerprint, size);

    for (size_t looked = 0; looked < size; looked++) {
        uint64_t slot = load_slot(&slots[index]);

        if (slot == 0 || is_same(slot, fingerprint)) {
            return index;
        }
        index = next_to(index, size);
    }
    return size;
}

uint64_t suppression_cache_fingerprint(const struct suppression_cache *cache,
                                       struct text key)
{
    uint64_t fingerprint = siphash(&cache->key, key) & ~MARK;

    return fingerprint == 0 ? MARK << 1 : fingerprint; /* 0 is an empty slot */
}

/* ---- readers ------------------------------------------------------------- */

/* False when the writer came in between. */
static bool look(struct partition *partition, uint64_t fingerprint, bool *has)
{
    uint64_t version =
        atomic_load_explicit(&partition->version, memory_order_acquire);
    cache_slot *slots =
        atomic_load_explicit(&partition->slots, memory_order_acquire);
    size_t size = atomic_load_explicit(&partition->size, memory_order_acquire);
    size_t index = find_slot(slots, size, fingerprint);

    *has = index < size && load_slot(&slots[index]) != 0;
    return version % 2 == 0 &&
           atomic_load_explicit(&partition->version, memory_order_relaxed) ==
               version;
}

static struct partition *partition_of(const struct suppression_cache *cache,
                                      uint64_t fingerprint)
{
    /* atomics are read through pointers that are not const */
    struct suppression_cache *all =
        (struct suppression_cache *)(uintptr_t)cache;

    return &all->partitions[number_of(fingerprint)];
}

bool suppression_cache_has(const struct suppression_cache *cache,
                           uint64_t fingerprint)
{
    struct partition *partition = partition_of(cache, fingerprint);
    bool has;

    for (unsigned tries = 0; tries < PATIENCE; tries++) {
        if (look(partition, fingerprint, &has)) {
            return has;
        }
        if (tries >= SPINS) {
            (void)sched_yield(); /* the writer has lost its processor */
        }
    }
    return true; /* nobody waits for it: Redis tells */
}

void suppression_cache_fetch(const struct suppression_cache *cache,
                             uint64_t fingerprint)
{
    struct partition *partition = partition_of(cache, fingerprint);
    cache_slot *slots =
        atomic_load_explicit(&partition->slots, memory_order_relaxed);
    size_t size = atomic_load_explicit(&partition->size, memory_order_relaxed);

    if (size > 0) {
        __builtin_prefetch(&slots[home_of(fingerprint, size)]);
    }
}

suppression_kinds suppression_cache_kinds(const struct suppression_cache *cache)
{
    return atomic_load_explicit(&cache->kinds, memory_order_acquire);
}

struct suppression_cache_count
suppression_cache_count(const struct suppression_cache *cache)
{
    return (struct suppression_cache_count){
        .entries = atomic_load_explicit(&cache->entries, memory_order_relaxed),
        .bytes = atomic_load_explicit(&cache->bytes, memory_order_relaxed),
    };
}

/* ---- the writer: one table ------------------------------------------------
 */

static void count(_Atomic size_t *counter, size_t more, size_t less)
{
    size_t now = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, now + more - less, memory_order_relaxed);
}

/* Readers look again from here on, and until end_change(). */
static void begin_change(struct partition *partition)
{
    uint64_t version =
        atomic_load_explicit(&partition->version, memory_order_relaxed);

    atomic_store_explicit(&partition->version, version + 1,
                          memory_order_relaxed);
}

static void end_change(struct partition *partition)
{
    uint64_t version =
        atomic_load_explicit(&partition->version, memory_order_relaxed);

    atomic_store_explicit(&partition->version, version + 1,
                          memory_order_release);
}

static size_t pages_of(const struct suppression_cache *cache, size_t slots)
{
    return (slots * SLOT_SIZE + cache->page - 1) / cache->page * cache->page;
}

static unsigned char *area_of(const struct suppression_cache *cache,
                              size_t number, unsigned area)
{
    return cache->areas + (number * 2 + area) * cache->area_size;
}

static cache_slot *slots_of(const struct suppression_cache *cache,
                            size_t number, unsigned area)
{
    return (cache_slot *)(void *)area_of(cache, number, area);
}

/* The kernel takes the pages back and puts zeros in their place. */
static void give_back(const struct suppression_cache *cache, size_t number,
                      unsigned area, size_t slots)
{
    if (slots > 0) {
        (void)madvise(area_of(cache, number, area), pages_of(cache, slots),
                      MADV_DONTNEED);
    }
}

static void publish(struct partition *partition, cache_slot *slots, size_t size)
{
    begin_change(partition);
    atomic_store_explicit(&partition->slots, slots, memory_order_release);
    atomic_store_explicit(&partition->size, size, memory_order_release);
    end_change(partition);
}

/* What is copied when a table is built anew: all, or the slots of this mark. */
struct kept {
    bool all;
    uint64_t mark;
};

static size_t copy_slots(struct partition *partition, struct kept kept,
                         cache_slot *to, size_t to_size)
{
    cache_slot *from = atomic_load(&partition->slots);
    size_t size = atomic_load(&partition->size);
    size_t copied = 0;

    for (size_t i = 0; i < size; i++) {
        uint64_t slot = load_slot(&from[i]);

        if (slot != 0 && (kept.all || (slot & MARK) == kept.mark)) {
            store_slot(&to[find_slot(to, to_size, slot & ~MARK)], slot);
            copied++;
        }
    }
    return copied;
}

/* Into the other area; false, and all is as it was, when it does not fit. */
static bool rebuild(struct suppression_cache *cache, size_t number,
                    struct kept kept, size_t size)
{
    struct partition *partition = &cache->partitions[number];
    size_t old_size = atomic_load(&partition->size);
    unsigned target = 1 - partition->area;
    size_t copied;

    if (pages_of(cache, size) > cache->area_size ||
        atomic_load(&cache->bytes) - pages_of(cache, old_size) +
                pages_of(cache, size) >
            cache->memory_max ||
        mprotect(area_of(cache, number, target), pages_of(cache, size),
                 PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    copied = copy_slots(partition, kept, slots_of(cache, number, target), size);
    publish(partition, slots_of(cache, number, target), size);
    give_back(cache, number, partition->area, old_size);
    count(&cache->entries, copied, partition->used);
    count(&cache->bytes, pages_of(cache, size), pages_of(cache, old_size));
    partition->area = target;
    partition->used = copied;
    return true;
}

/* Five of eight slots used, a whole number of pages. */
static size_t size_for(const struct suppression_cache *cache, size_t used)
{
    return pages_of(cache, used / 5 * 8 + 8) / SLOT_SIZE;
}

static const struct kept everything = {.all = true};

/* More than three of four slots used: looking takes too many steps. */
static bool make_room(struct suppression_cache *cache, size_t number)
{
    const struct partition *partition = &cache->partitions[number];
    size_t size = atomic_load(&partition->size);

    return (partition->used + 1) * 4 <= size * 3 ||
           rebuild(cache, number, everything,
                   size_for(cache, partition->used + 1));
}

void suppression_cache_add_kind(struct suppression_cache *cache,
                                suppression_kinds kind)
{
    suppression_kinds known =
        atomic_load_explicit(&cache->kinds, memory_order_relaxed);

    cache->loaded |= kind;
    if ((known & kind) != kind) {
        atomic_store_explicit(&cache->kinds, known | kind,
                              memory_order_release);
    }
}

bool suppression_cache_add(struct suppression_cache *cache,
                           uint64_t fingerprint)
{
    size_t number = number_of(fingerprint);
    struct partition *partition = &cache->partitions[number];
    cache_slot *slots = atomic_load(&partition->slots);
    size_t size = atomic_load(&partition->size);
    size_t index = find_slot(slots, size, fingerprint);

    if (index < size && load_slot(&slots[index]) != 0) {
        store_slot(&slots[index], fingerprint | cache->mark);
        return true;
    }
    if (!make_room(cache, number)) {
        return false;
    }
    slots = atomic_load(&partition->slots);
    size = atomic_load(&partition->size);
    /* one store into an empty slot: readers need not look again */
    store_slot(&slots[find_slot(slots, size, fingerprint)],
               fingerprint | cache->mark);
    partition->used++;
    count(&cache->entries, 1, 0);
    return true;
}

/*
 * Closes the gap: what stands behind it and would no longer be found from its
 * home moves forward, so that no slot is ever "deleted" and lookups stay short.
 */
static void close_gap(cache_slot *slots, size_t size, size_t gap)
{
    size_t index = gap;

    for (;;) {
        uint64_t slot;
        size_t home;

        index = next_to(index, size);
        slot = load_slot(&slots[index]);
        if (slot == 0) {
            break;
        }
        home = home_of(slot, size);
        if (gap <= index ? gap < home && home <= index
                         : gap < home || home <= index) {
            continue; /* its home lies behind the gap */
        }
        store_slot(&slots[gap], slot);
        gap = index;
    }
    store_slot(&slots[gap], 0);
}

void suppression_cache_remove(struct suppression_cache *cache,
                              uint64_t fingerprint)
{
    size_t number = number_of(fingerprint);
    struct partition *partition = &cache->partitions[number];
    cache_slot *slots = atomic_load(&partition->slots);
    size_t size = atomic_load(&partition->size);
    size_t index = find_slot(slots, size, fingerprint);

    if (index >= size || load_slot(&slots[index]) == 0) {
        return;
    }
    begin_change(partition);
    close_gap(slots, size, index);
    end_change(partition);
    partition->used--;
    count(&cache->entries, 0, 1);
    if (size * SLOT_SIZE > cache->page && partition->used * 2 < size) {
        (void)rebuild(cache, number, everything,
                      size_for(cache, partition->used));
    }
}

/* ---- the writer: all tables -----------------------------------------------
 */

void suppression_cache_clear(struct suppression_cache *cache)
{
    for (size_t number = 0; number < PARTITIONS; number++) {
        struct partition *partition = &cache->partitions[number];
        size_t size = atomic_load(&partition->size);

        publish(partition, atomic_load(&partition->slots), 0);
        give_back(cache, number, partition->area, size);
        count(&cache->entries, 0, partition->used);
        count(&cache->bytes, 0, pages_of(cache, size));
        partition->used = 0;
    }
    cache->loaded = 0;
    atomic_store_explicit(&cache->kinds, 0, memory_order_release);
}

/* What was added in a load that did not end is as old as the rest. */
static void forget_marks(struct partition *partition, uint64_t mark)
{
    cache_slot *slots = atomic_load(&partition->slots);
    size_t size = atomic_load(&partition->size);

    for (size_t i = 0; i < size; i++) {
        uint64_t slot = load_slot(&slots[i]);

        if (slot != 0 && (slot & MARK) == mark) {
            store_slot(&slots[i], slot ^ MARK);
        }
    }
}

void suppression_cache_begin_load(struct suppression_cache *cache)
{
    if (!cache->loading) {
        cache->mark ^= MARK;
    }
    for (size_t i = 0; cache->loading && i < PARTITIONS; i++) {
        forget_marks(&cache->partitions[i], cache->mark);
    }
    cache->loading = true;
    cache->loaded = 0;
}

static size_t count_marked(struct partition *partition, uint64_t mark)
{
    cache_slot *slots = atomic_load(&partition->slots);
    size_t size = atomic_load(&partition->size);
    size_t marked = 0;

    for (size_t i = 0; i < size; i++) {
        uint64_t slot = load_slot(&slots[i]);

        marked += slot != 0 && (slot & MARK) == mark;
    }
    return marked;
}

void suppression_cache_end_load(struct suppression_cache *cache)
{
    const struct kept kept = {.mark = cache->mark};

    cache->loading = false;
    for (size_t number = 0; number < PARTITIONS; number++) {
        struct partition *partition = &cache->partitions[number];
        size_t marked = count_marked(partition, cache->mark);

        if (marked < partition->used) {
            /* no memory for it: what is gone stays, and is asked for */
            (void)rebuild(cache, number, kept, size_for(cache, marked));
        }
    }
    atomic_store_explicit(&cache->kinds, cache->loaded, memory_order_release);
}

/* ---- new and free ----------------------------------------------------------
 */

static bool reserve(struct suppression_cache *cache, size_t memory_max)
{
    /* chance makes some partitions larger than others, but not by a quarter */
    size_t share = memory_max / PARTITIONS;
    void *areas;

    cache->page = (size_t)sysconf(_SC_PAGESIZE);
    cache->area_size =
        pages_of(cache, (share + share / 4) / SLOT_SIZE) + 4 * cache->page;
    areas = mmap(NULL, cache->area_size * 2 * PARTITIONS, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (areas == MAP_FAILED) {
        return false;
    }
    cache->areas = areas;
    return true;
}

static bool make_key(struct siphash_key *key)
{
    return getrandom(key->words, sizeof key->words, 0) ==
           (ssize_t)sizeof key->words;
}

struct suppression_cache *suppression_cache_new(size_t memory_max,
                                                struct error *error)
{
    struct suppression_cache *cache =
        aligned_alloc(_Alignof(struct suppression_cache), sizeof *cache);

    if (cache != NULL) {
        memset(cache, 0, sizeof *cache);
    }
    if (cache == NULL || !make_key(&cache->key) ||
        !reserve(cache, memory_max)) {
        error_set_errno(error, "no memory for the suppression cache");
        free(cache);
        return NULL;
    }
    cache->memory_max = memory_max;
    return cache;
}

void suppression_cache_free(struct suppression_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    (void)munmap(cache->areas, cache->area_size * 2 * PARTITIONS);
    free(cache);
}
