#include "trace_keyring.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

#define WORDS 3

/* --- the file's text ----------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* How many there are; at most WORDS + 1 are looked for. */
static size_t split(struct text line, struct text words[WORDS])
{
    const char *at = line.bytes;
    const char *end = line.bytes + line.length;
    size_t count = 0;

    for (;;) {
        const char *word;

        while (at < end && is_blank(*at)) {
            at++;
        }
        if (at == end || count > WORDS) {
            return count;
        }
        word = at;
        while (at < end && !is_blank(*at)) {
            at++;
        }
        if (count < WORDS) {
            words[count] = (struct text){word, (size_t)(at - word)};
        }
        count++;
    }
}

static bool take_kid(struct text word, unsigned *kid)
{
    unsigned number = 0;

    if (word.length < 1 || word.length > 2 ||
        (word.length == 2 && word.bytes[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < word.length; i++) {
        if (word.bytes[i] < '0' || word.bytes[i] > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(word.bytes[i] - '0');
    }
    *kid = number;
    return number < TRACE_KEY_NUMBERS;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool take_secret(struct text word, unsigned char secret[TRACE_KEY_SIZE])
{
    if (word.length != (size_t)2 * TRACE_KEY_SIZE) {
        return false;
    }
    for (size_t i = 0; i < TRACE_KEY_SIZE; i++) {
        int high = hex_value(word.bytes[2 * i]);
        int low = hex_value(word.bytes[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        secret[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static const struct trace_key *of_number(const struct trace_keyring *ring,
                                         unsigned kid)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].kid == kid) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

/* NULL, or what is wrong with the line. Numbers differ, so there is room. */
static const char *take_line(struct text line, struct trace_keyring *ring)
{
    struct text words[WORDS];
    unsigned char secret[TRACE_KEY_SIZE];
    int64_t created_us;
    unsigned kid;
    size_t count = split(line, words);

    if (count == 0 || words[0].bytes[0] == '#') {
        return NULL;
    }
    if (count != WORDS) {
        return "a key is a number, 64 hex digits and a time, one blank "
               "between them; copy the file once more";
    }
    if (!take_kid(words[0], &kid)) {
        return "the first word is the number of the key, 0 to 31";
    }
    if (of_number(ring, kid) != NULL) {
        return "the number of this key stands in a line above too; keep the "
               "line with the newer time";
    }
    if (!clock_parse(words[2].bytes, words[2].length, &created_us)) {
        return "the third word is when the key was made, such as "
               "2026-11-02T19:43:01Z";
    }
    if (!take_secret(words[1], secret)) {
        explicit_bzero(secret, sizeof secret);
        return "the second word is the key, 64 hex digits; copy the file "
               "once more";
    }
    trace_key_set(&ring->keys[ring->count++], kid, created_us, secret);
    explicit_bzero(secret, sizeof secret);
    return NULL;
}

bool trace_keyring_parse(struct text lines, const char *path,
                         struct trace_keyring *ring, struct error *error)
{
    const char *at = lines.bytes;
    const char *end = lines.bytes + lines.length;

    ring->count = 0;
    for (int number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop == NULL ? end : stop) - at);
        const char *fault = take_line((struct text){at, length}, ring);

        if (fault != NULL) {
            trace_keyring_wipe(ring);
            error_set(error, "%s:%d: %s", path, number, fault);
            return false;
        }
        at += length + (stop == NULL ? 0 : 1);
    }
    return true;
}

size_t trace_keyring_write(const struct trace_keyring *ring,
                           char text[TRACE_KEYRING_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    /* number, key and time; for each at most 96 of the 4096 bytes */
    int used = snprintf(text, TRACE_KEYRING_TEXT_SIZE,
                        "# keys of nixie: number, secret, time of making\n");

    for (size_t i = 0; used > 0 && i < ring->count; i++) {
        const struct trace_key *key = &ring->keys[i];
        char hex[2 * TRACE_KEY_SIZE + 1] = "";
        char created[CLOCK_TIMESTAMP_SIZE];

        for (size_t j = 0; j < TRACE_KEY_SIZE; j++) {
            hex[2 * j] = digits[key->secret[j] >> 4];
            hex[2 * j + 1] = digits[key->secret[j] & 15];
        }
        clock_format(key->created_us, created);
        used += snprintf(text + used, TRACE_KEYRING_TEXT_SIZE - (size_t)used,
                         "%u %s %s\n", key->kid, hex, created);
        explicit_bzero(hex, sizeof hex);
    }
    return used > 0 ? (size_t)used : 0;
}

/* --- which key ----------------------------------------------------------- */

static bool verifies(const struct trace_key *key, int64_t now_us)
{
    return key->created_us >= now_us - TRACE_KEY_LIFE_US;
}

const struct trace_key *trace_keyring_signer(const struct trace_keyring *ring,
                                             int64_t now_us)
{
    const struct trace_key *newest = NULL;

    for (size_t i = 0; i < ring->count; i++) {
        const struct trace_key *key = &ring->keys[i];

        if (verifies(key, now_us) && key->created_us <= now_us &&
            (newest == NULL || key->created_us > newest->created_us)) {
            newest = key;
        }
    }
    return newest;
}

const struct trace_key *trace_keyring_find(const struct trace_keyring *ring,
                                           unsigned kid, int64_t now_us)
{
    const struct trace_key *key = of_number(ring, kid);

    return key != NULL && verifies(key, now_us) ? key : NULL;
}

bool trace_keyring_is_due(const struct trace_keyring *ring, int64_t now_us)
{
    const struct trace_key *signer = trace_keyring_signer(ring, now_us);

    return signer == NULL || signer->created_us <= now_us - TRACE_KEY_ROTATE_US;
}

static void drop_old(struct trace_keyring *ring, int64_t now_us)
{
    size_t kept = 0;

    for (size_t i = 0; i < ring->count; i++) {
        if (verifies(&ring->keys[i], now_us)) {
            ring->keys[kept++] = ring->keys[i];
        }
    }
    for (size_t i = kept; i < ring->count; i++) {
        trace_key_wipe(&ring->keys[i]);
    }
    ring->count = kept;
}

/*
 * The next behind last that no key has: so the number of a key that was
 * dropped comes back as late as can be. TRACE_KEY_NUMBERS: all are taken.
 */
static unsigned free_number(const struct trace_keyring *ring, unsigned last)
{
    for (unsigned step = 1; step <= TRACE_KEY_NUMBERS; step++) {
        unsigned kid = (last + step) % TRACE_KEY_NUMBERS;

        if (of_number(ring, kid) == NULL) {
            return kid;
        }
    }
    return TRACE_KEY_NUMBERS;
}

const struct trace_key *trace_keyring_add(struct trace_keyring *ring,
                                          int64_t now_us, struct error *error)
{
    unsigned char secret[TRACE_KEY_SIZE];
    unsigned last = TRACE_KEY_NUMBERS - 1;
    int64_t newest_us = INT64_MIN;
    unsigned kid;

    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].created_us >= newest_us) {
            newest_us = ring->keys[i].created_us;
            last = ring->keys[i].kid;
        }
    }
    drop_old(ring, now_us);
    kid = free_number(ring, last);
    if (kid == TRACE_KEY_NUMBERS) {
        error_set(error, "all 32 numbers are taken by keys of the last 45 "
                         "days: remove a line from the file");
        return NULL;
    }
    if (!trace_random(secret, sizeof secret)) {
        error_set_errno(error, "no random numbers for a key");
        return NULL;
    }
    trace_key_set(&ring->keys[ring->count], kid, now_us, secret);
    explicit_bzero(secret, sizeof secret);
    return &ring->keys[ring->count++];
}

void trace_keyring_wipe(struct trace_keyring *ring)
{
    explicit_bzero(ring, sizeof *ring);
}
