#include "trace_keys.h"

#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  65536 /* ours has at most 4096 bytes; room for comments */
#define FILE_MODE 0640

struct trace_keys {
    pthread_mutex_t lock; /* guards ring */
    struct trace_keyring ring;
    char *path; /* NULL: there is no file */
    char *folder;
    const char *name; /* in path, behind the folder */
    uid_t owner;
    gid_t group;
    bool is_loaded;
    struct stat seen; /* the file, when it was read */
};

static struct trace_keys *make(void)
{
    struct trace_keys *keys = calloc(1, sizeof *keys);

    if (keys != NULL && pthread_mutex_init(&keys->lock, NULL) != 0) {
        free(keys);
        keys = NULL;
    }
    return keys;
}

/* False: no memory. The folder of "/keys" is "/". */
static bool take_path(struct trace_keys *keys, const char *path)
{
    const char *slash;
    size_t length;

    keys->path = strdup(path);
    if (keys->path == NULL) {
        return false;
    }
    slash = strrchr(keys->path, '/');
    keys->name = slash == NULL ? keys->path : slash + 1;
    length = (size_t)(keys->name - keys->path);
    keys->folder =
        strndup(length == 0 ? "." : keys->path, length > 1 ? length - 1 : 1);
    return keys->folder != NULL;
}

struct trace_keys *trace_keys_new(const struct trace_keys_place *place)
{
    struct trace_keys *keys = make();

    if (keys == NULL) {
        return NULL;
    }
    keys->owner = place->owner;
    keys->group = place->group;
    if (!take_path(keys, place->path)) {
        trace_keys_free(keys);
        return NULL;
    }
    return keys;
}

struct trace_keys *trace_keys_of(struct text lines, struct error *error)
{
    struct trace_keys *keys = make();

    if (keys == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    if (!trace_keyring_parse(lines, "keys", &keys->ring, error)) {
        trace_keys_free(keys);
        return NULL;
    }
    return keys;
}

void trace_keys_free(struct trace_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&keys->lock);
    trace_keyring_wipe(&keys->ring);
    free(keys->path);
    free(keys->folder);
    free(keys);
}

/* --- reading the file ---------------------------------------------------- */

