#include "reply_text_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BYTES_MAX 240 /* of a reply, and of its normal form */

struct entry {
    uint64_t hash;
    size_t shape_length; /* 0: free */
    size_t length;
    int code;
    char enhanced_status[ENHANCED_STATUS_SIZE];
    char shape[BYTES_MAX];
    char bytes[BYTES_MAX]; /* of the normal form, which is not cut */
};

struct reply_text_memory {
    struct entry entries[REPLY_TEXT_MEMORY_SIZE];
};

struct reply_text_memory *reply_text_memory_new(void)
{
    return calloc(1, sizeof(struct reply_text_memory));
}

void reply_text_memory_free(struct reply_text_memory *memory)
{
    free(memory);
}

/* --- shapes ------------------------------------------------------------ */

/* What stays of a reply: all but the names that are masked anyway. */
struct shape {
    size_t length;
    char bytes[BYTES_MAX];
};

static inline bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static inline bool is_of_name(char byte)
{
    return is_letter(byte) || is_digit(byte) || byte == '.' || byte == '-';
}

/* Not the beginning of a code, or of a URL. */
static bool begins_plainly(const char *at, const char *end)
{
    return at < end && is_letter(*at) && strncasecmp(at, "www.", 4) != 0;
}

/* Letters, digits, dots and dashes before and behind "@", between < and >. */
static bool is_plain_address(const char *begin, const char *at, const char *end)
{
    return begin[-1] == '<' && *end == '>' && begins_plainly(begin, at) &&
           at + 1 < end && is_of_name(at[1]) && end[-1] != '.' &&
           end[-1] != '-';
}

static inline void put(struct shape *shape, const char *bytes, size_t length)
{
    memcpy(shape->bytes + shape->length, bytes, length);
    shape->length += length;
}

/* <address> becomes <@>; false: there is another "@". */
static bool leave_out_addresses(struct text reply, struct shape *shape)
{
    const char *from = reply.bytes;
    const char *last = from + reply.length - 1;
    const char *at;

    while ((at = memchr(from, '@', (size_t)(last + 1 - from))) != NULL) {
        const char *begin = at;
        const char *end = at + 1;

        while (begin > from && is_of_name(begin[-1])) {
            begin--;
        }
        while (end < last && is_of_name(*end)) {
            end++;
        }
        if (begin == from || end > last || !is_plain_address(begin, at, end)) {
            return false;
        }
        put(shape, from, (size_t)(begin - from));
        put(shape, "@", 1);
        from = end;
    }
    put(shape, from, (size_t)(last + 1 - from));
    return true;
}

/* Where the address between brackets ends: four numbers; NULL: it is none. */
static const char *ipv4_end(const char *at, const char *end)
{
    unsigned dots = 0;
    bool after_digit = false;

    for (; at < end && (is_digit(*at) || (*at == '.' && after_digit)); at++) {
        dots += *at == '.';
        after_digit = *at != '.';
    }
    return at < end && *at == ']' && dots == 3 && after_digit ? at : NULL;
}

/*
 * Where the name of a host begins that ends at end, behind a blank: three
 * labels or more, and the last of letters alone; NULL: it is none.
 */
static const char *host_begin(const char *from, const char *end)
{
    const char *begin = end;
    unsigned dots = 0;

    while (begin > from && is_letter(begin[-1])) {
        begin--;
    }
    if (end - begin < 2) {
        return NULL;
    }
    for (; begin > from && is_of_name(begin[-1]); begin--) {
        if (begin[-1] == '.') {
            dots++;
            if (*begin == '.') {
                return NULL;
            }
        } else if (dots == 0) {
            return NULL; /* the last label has more than letters */
        }
    }
    return dots >= 2 && begin > from && begin[-1] == ' ' &&
                   begins_plainly(begin, end)
               ? begin
               : NULL;
}

/* "host[ip]" becomes "[@]": there is no other "@". */
static void leave_out_hosts(const struct shape *whole, struct shape *shape)
{
    const char *from = whole->bytes;
    const char *end = from + whole->length;
    const char *at = from;

    while ((at = memchr(at, '[', (size_t)(end - at))) != NULL) {
        const char *host = host_begin(from, at);
        const char *close = host == NULL ? NULL : ipv4_end(at + 1, end);

        if (close != NULL) {
            put(shape, from, (size_t)(host - from));
            put(shape, "[@", 2);
            from = close;
        }
        at = close == NULL ? at + 1 : close;
    }
    put(shape, from, (size_t)(end - from));
}

/*
 * False: the reply is long; or a name may be more in it than a name, such as
 * "x@[...]" or, at the very front, a type "x-...;" that ends behind one.
 */
static bool make_shape(struct text reply, struct shape *shape)
{
    struct shape whole = {.length = 0};

    shape->length = 0;
    if (reply.length == 0 || reply.length > BYTES_MAX ||
        !is_of_name(reply.bytes[0]) || (reply.bytes[0] | 0x20) == 'x' ||
        !leave_out_addresses(reply, &whole)) {
        return false;
    }
    leave_out_hosts(&whole, shape);
    return true;
}

/* --- normal forms ------------------------------------------------------ */

/* By words of eight bytes: it only says where to look. */
static uint64_t hash_of(const struct shape *shape)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = shape->length * odd;
    uint64_t word = 0;
    size_t at = 0;

    for (; at + sizeof word <= shape->length; at += sizeof word) {
        memcpy(&word, shape->bytes + at, sizeof word);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 29;
    }
    for (; at < shape->length; at++) {
        hash = (hash ^ (unsigned char)shape->bytes[at]) * odd;
    }
    return hash ^ hash >> 32;
}

static void remember(struct entry *entry, const struct shape *shape,
                     uint64_t hash, const struct reply_text *text)
{
    if (text->cut || text->length > BYTES_MAX) {
        return;
    }
    entry->hash = hash;
    entry->shape_length = shape->length;
    memcpy(entry->shape, shape->bytes, shape->length);
    entry->length = text->length;
    memcpy(entry->bytes, text->bytes, text->length);
    entry->code = text->code;
    memcpy(entry->enhanced_status, text->enhanced_status,
           sizeof entry->enhanced_status);
}

static void give(const struct entry *entry, struct reply_text *text)
{
    text->cut = false;
    text->code = entry->code;
    memcpy(text->enhanced_status, entry->enhanced_status,
           sizeof text->enhanced_status);
    text->length = entry->length;
    memcpy(text->bytes, entry->bytes, entry->length);
    text->bytes[text->length] = '\0';
}

void reply_text_memory_normalise(struct reply_text_memory *memory,
                                 struct text reply, struct reply_text *text)
{
    struct shape shape;
    struct entry *entry;
    uint64_t hash;

    if (memory == NULL || !make_shape(reply, &shape)) {
        reply_text_normalise(reply, text);
        return;
    }
    hash = hash_of(&shape);
    entry = &memory->entries[hash % REPLY_TEXT_MEMORY_SIZE];
    if (entry->hash == hash && entry->shape_length == shape.length &&
        memcmp(entry->shape, shape.bytes, shape.length) == 0) {
        give(entry, text);
        return;
    }
    reply_text_normalise(reply, text);
    remember(entry, &shape, hash, text);
}
