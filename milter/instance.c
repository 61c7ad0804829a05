#include "instance.h"

#include "clock.h"
#include "lock_file.h"
#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define FILE_NAME    "instance"
#define FILE_NEW     "instance.new"
#define FILE_DAMAGED "instance.damaged"
#define NUMBER_NAME  "file_number"
#define NUMBER_NEW   "file_number.new"
#define LOCK_NAME    "lock"
#define FILE_MAX     4096 /* ours has some 150 bytes */

#define BLOCK INT64_C(1000000)
/* Exact in a double. The clock and what is seen stay a year below. */
#define SEQ_MAX   ((INT64_C(1) << 53) - 1)
#define SEQ_LIMIT (SEQ_MAX - (INT64_C(1) << 45))
#define RETRY_MS  1000

#define MACHINE_ID_FILE "/etc/machine-id"
#define MACHINE_ID_SIZE 64

struct identity {
    char instance[INSTANCE_ID_SIZE];
    char machine_id[MACHINE_ID_SIZE];
    int64_t inode; /* of the state directory */
    int64_t next_seq;
};

struct instance {
    struct identity identity; /* as on disk, or as it is to be */
    char *state_dir;
    int folder;
    int lock;
    int64_t next;        /* the number to be given next */
    int64_t reserved;    /* numbers below it are taken on disk */
    int64_t file_number; /* the highest that was kept, or is to be */
    bool failing;        /* the last reservation failed */
    bool untold;         /* fault is still to be told */
    int64_t retry_ms;
    struct error fault;
};

static bool is_id(const char *text)
{
    return strlen(text) == INSTANCE_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == INSTANCE_ID_SIZE - 1;
}

static bool new_id(char id[INSTANCE_ID_SIZE], struct error *error)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        error_set_errno(error, "no random numbers for the instance id");
        return false;
    }
    (void)snprintf(id, INSTANCE_ID_SIZE, "%016llx", (unsigned long long)random);
    return true;
}

/* Reads at most size - 1 bytes, and a NUL; -1 with errno. */
static ssize_t read_text(int fd, char *text, size_t size)
{
    ssize_t length = small_file_read(fd, text, size - 1);

    text[length < 0 ? 0 : length] = '\0';
    return length;
}

static bool write_text(int fd, const char *text, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t put = write(fd, text + done, length - done);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        done += (size_t)put;
    }
    return true;
}

/* "" where there is none: the inode of the directory must do then. */
static void read_machine_id(char id[MACHINE_ID_SIZE])
{
    int fd = open(MACHINE_ID_FILE, O_RDONLY | O_CLOEXEC);

    id[0] = '\0';
    if (fd < 0) {
        return;
    }
    if (read_text(fd, id, MACHINE_ID_SIZE) < 0) {
        id[0] = '\0';
    }
    id[strspn(id, "0123456789abcdefABCDEF")] = '\0';
    (void)close(fd);
}

static bool take_lock(struct instance *instance, struct error *error)
{
    long pid;

    switch (
        lock_file_take(instance->folder, LOCK_NAME, &instance->lock, &pid)) {
    case LOCK_FILE_TAKEN:
        return true;
    case LOCK_FILE_FAULTY:
        error_set_errno(error, "lock %s/" LOCK_NAME, instance->state_dir);
        break;
    case LOCK_FILE_HELD:
        if (pid > 0) {
            error_set(error,
                      "%s is in use by process %ld, another nixied: "
                      "stop that one, or give this one another state_dir",
                      instance->state_dir, pid);
        } else {
            error_set(error,
                      "%s is in use by another process: stop that one, or "
                      "give this nixied another state_dir",
                      instance->state_dir);
        }
        break;
    }
    return false;
}

static bool take_text(const json_t *object, const char *name, char *text,
                      size_t size)
{
    const char *value = json_string_value(json_object_get(object, name));

    if (value == NULL || strlen(value) >= size) {
        return false;
    }
    memcpy(text, value, strlen(value) + 1);
    return true;
}

static bool take_integer(const json_t *object, const char *name, int64_t *value)
{
    const json_t *member = json_object_get(object, name);

    if (!json_is_integer(member)) {
        return false;
    }
    *value = json_integer_value(member);
    return true;
}

static bool identity_parse(const char *text, size_t length,
                           struct identity *identity)
{
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(object) &&
                take_text(object, "instance", identity->instance,
                          sizeof identity->instance) &&
                take_text(object, "machine_id", identity->machine_id,
                          sizeof identity->machine_id) &&
                take_integer(object, "inode", &identity->inode) &&
                take_integer(object, "next_seq", &identity->next_seq) &&
                is_id(identity->instance) && identity->next_seq > 0 &&
                identity->next_seq <= SEQ_MAX;

