#include "event_id.h"

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

static inline char *write_hex(char *at, const unsigned char *bytes,
                              size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static void write_id(const unsigned char bytes[ID_BYTES],
                     char id[EVENT_ID_SIZE])
{
    char *at = write_hex(id, bytes, 4);

    *at++ = '-';
    at = write_hex(at, bytes + 4, 2);
    *at++ = '-';
    at = write_hex(at, bytes + 6, 2);
    *at++ = '-';
    at = write_hex(at, bytes + 8, 2);
    *at++ = '-';
    at = write_hex(at, bytes + 10, 6);
    *at = '\0';
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
