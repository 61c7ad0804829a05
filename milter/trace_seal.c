#include "trace_seal.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>

#define VERSION_SHIFT 5
#define KID_MASK      0x1fU
#define DAY_AT        1
#define NONCE_AT      3
#define SCOPE_AT      (TRACE_HEAD_SIZE - TRACE_SCOPE_SIZE)

#define COVER_SIZE 32 /* bytes of one HMAC */

/* --- the head ------------------------------------------------------------ */

int64_t trace_day_of(int64_t us)
{
    return us < 0 || us / TRACE_DAY_US > TRACE_DAY_MAX ? -1 : us / TRACE_DAY_US;
}

bool trace_head_make(struct trace_head *head, unsigned kid, int64_t day)
{
    head->bytes[0] =
        (unsigned char)(TRACE_VERSION << VERSION_SHIFT | (kid & KID_MASK));
    head->bytes[DAY_AT] = (unsigned char)(day >> 8 & 0xff);
    head->bytes[DAY_AT + 1] = (unsigned char)(day & 0xff);
    return trace_random(head->bytes + NONCE_AT, TRACE_NONCE_SIZE);
}

bool trace_head_read(struct trace_head *head,
                     const unsigned char bytes[TRACE_HEAD_SIZE])
{
    memcpy(head->bytes, bytes, TRACE_HEAD_SIZE);
    return bytes[0] >> VERSION_SHIFT == TRACE_VERSION ||
           bytes[0] >> VERSION_SHIFT == TRACE_SCOPED;
}

unsigned trace_head_kid(const struct trace_head *head)
{
    return head->bytes[0] & KID_MASK;
}

int64_t trace_head_day(const struct trace_head *head)
{
    return head->bytes[DAY_AT] << 8 | head->bytes[DAY_AT + 1];
}

const unsigned char *trace_head_nonce(const struct trace_head *head)
{
    return head->bytes + NONCE_AT;
}

/* --- seals --------------------------------------------------------------- */

struct seal {
    unsigned char *bytes;
    size_t size;
};

/* letter keeps apart what would else be the HMAC of the same bytes. */
static void sign(const struct trace_key *key, char letter,
                 const struct trace_head *head, struct text what,
                 struct seal seal)
{
    const struct text parts[] = {
        {&letter, 1},
        {(const char *)head->bytes, TRACE_HEAD_SIZE},
        what,
    };

    trace_key_sign(key, parts, 3, seal.bytes, seal.size);
}

/* --- the scope ----------------------------------------------------------- */

uint32_t trace_scope_code(struct text name)
{
    unsigned char digest[TRACE_SCOPE_SIZE];
    struct sha256_ctx sha;
    uint32_t code;

    sha256_init(&sha);
    sha256_update(&sha, name.length, (const uint8_t *)name.bytes);
    sha256_digest(&sha, sizeof digest, digest);
    code = (uint32_t)digest[0] << 16 | (uint32_t)digest[1] << 8 | digest[2];
    return code == 0 ? 1 : code;
}

/* What hides the code: of the head without it. */
static uint32_t scope_cover(const struct trace_head *head,
                            const struct trace_key *key)
{
    struct trace_head bare = *head;
    unsigned char cover[TRACE_SCOPE_SIZE];

    memset(bare.bytes + SCOPE_AT, 0, TRACE_SCOPE_SIZE);
    sign(key, 'n', &bare, (struct text){"", 0},
         (struct seal){cover, sizeof cover});
    return (uint32_t)cover[0] << 16 | (uint32_t)cover[1] << 8 | cover[2];
}

void trace_head_set_scope(struct trace_head *head, const struct trace_key *key,
                          uint32_t code)
{
    uint32_t hidden;

    head->bytes[0] = (unsigned char)(TRACE_SCOPED << VERSION_SHIFT |
                                     (head->bytes[0] & KID_MASK));
    hidden = code ^ scope_cover(head, key);
    head->bytes[SCOPE_AT] = (unsigned char)(hidden >> 16 & 0xffU);
    head->bytes[SCOPE_AT + 1] = (unsigned char)(hidden >> 8 & 0xffU);
    head->bytes[SCOPE_AT + 2] = (unsigned char)(hidden & 0xffU);
}

uint32_t trace_head_scope(const struct trace_head *head,
                          const struct trace_key *key)
{
    const unsigned char *hidden = head->bytes + SCOPE_AT;

    if (head->bytes[0] >> VERSION_SHIFT != TRACE_SCOPED) {
        return 0;
    }
    return ((uint32_t)hidden[0] << 16 | (uint32_t)hidden[1] << 8 | hidden[2]) ^
           scope_cover(head, key);
}

/* --- what is sealed ------------------------------------------------------ */

void trace_seal_envelope(const struct trace_key *key,
                         const struct trace_head *head, struct text recipient,
                         unsigned char seal[TRACE_SEAL_SIZE])
{
    sign(key, 'e', head, recipient, (struct seal){seal, TRACE_SEAL_SIZE});
}

void trace_seal_single(const struct trace_key *key,
                       const struct trace_head *head, struct text recipient,
                       unsigned char seal[TRACE_SEAL_SIZE])
{
    sign(key, 's', head, recipient, (struct seal){seal, TRACE_SEAL_SIZE});
}

void trace_seal_cover(const struct trace_key *key,
                      const struct trace_head *head,
                      const unsigned char seal[TRACE_SEAL_SIZE],
                      unsigned char *bytes, size_t length)
{
    unsigned char cover[COVER_SIZE];
    unsigned char what[TRACE_SEAL_SIZE + 1];

    memcpy(what, seal, TRACE_SEAL_SIZE);
    what[TRACE_SEAL_SIZE] = 0;
    for (size_t i = 0; i < length; i++) {
        if (i % COVER_SIZE == 0) {
            sign(key, 'c', head, (struct text){(const char *)what, sizeof what},
                 (struct seal){cover, COVER_SIZE});
            what[TRACE_SEAL_SIZE]++;
        }
        bytes[i] ^= cover[i % COVER_SIZE];
    }
}

void trace_seal_tags(const struct trace_key *key, const struct trace_head *head,
                     struct text tags, unsigned char seal[TRACE_SEAL_SIZE])
{
    sign(key, 'm', head, tags, (struct seal){seal, TRACE_SEAL_SIZE});
}

void trace_seal_tag(const struct trace_key *key, const struct trace_head *head,
                    struct text recipient, unsigned char tag[TRACE_TAG_SIZE])
{
    sign(key, 'r', head, recipient, (struct seal){tag, TRACE_TAG_SIZE});
}

/* --- comparing ----------------------------------------------------------- */

bool trace_seal_is_same(const unsigned char *one, const unsigned char *other,
                        size_t size)
{
    return memeql_sec(one, other, size) != 0;
}

bool trace_seal_has_tag(const unsigned char *tags, size_t count,
                        const unsigned char tag[TRACE_TAG_SIZE])
{
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        found |= (unsigned)trace_seal_is_same(tags + i * TRACE_TAG_SIZE, tag,
                                              TRACE_TAG_SIZE);
    }
    return found != 0;
}