    json_decref(object);
    return good;
}

/* All of a file of at most FILE_MAX bytes; its length, -1 with errno. */
static ssize_t read_file(const struct instance *instance, const char *name,
                         char text[FILE_MAX + 1])
{
    int fd = openat(instance->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length;
    int cause;

    if (fd < 0) {
        return -1;
    }
    length = read_text(fd, text, FILE_MAX + 1);
    cause = errno;
    (void)close(fd);
    errno = cause;
    return length;
}

enum load_result { LOADED, ABSENT, DAMAGED, UNREADABLE };

static enum load_result identity_load(const struct instance *instance,
                                      struct identity *identity)
{
    char text[FILE_MAX + 1];
    ssize_t length = read_file(instance, FILE_NAME, text);

    if (length < 0) {
        return errno == ENOENT ? ABSENT : UNREADABLE;
    }
    return identity_parse(text, (size_t)length, identity) ? LOADED : DAMAGED;
}

static char *identity_dump(const struct identity *identity)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:I}", "instance", identity->instance, "machine_id",
        identity->machine_id, "inode", (json_int_t)identity->inode, "next_seq",
        (json_int_t)identity->next_seq);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    json_decref(object);
    return text;
}

struct destination {
    const char *name;
    const char *name_new; /* until it is whole */
    bool synced;          /* on disk when it is written */
};

/* Takes text, NULL for want of memory. Nothing half is ever under its name. */
static bool write_file(const struct instance *instance,
                       const struct destination *to, char *text,
                       struct error *error)
{
    int fd = -1;
    bool saved = false;

