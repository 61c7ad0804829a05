#include "trace_key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

bool trace_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;

    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= (size_t)got;
    }
    return true;
}

void trace_key_set(struct trace_key *key, unsigned kid, int64_t created_us,
                   const unsigned char secret[TRACE_KEY_SIZE])
{
    key->kid = kid;
    key->created_us = created_us;
    memcpy(key->secret, secret, TRACE_KEY_SIZE);
    hmac_sha256_set_key(&key->hmac, TRACE_KEY_SIZE, secret);
}

void trace_key_wipe(struct trace_key *key)
{
    explicit_bzero(key, sizeof *key);
}

void trace_key_sign(const struct trace_key *key, const struct text *parts,
                    size_t count, unsigned char *seal, size_t size)
{
    struct hmac_sha256_ctx hmac = key->hmac;

    for (size_t i = 0; i < count; i++) {
        if (parts[i].length > 0) {
            hmac_sha256_update(&hmac, parts[i].length,
                               (const uint8_t *)parts[i].bytes);
        }
    }
    hmac_sha256_digest(&hmac, size, seal);
    explicit_bzero(&hmac, sizeof hmac);
}