/* The file as it is now; -1 with errno. */
static int open_file(const struct trace_keys *keys, struct stat *status)
{
    int fd = open(keys->path,
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 && fstat(fd, status) != 0) {
        int cause = errno;

        (void)close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

static bool is_time_same(struct timespec one, struct timespec other)
{
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

/* ctime is in it: neither chmod(1) nor touch(1) hides a change. */
static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size &&
           is_time_same(one->st_mtim, other->st_mtim) &&
           is_time_same(one->st_ctim, other->st_ctim);
}

static bool check_file(const struct trace_keys *keys, const struct stat *status,
                       struct error *error)
{
    if (!S_ISREG(status->st_mode)) {
        error_set(error, "%s is no regular file: move it away", keys->path);
        return false;
    }
    if ((status->st_mode & S_IRWXO) != 0) {
        error_set(error,
                  "%s is open to others (mode %04o): chmod o-rwx %s, and make "
                  "a new key with 'nixie trace-key rotate' if somebody may "
                  "have read it",
                  keys->path, (unsigned)(status->st_mode & 07777), keys->path);
        return false;
    }
    if (status->st_uid != 0 && status->st_uid != geteuid() &&
        status->st_uid != keys->owner) {
        error_set(error, "%s belongs to user %ld: chown %ld %s", keys->path,
                  (long)status->st_uid, (long)keys->owner, keys->path);
        return false;
    }
    if (status->st_size > FILE_MAX) {
        error_set(error, "%s has more than %d bytes: it is no file of keys",
                  keys->path, FILE_MAX);
        return false;
    }
    return true;
}

/* Parsed beside the keys in use, which stay as they are if it fails. */
static bool read_ring(const struct trace_keys *keys, int fd,
                      struct trace_keyring *ring, struct error *error)
{
    char *bytes = malloc(FILE_MAX);
    ssize_t length = bytes == NULL ? -1 : small_file_read(fd, bytes, FILE_MAX);
    bool good = false;

    if (length < 0) {
        error_set_errno(error, "read %s", keys->path);
    } else {
        good = trace_keyring_parse((struct text){bytes, (size_t)length},
                                   keys->path, ring, error);
    }
    if (bytes != NULL) {
        explicit_bzero(bytes, FILE_MAX);
        free(bytes);
    }
    return good;
}

static void put_ring(struct trace_keys *keys, const struct trace_keyring *ring)
{
    (void)pthread_mutex_lock(&keys->lock);
    keys->ring = *ring;
    (void)pthread_mutex_unlock(&keys->lock);
}

static void tell_unopened(const struct trace_keys *keys, struct error *error)
{
    if (errno == ELOOP) {
        error_set(error, "%s is a symbolic link: name the file itself",
                  keys->path);
    } else if (errno == ENOENT) {
        error_set(error,
                  "%s is not there: copy it from a host that shares it, or "
                  "make a new one with 'nixie trace-key rotate'",
                  keys->path);
    } else {
        error_set_errno(error, "open %s", keys->path);
    }
}

/* *is_missing tells that there is no file, which is an error too. */
static enum trace_keys_result load(struct trace_keys *keys, bool *is_missing,
                                   struct error *error)
{
    struct trace_keyring ring = {0};
    struct stat status;
    int fd = open_file(keys, &status);
    enum trace_keys_result result = TRACE_KEYS_FAILED;

    *is_missing = fd < 0 && errno == ENOENT;
    if (fd < 0) {
        tell_unopened(keys, error);
        return TRACE_KEYS_FAILED;
    }
    if (keys->is_loaded && is_same_file(&status, &keys->seen)) {
        result = TRACE_KEYS_SAME;
    } else if (check_file(keys, &status, error) &&
               read_ring(keys, fd, &ring, error)) {
        put_ring(keys, &ring);
        keys->seen = status;
        keys->is_loaded = true;
        result = TRACE_KEYS_NEW;
    } else {
        keys->is_loaded = false; /* told again until it is mended */
    }
    (void)close(fd);
    trace_keyring_wipe(&ring);
    return result;
}

enum trace_keys_result trace_keys_load(struct trace_keys *keys,
                                       struct error *error)
{
    bool is_missing;

    return load(keys, &is_missing, error);
}

/* --- changing the file --------------------------------------------------- */

struct folder {
    int fd;
    char name_new[NAME_MAX + 1]; /* of the file until it is whole */
};

/* Locked: whoever changes the file, nixied or nixie, goes alone. */
static bool open_folder(const struct trace_keys *keys, struct folder *folder,
                        struct error *error)
{
    int length = snprintf(folder->name_new, sizeof folder->name_new, "%s.new",
                          keys->name);

    if (length < 0 || (size_t)length >= sizeof folder->name_new) {
        error_set(error, "%s: the name is too long", keys->path);
        return false;
    }
    folder->fd = open(keys->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        error_set_errno(error,
                        "%s: the folder %s cannot be opened, make it first",
                        keys->path, keys->folder);
        return false;
    }
    if (flock(folder->fd, LOCK_EX | LOCK_NB) != 0) {
        error_set_errno(error, "%s is being changed by another process",
                        keys->path);
        (void)close(folder->fd);
        return false;
    }
    return true;
}

static bool write_bytes(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

/*
 * Root gives the file to whom it belonged, or to nixied's user; without root
 * it is ours anyway, and the group is kept if we are in it.
 */
static bool hand_over(const struct trace_keys *keys, int fd,
                      const struct stat *before)
{
    uid_t owner = before == NULL ? keys->owner : before->st_uid;
    gid_t group = before == NULL ? keys->group : before->st_gid;
    mode_t mode = before == NULL ? FILE_MODE : before->st_mode & ALLPERMS;

    if (geteuid() == 0) {
        if (fchown(fd, owner, group) != 0) {
            return false;
        }
    } else if (before != NULL && fchown(fd, (uid_t)-1, group) != 0) {
        mode &= ~(mode_t)S_IRWXG; /* not for the group that it has now */
    }
    return fchmod(fd, mode) == 0;
}

/* Nothing half is ever under its name. before is NULL if it is not there. */
static bool write_ring(const struct trace_keys *keys,
                       const struct folder *folder,
                       const struct trace_keyring *ring,
                       const struct stat *before, struct error *error)
{
    char text[TRACE_KEYRING_TEXT_SIZE];
    size_t length = trace_keyring_write(ring, text);
    bool written;
    int fd;

    (void)unlinkat(folder->fd, folder->name_new, 0); /* of a crash */
    fd = openat(folder->fd, folder->name_new,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    written =
        fd >= 0 && write_bytes(fd, text, length) &&
        hand_over(keys, fd, before) && fsync(fd) == 0 &&
        renameat(folder->fd, folder->name_new, folder->fd, keys->name) == 0 &&
        fsync(folder->fd) == 0;
    if (!written) {
        error_set_errno(error, "write %s", keys->path);
        if (fd >= 0) {
            (void)unlinkat(folder->fd, folder->name_new, 0);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    explicit_bzero(text, sizeof text);
    return written;
}

/*
 * With the folder locked, so that what is read is what is changed. A file that
 * somebody removed, perhaps because it was stolen, begins anew: the keys in
 * memory are not brought back.
 */
static enum trace_keys_result change(struct trace_keys *keys,
                                     const struct folder *folder,
                                     int64_t now_us, bool at_once,
                                     struct error *error)
{
    struct trace_keyring ring = {0};
    bool is_missing;
    enum trace_keys_result result = load(keys, &is_missing, error);
    bool written;

    if (result == TRACE_KEYS_FAILED && !is_missing) {
        return TRACE_KEYS_FAILED;
    }
    if (!is_missing) {
        if (!at_once && !trace_keyring_is_due(&keys->ring, now_us)) {
            return result; /* another process was faster */
        }
        ring = keys->ring;
    }
    written =
        trace_keyring_add(&ring, now_us, error) != NULL &&
        write_ring(keys, folder, &ring, is_missing ? NULL : &keys->seen, error);
    trace_keyring_wipe(&ring);
    return written && load(keys, &is_missing, error) != TRACE_KEYS_FAILED
               ? TRACE_KEYS_NEW
               : TRACE_KEYS_FAILED;
}

static enum trace_keys_result lock_and_change(struct trace_keys *keys,
                                              int64_t now_us, bool at_once,
                                              struct error *error)
{
    struct folder folder;
    enum trace_keys_result result = TRACE_KEYS_FAILED;

    if (open_folder(keys, &folder, error)) {
        result = change(keys, &folder, now_us, at_once, error);
        (void)close(folder.fd); /* and with it the lock */
    }
    return result;
}

enum trace_keys_result trace_keys_rotate_if_due(struct trace_keys *keys,
                                                int64_t now_us,
                                                struct error *error)
{
    bool is_missing;
    enum trace_keys_result result = load(keys, &is_missing, error);

    if (is_missing) {
        return lock_and_change(keys, now_us, false, error);
    }
    if (result == TRACE_KEYS_FAILED ||
        !trace_keyring_is_due(&keys->ring, now_us)) {
        return result;
    }
    if (keys->seen.st_uid == geteuid()) {
        return lock_and_change(keys, now_us, false, error);
    }
    if (trace_keyring_signer(&keys->ring, now_us) == NULL) {
        error_set(error,
                  "%s has no key of the last 45 days, and belongs to user "
                  "%ld: bring a new one, or chown %ld %s",
                  keys->path, (long)keys->seen.st_uid, (long)keys->owner,
                  keys->path);
        return TRACE_KEYS_FAILED;
    }
    return result;
}

bool trace_keys_rotate(struct trace_keys *keys, int64_t now_us,
                       struct error *error)
{
    return lock_and_change(keys, now_us, true, error) != TRACE_KEYS_FAILED;
}

/* --- giving keys out ----------------------------------------------------- */

static bool give(const struct trace_key *key, struct trace_key *copy)
{
    if (key != NULL) {
        *copy = *key;
    }
    return key != NULL;
}

bool trace_keys_signer(struct trace_keys *keys, int64_t now_us,
                       struct trace_key *copy)
{
    bool given;

    if (keys == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&keys->lock);
    given = give(trace_keyring_signer(&keys->ring, now_us), copy);
    (void)pthread_mutex_unlock(&keys->lock);
    return given;
}

bool trace_keys_find(struct trace_keys *keys, unsigned kid, int64_t now_us,
                     struct trace_key *copy)
{
    bool given;

    if (keys == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&keys->lock);
    given = give(trace_keyring_find(&keys->ring, kid, now_us), copy);
    (void)pthread_mutex_unlock(&keys->lock);
    return given;
}

bool trace_keys_can_sign(struct trace_keys *keys, int64_t now_us)
{
    struct trace_key key;
    bool given = trace_keys_signer(keys, now_us, &key);

    explicit_bzero(&key, sizeof key);
    return given;
}

static enum trace_key_state state_of(const struct trace_keyring *ring,
                                     const struct trace_key *key,
                                     int64_t now_us)
{
    if (trace_keyring_find(ring, key->kid, now_us) == NULL) {
        return TRACE_KEY_OLD;
    }
    if (key->created_us > now_us) {
        return TRACE_KEY_FUTURE;
    }
    return trace_keyring_signer(ring, now_us) == key ? TRACE_KEY_SIGNS
                                                     : TRACE_KEY_VERIFIES;
}

size_t trace_keys_list(struct trace_keys *keys, int64_t now_us,
                       struct trace_key_facts facts[TRACE_KEY_NUMBERS])
{
    const struct trace_keyring *ring = &keys->ring;

    for (size_t i = 0; i < ring->count; i++) {
        facts[i] = (struct trace_key_facts){
            .kid = ring->keys[i].kid,
            .created_us = ring->keys[i].created_us,
            .state = state_of(ring, &ring->keys[i], now_us),
        };
    }
    return ring->count;
}