    if (text == NULL) {
        errno = ENOMEM;
        goto out;
    }
    fd = openat(instance->folder, to->name_new,
                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    saved = fd >= 0 && write_text(fd, text, strlen(text)) &&
            write_text(fd, "\n", 1) && (!to->synced || fsync(fd) == 0) &&
            renameat(instance->folder, to->name_new, instance->folder,
                     to->name) == 0 &&
            (!to->synced || fsync(instance->folder) == 0);
out:
    if (!saved) {
        error_set_errno(error, "write %s/%s", instance->state_dir, to->name);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(text);
    return saved;
}

static bool identity_save(const struct instance *instance,
                          const struct identity *identity, struct error *error)
{
    static const struct destination to = {FILE_NAME, FILE_NEW, true};

    return write_file(instance, &to, identity_dump(identity), error);
}

static bool reserve(struct instance *instance, struct error *error)
{
    struct identity wanted = instance->identity;

    wanted.next_seq = instance->next + BLOCK;
    if (!identity_save(instance, &wanted, error)) {
        return false;
    }
    /* not the id: other threads read it */
    instance->identity.next_seq = wanted.next_seq;
    instance->reserved = wanted.next_seq;
    return true;
}

static void reserve_or_note(struct instance *instance)
{
    bool failed = !reserve(instance, &instance->fault);

    if (failed) {
        instance->untold = instance->untold || !instance->failing;
        instance->retry_ms = clock_monotonic_ms() + RETRY_MS;
    }
    instance->failing = failed;
}

/* The clock, unless it is set where numbers would leave their range. */
static int64_t clock_seq(void)
{
    int64_t now_us = clock_now_us();

    return now_us > 0 && now_us < SEQ_LIMIT ? now_us : 1;
}

static bool identity_renew(struct instance *instance, int64_t inode,
                           const char *machine_id, struct error *error)
{
    struct identity *identity = &instance->identity;

    memset(identity, 0, sizeof *identity);
    if (!new_id(identity->instance, error)) {
        return false;
    }
    (void)snprintf(identity->machine_id, sizeof identity->machine_id, "%s",
                   machine_id);
    identity->inode = inode;
    /* an id that is not on disk would be another one at the next start */
    return reserve(instance, error);
}

static bool take_identity(struct instance *instance, int64_t inode,
                          struct error *error)
{
    char machine_id[MACHINE_ID_SIZE];
    struct identity *identity = &instance->identity;

    read_machine_id(machine_id);
    instance->next = clock_seq();
    switch (identity_load(instance, identity)) {
    case UNREADABLE:
        error_set_errno(error, "read %s/" FILE_NAME, instance->state_dir);
        return false;
    case DAMAGED:
        if (renameat(instance->folder, FILE_NAME, instance->folder,
                     FILE_DAMAGED) != 0) {
            error_set_errno(error, "%s/" FILE_NAME " is damaged; rename it",
                            instance->state_dir);
            return false;
        }
        return identity_renew(instance, inode, machine_id, error);
    case ABSENT:
        return identity_renew(instance, inode, machine_id, error);
    case LOADED:
        break;
    }
    if (identity->inode != inode ||
        strcmp(identity->machine_id, machine_id) != 0) {
        return identity_renew(instance, inode, machine_id, error);
    }
    if (identity->next_seq > instance->next) {
        instance->next = identity->next_seq;
    }
    reserve_or_note(instance);
    return true;
}

/*
 * Of this identity: a copied directory brings that of another. Garbage, or
 * none, is no fault: the files of the log tell the number too.
 */
static void take_file_number(struct instance *instance)
{
    char text[FILE_MAX + 1], id[INSTANCE_ID_SIZE];
    ssize_t length = read_file(instance, NUMBER_NAME, text);
    json_t *object = length < 0 ? NULL
                                : json_loadb(text, (size_t)length,
                                             JSON_REJECT_DUPLICATES, NULL);
    int64_t number;

    if (json_is_object(object) &&
        take_text(object, "instance", id, sizeof id) &&
        strcmp(id, instance->identity.instance) == 0 &&
        take_integer(object, "file_number", &number) && number > 0 &&
        number <= SEQ_LIMIT) {
        instance->file_number = number;
    }
    json_decref(object);
}

static bool open_folder(struct instance *instance, struct stat *status,
                        struct error *error)
{
    instance->folder =
        open(instance->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (instance->folder < 0 || fstat(instance->folder, status) != 0) {
        error_set_errno(error, "open %s", instance->state_dir);
        return false;
    }
    return true;
}

struct instance *instance_open(const char *state_dir, struct error *error)
{
    struct instance *instance = calloc(1, sizeof *instance);
    struct stat status;

    if (instance == NULL) {
        error_set_errno(error, "open %s", state_dir);
        return NULL;
    }
    instance->folder = -1;
    instance->lock = -1;
    instance->state_dir = strdup(state_dir);
    if (instance->state_dir == NULL) {
        error_set_errno(error, "open %s", state_dir);
        instance_close(instance);
        return NULL;
    }
    if (!open_folder(instance, &status, error) || !take_lock(instance, error) ||
        !take_identity(instance, (int64_t)status.st_ino, error)) {
        instance_close(instance);
        return NULL;
    }
    take_file_number(instance);
    return instance;
}

const char *instance_id(const struct instance *instance)
{
    return instance->identity.instance;
}

int64_t instance_next_seq(struct instance *instance, struct error *error)
{
    /* half a block early, so that a disk that fills up has time */
    if (instance->next + BLOCK / 2 >= instance->reserved &&
        (!instance->failing || clock_monotonic_ms() >= instance->retry_ms)) {
        reserve_or_note(instance);
    }
    if (error != NULL) {
        error->text[0] = '\0';
        if (instance->untold) {
            *error = instance->fault;
            instance->untold = false;
        }
    }
    return instance->next++;
}

void instance_seen_seq(struct instance *instance, int64_t seq)
{
    /* above the limit is none of ours: a damaged or forged line */
    if (seq >= instance->next && seq < SEQ_LIMIT) {
        instance->next = seq + 1;
    }
}

int64_t instance_file_number(const struct instance *instance)
{
    return instance->file_number;
}

/*
 * Not synced, and in a file of its own: a rotation must not wait for the disk,
 * and what a power failure makes of this file must not cost the identity.
 */
bool instance_keep_file_number(struct instance *instance, int64_t number,
                               struct error *error)
{
    static const struct destination to = {NUMBER_NAME, NUMBER_NEW, false};
    json_t *object;
    char *text;

    if (number <= instance->file_number) {
        return true;
    }
    instance->file_number = number;
    object = json_pack("{s:s, s:I}", "instance", instance->identity.instance,
                       "file_number", (json_int_t)number);
    text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return write_file(instance, &to, text, error);
}

void instance_close(struct instance *instance)
{
    if (instance == NULL) {
        return;
    }
    if (instance->folder >= 0) {
        (void)close(instance->folder);
    }
    if (instance->lock >= 0) {
        (void)close(instance->lock); /* and with it the lock */
    }
    free(instance->state_dir);
    free(instance);
}
