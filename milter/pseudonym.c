#include "pseudonym.h"

#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_DIGITS   ((size_t)2 * PSEUDONYM_KEY_BYTES)
#define DIGEST_BYTES 32
#define NAME_CHARS   26 /* 130 bits of the digest */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char mark[] = "h-";
#define MARK_CHARS  (sizeof mark - 1)
#define LOCAL_CHARS (MARK_CHARS + NAME_CHARS)

/* ---- the key ---- */

static void path_of(const char *state_dir, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/privacy.key", state_dir);
}

static bool parse_digits(const char *digits, struct pseudonym_key *key)
{
    for (size_t i = 0; i < PSEUDONYM_KEY_BYTES; i++) {
        int high = g_ascii_xdigit_value(digits[2 * i]);
        int low = g_ascii_xdigit_value(digits[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        key->bytes[i] = (unsigned char)(16 * high + low);
    }
    return true;
}

bool pseudonym_key_load(struct pseudonym_key *key, const char *state_dir,
                        struct error *error)
{
    char path[PATH_MAX];
    char digits[KEY_DIGITS + 1] = "";
    struct stat status;
    ssize_t length;
    int fd;

    key->is_known = false;
    path_of(state_dir, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return true;
    }
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set_errno(error, "%s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    length = read(fd, digits, KEY_DIGITS);
    (void)close(fd);
    if ((status.st_mode & S_IRWXO) != 0) {
        error_set(error, "%s is open to all: chmod o= %s", path, path);
    } else if (length != (ssize_t)KEY_DIGITS || !parse_digits(digits, key)) {
        error_set(error,
                  "%s: 64 hex digits are a key; without the file a new "
                  "one is made",
                  path);
    } else {
        key->is_known = true;
    }
    explicit_bzero(digits, sizeof digits);
    return key->is_known;
}

bool pseudonym_key_make(struct pseudonym_key *key, const char *state_dir,
                        struct error *error)
{
    char path[PATH_MAX];
    char line[KEY_DIGITS + 2];

    if (key->is_known || !pseudonym_key_load(key, state_dir, error) ||
        key->is_known) {
        return key->is_known;
    }
    path_of(state_dir, path);
    if (getrandom(key->bytes, PSEUDONYM_KEY_BYTES, 0) != PSEUDONYM_KEY_BYTES) {
        error_set_errno(error, "no random numbers");
        return false;
    }
    for (size_t i = 0; i < PSEUDONYM_KEY_BYTES; i++) {
        (void)snprintf(line + 2 * i, sizeof line - 2 * i, "%02x",
                       key->bytes[i]);
    }
    line[KEY_DIGITS] = '\n';
    line[KEY_DIGITS + 1] = '\0';
    key->is_known = small_file_write(path, O_EXCL, line, error);
    explicit_bzero(line, sizeof line);
    return key->is_known;
}

void pseudonym_key_clear(struct pseudonym_key *key)
{
    explicit_bzero(key, sizeof *key);
}

/* ---- names ---- */

/* RFC 4648, lower case, of the first 130 bits. */
static void put_base32(const guchar *bytes, char text[NAME_CHARS + 1])
{
    for (size_t i = 0; i < NAME_CHARS; i++) {
        size_t bit = 5 * i;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

        text[i] = alphabet[pair >> (11 - bit % 8) & 31U];
    }
    text[NAME_CHARS] = '\0';
}

/* A domain has at most 255 bytes, so that it fits. */
void pseudonym_of_text(const struct pseudonym_key *key, struct text text,
                       const char *domain, char name[PSEUDONYM_SIZE])
{
    guchar digest[DIGEST_BYTES];
    gsize length = sizeof digest;
    char hash[NAME_CHARS + 1];
    GHmac *hmac =
        g_hmac_new(G_CHECKSUM_SHA256, key->bytes, PSEUDONYM_KEY_BYTES);

    g_hmac_update(hmac, (const guchar *)text.bytes, (gssize)text.length);
    g_hmac_get_digest(hmac, digest, &length);
    g_hmac_unref(hmac);
    put_base32(digest, hash);
    (void)snprintf(name, PSEUDONYM_SIZE, "%s%s%s%s", mark, hash,
                   domain[0] == '\0' ? "" : "@", domain);
}

static bool has_local_part(struct text name)
{
    if (name.length < LOCAL_CHARS || name.length >= PSEUDONYM_SIZE ||
        memcmp(name.bytes, mark, MARK_CHARS) != 0) {
        return false;
    }
    for (size_t i = MARK_CHARS; i < LOCAL_CHARS; i++) {
        if (name.bytes[i] == '\0' ||
            memchr(alphabet, name.bytes[i], sizeof alphabet - 1) == NULL) {
            return false;
        }
    }
    return true;
}

/* What is behind it is a domain in normal form, or nothing. */
bool pseudonym_is(struct text name)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox mailbox;

    if (!has_local_part(name) || name.length == LOCAL_CHARS) {
        return has_local_part(name);
    }
    return mailbox_parse(name, &as_it_is, &mailbox) == MAILBOX_OK &&
           mailbox.local_length == LOCAL_CHARS &&
           mailbox.address_length == name.length &&
           memcmp(mailbox.address, name.bytes, name.length) == 0;
}

bool pseudonym_of(const struct pseudonym_key *key,
                  const struct mailbox *mailbox, char name[PSEUDONYM_SIZE])
{
    const struct text address = {mailbox->address, mailbox->address_length};

    if (!key->is_known || address.length == 0) {
        return false;
    }
    if (pseudonym_is(address)) {
        (void)text_copy(address, name, PSEUDONYM_SIZE);
    } else {
        pseudonym_of_text(key, address, mailbox->domain, name);
    }
    return true;
}
