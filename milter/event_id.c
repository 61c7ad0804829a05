#include "event_id.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_BYTES 10 /* of one id */
#define ID_BYTES     16
#define POOL_SIZE    ((size_t)409 * RANDOM_BYTES) /* one system call for it */

struct event_id_source {
    pthread_mutex_t lock; /* guards the pool */
    unsigned char pool[POOL_SIZE];
    size_t used;
};

struct event_id_source *event_id_source_new(void)
{
    struct event_id_source *source = calloc(1, sizeof *source);

    if (source == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&source->lock, NULL) != 0) {
        free(source);
        return NULL;
    }
    source->used = sizeof source->pool;
    return source;
}

/* It waits only while the system starts; a signal may end it early. */
static void fill(struct event_id_source *source)
{
    size_t filled = 0;

    while (filled < sizeof source->pool) {
        ssize_t got =
            getrandom(source->pool + filled, sizeof source->pool - filled, 0);

        if (got < 0 && errno != EINTR) {
            break;
        }
        filled += got > 0 ? (size_t)got : 0;
    }
    source->used = 0;
}

static void take_random(struct event_id_source *source,
                        unsigned char bytes[RANDOM_BYTES])
{
    (void)pthread_mutex_lock(&source->lock);
    if (source->used == sizeof source->pool) {
        fill(source);
    }
    memcpy(bytes, source->pool + source->used, RANDOM_BYTES);
    source->used += RANDOM_BYTES;
    (void)pthread_mutex_unlock(&source->lock);
}

/* Eight digits of four bytes, all at once: each in a byte of a word. */
static inline void write_hex(char *at, const unsigned char *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint32_t number;
    uint64_t word;
    uint64_t letters;

    memcpy(&number, bytes, sizeof number);
    word = be32toh(number);
    word = (word << 16 | word) & UINT64_C(0x0000ffff0000ffff);
    word = (word << 8 | word) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word << 4 | word) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    letters = (word + 6 * ones) >> 4 & ones;
    word = htobe64(word + '0' * ones + ('a' - '0' - 10) * letters);
    memcpy(at, &word, sizeof word);
}

static void write_id(const unsigned char bytes[ID_BYTES],
                     char id[EVENT_ID_SIZE])
{
    char middle[16];

    write_hex(id, bytes);
    write_hex(middle, bytes + 4);
    write_hex(middle + 8, bytes + 8);
    for (size_t i = 0; i < 4; i++) {
        id[8 + 5 * i] = '-';
        memcpy(id + 9 + 5 * i, middle + 4 * i, 4);
    }
    write_hex(id + 28, bytes + 12);
    id[EVENT_ID_SIZE - 1] = '\0';
}

void event_id_make(struct event_id_source *source, int64_t timestamp_us,
                   char id[EVENT_ID_SIZE])
{
    uint64_t ms = timestamp_us > 0 ? (uint64_t)timestamp_us / 1000 : 0;
    unsigned char bytes[ID_BYTES];

    for (size_t i = 0; i < 6; i++) {
        bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
    }
    take_random(source, bytes + 6);
    bytes[6] = (unsigned char)(0x70 | (bytes[6] & 0x0f)); /* version */
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f)); /* variant */
    write_id(bytes, id);
}

void event_id_source_free(struct event_id_source *source)
{
    if (source != NULL) {
        (void)pthread_mutex_destroy(&source->lock);
        free(source);
    }
}
