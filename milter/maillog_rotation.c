#include "maillog_rotation.h"

#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS        8
#define DATE_DIGITS  14 /* YYYYMMDDHHMMSS */
#define ROTATION_MAX 6  /* digits of a number that is no date */

enum order {
    ORDER_NONE,
    ORDER_NUMBER = MAILLOG_ROTATION_NUMBER,
    ORDER_DATE,
    ORDER_EPOCH,
};

static const char *const suffixes[] = {".gz", ".xz", ".zst", ".bz2"};

/* Length of the suffix, or 0. */
static size_t compressed_suffix(struct text name)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t length = strlen(suffixes[i]);

        if (name.length > length && memcmp(name.bytes + name.length - length,
                                           suffixes[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

static int two_digits(const char *digits)
{
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

static bool is_date(const char *digits, size_t count)
{
    int year = two_digits(digits) * 100 + two_digits(digits + 2);

    return year >= 1970 && two_digits(digits + 4) >= 1 &&
           two_digits(digits + 4) <= 12 && two_digits(digits + 6) >= 1 &&
           two_digits(digits + 6) <= 31 &&
           (count < 10 || two_digits(digits + 8) < 24) &&
           (count < 12 || two_digits(digits + 10) < 60) &&
           (count < 14 || two_digits(digits + 12) <= 60);
}

/* The digits of a date, padded to seconds; else the number they are. */
static enum order order_of(char digits[DATE_DIGITS + 1], size_t count,
                           int64_t *number)
{
    enum order order = ORDER_NONE;

    if (count <= ROTATION_MAX) {
        order = ORDER_NUMBER;
    } else if (count >= 8 && count % 2 == 0 && is_date(digits, count)) {
        memset(digits + count, '0', DATE_DIGITS - count);
        count = DATE_DIGITS;
        order = ORDER_DATE;
    } else if (count == 10) {
        order = ORDER_EPOCH;
    }
    digits[count] = '\0';
    *number = strtoll(digits, NULL, 10); /* digits only, so few that it fits */
    return order;
}

/* ".1", "-20261121", ".2026-11-21T22:30": what a rotation adds. */
static enum order read_added(struct text added, int64_t *number)
{
    char digits[DATE_DIGITS + 1];
    size_t count = 0;

    if (added.length < 2 || memchr(".-_", added.bytes[0], 3) == NULL) {
        return ORDER_NONE;
    }
    for (size_t i = 1; i < added.length; i++) {
        if (isdigit((unsigned char)added.bytes[i]) && count < DATE_DIGITS) {
            digits[count++] = added.bytes[i];
        } else if (i == 1 || added.bytes[i] == '\0' ||
                   strchr("-_.:T", added.bytes[i]) == NULL) {
            return ORDER_NONE;
        }
    }
    return order_of(digits, count, number);
}

static bool starts_with(struct text text, const char *begin, size_t length)
{
    return text.length >= length && memcmp(text.bytes, begin, length) == 0;
}

static struct text without(struct text text, size_t front, size_t back)
{
    return (struct text){text.bytes + front, text.length - front - back};
}

static enum order read_name(const char *base, const char *name, int64_t *number)
{
    struct text text = text_of(name);
    size_t length = strlen(base);
    const char *extension = strrchr(base, '.');
    size_t extension_length = extension == NULL ? 0 : strlen(extension);
    enum order order = ORDER_NONE;

    text = without(text, 0, compressed_suffix(text));
    if (starts_with(text, base, length)) {
        order = read_added(without(text, length, 0), number);
    }
    if (order == ORDER_NONE && extension != NULL && extension != base &&
        starts_with(text, base, length - extension_length) &&
        text.length > length &&
        memcmp(text.bytes + text.length - extension_length, extension,
               extension_length) == 0) {
        order = read_added(
            without(text, length - extension_length, extension_length), number);
    }
    return order;
}

bool maillog_rotation_knows(const char *base, const char *name)
{
    int64_t number;

    return read_name(base, name, &number) != ORDER_NONE;
}

static void describe(const struct stat *status,
                     struct maillog_rotation_file *file)
{
    file->device = (uint64_t)status->st_dev;
    file->inode = (uint64_t)status->st_ino;
    file->size = status->st_size;
    file->modified_us = (int64_t)status->st_mtim.tv_sec * 1000000 +
                        status->st_mtim.tv_nsec / 1000;
}

static bool is_listed(const struct maillog_rotation *rotation,
                      const struct stat *status)
{
    for (size_t i = 0; i < rotation->count; i++) {
        if (rotation->file[i].device == (uint64_t)status->st_dev &&
            rotation->file[i].inode == (uint64_t)status->st_ino) {
            return true;
        }
    }
    return false;
}

/* Takes path, or NULL; NULL when out of memory. */
static struct maillog_rotation_file *add(struct maillog_rotation *rotation,
                                         const struct stat *status, char *path)
{
    struct maillog_rotation_file *file = rotation->file;

    if ((rotation->count & (rotation->count - 1)) == 0) { /* full: 0, 1, 2, 4 */
        size_t room = rotation->count == 0 ? 1 : rotation->count * 2;

        file = path == NULL ? NULL : realloc(file, room * sizeof *file);
    }
    if (file == NULL || path == NULL) {
        free(path);
        return NULL;
    }
    rotation->file = file;
    file += rotation->count++;
    memset(file, 0, sizeof *file);
    file->path = path;
    describe(status, file);
    return file;
}

/* False only when out of memory. */
static bool add_name(struct maillog_rotation *rotation, int folder,
                     const char *path, const char *base, const char *name)
{
    struct maillog_rotation_file *file;
    struct stat status;
    int64_t number = 0;
    enum order order = read_name(base, name, &number);
    char *full;

    if ((order == ORDER_NONE && strncmp(name, base, strlen(base)) != 0) ||
        rotation->count >= MAILLOG_ROTATION_FILES ||
        fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode) || is_listed(rotation, &status)) {
        return true;
    }
    if (asprintf(&full, "%.*s%s", (int)(base - path), path, name) < 0) {
        return false;
    }
    file = add(rotation, &status, full);
    if (file == NULL) {
        return false;
    }
    file->odd = order == ORDER_NONE;
    file->compressed = compressed_suffix(text_of(name)) > 0;
    file->order = (int)order;
    file->number = number;
    return true;
}

/* New: the folder that base, a part of path, is in. */
static char *folder_of(const char *path, const char *base)
{
    if (base == path) {
        return strdup(".");
    }
    return strndup(path, base - path == 1 ? 1 : (size_t)(base - path) - 1);
}

static bool list_folder(struct maillog_rotation *rotation, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    char *name = folder_of(path, base);
    DIR *folder = name == NULL ? NULL : opendir(name);
    const struct dirent *entry = NULL;
    bool listed = folder != NULL;
    int cause;

    while (listed) {
        errno = 0;
        entry = readdir(folder);
        if (entry == NULL) {
            listed = errno == 0;
            break;
        }
        if (!add_name(rotation, dirfd(folder), path, base, entry->d_name)) {
            errno = ENOMEM;
            listed = false;
        }
    }
    cause = errno;
    if (folder != NULL) {
        (void)closedir(folder);
    }
    free(name);
    errno = cause;
    return listed;
}

/* Whether b is what a is made into, or the other way round. */
static bool is_other_form(const struct maillog_rotation_file *plain,
                          const struct maillog_rotation_file *compressed)
{
    size_t length = strlen(plain->path);

    return !plain->compressed && compressed->compressed &&
           strncmp(compressed->path, plain->path, length) == 0 &&
           length + compressed_suffix(text_of(compressed->path)) ==
               strlen(compressed->path);
}

/* A file beside its compressed form: that is being made, or was given up. */
static void drop_unfinished(struct maillog_rotation *rotation)
{
    size_t kept = 0;

    for (size_t i = 0; i < rotation->count; i++) {
        bool unfinished = false;

        for (size_t j = 0; j < rotation->count && !unfinished; j++) {
            unfinished = j != i && rotation->file[j].path != NULL &&
                         is_other_form(&rotation->file[j], &rotation->file[i]);
        }
        if (unfinished) {
            free(rotation->file[i].path);
            rotation->file[i].path = NULL;
        }
    }
    for (size_t i = 0; i < rotation->count; i++) {
        if (rotation->file[i].path != NULL) {
            rotation->file[kept++] = rotation->file[i];
        }
    }
    rotation->count = kept;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Odd ones, then the row, then the current. */
static int compare_places(const struct maillog_rotation_file *a,
                          const struct maillog_rotation_file *b)
{
    return a->current != b->current ? a->current - b->current : b->odd - a->odd;
}

static int compare_times(const void *left, const void *right)
{
    const struct maillog_rotation_file *a = left, *b = right;
    int order = compare_places(a, b);

    if (order == 0) {
        order = compare_numbers(a->modified_us, b->modified_us);
    }
    return order != 0 ? order : strcmp(b->path, a->path);
}

static int compare_names(const void *left, const void *right)
{
    const struct maillog_rotation_file *a = left, *b = right;
    int order = compare_places(a, b);

    if (order == 0) { /* .1 is younger than .2 */
        order = a->order == ORDER_NUMBER
                    ? compare_numbers(b->number, a->number)
                    : compare_numbers(a->number, b->number);
    }
    return order != 0 ? order : compare_times(left, right);
}

static void sort(struct maillog_rotation *rotation)
{
    int order = ORDER_NONE;
    bool mixed = false;

    for (size_t i = 0; i < rotation->count; i++) {
        const struct maillog_rotation_file *file = &rotation->file[i];

        if (!file->current && !file->odd) {
            mixed = mixed || (order != ORDER_NONE && order != file->order);
            order = file->order;
        }
    }
    if (rotation->count > 1) {
        qsort(rotation->file, rotation->count, sizeof *rotation->file,
              mixed ? compare_times : compare_names);
    }
}

/* One look. */
static bool list_once(const char *path, struct maillog_rotation *rotation)
{
    char real[PATH_MAX];
    struct stat status;
    bool listed;

    *rotation = (struct maillog_rotation){NULL, 0};
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        struct maillog_rotation_file *current =
            add(rotation, &status, strdup(path));

        if (current == NULL) {
            return false;
        }
        current->current = true;
    }
    listed = list_folder(rotation, path);
    if (listed && lstat(path, &status) == 0 && S_ISLNK(status.st_mode) &&
        realpath(path, real) != NULL && strcmp(real, path) != 0) {
        listed = list_folder(rotation, real);
    }
    drop_unfinished(rotation);
    sort(rotation);
    return listed;
}

static bool is_same_list(const struct maillog_rotation *a,
                         const struct maillog_rotation *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->file[i].device != b->file[i].device ||
            a->file[i].inode != b->file[i].inode ||
            strcmp(a->file[i].path, b->file[i].path) != 0) {
            return false;
        }
    }
    return true;
}

bool maillog_rotation_list(const char *path, struct maillog_rotation *rotation,
                           struct error *error)
{
    struct maillog_rotation before = {NULL, 0};
    bool listed = list_once(path, rotation);
    bool same = false;

    for (int i = 0; listed && !same && i < LOOKS; i++) {
        before = *rotation;
        listed = list_once(path, rotation);
        same = listed && is_same_list(&before, rotation);
        maillog_rotation_free(&before);
    }
    if (!listed) {
        error_set_errno(error, "read the folder");
        maillog_rotation_free(rotation);
        return false;
    }
    maillog_rotation_order(rotation);
    return true;
}

void maillog_rotation_free(struct maillog_rotation *rotation)
{
    for (size_t i = 0; i < rotation->count; i++) {
        free(rotation->file[i].path);
    }
    free(rotation->file);
    *rotation = (struct maillog_rotation){NULL, 0};
}

struct maillog_input *
maillog_rotation_open(const struct maillog_rotation_file *file,
                      struct error *error)
{
    struct maillog_input *input =
        maillog_input_open(file->path, file->current, error);

    if (input != NULL && !maillog_input_is(input, file->device, file->inode)) {
        maillog_input_free(input);
        error_set(error, "replaced");
        errno = ESTALE;
        return NULL;
    }
    return input;
}

/* Opens it when it is the position's file. */
static struct maillog_input *
open_if_is(const struct maillog_rotation_file *file,
           const struct maillog_position *position)
{
    struct error ignored; /* what cannot be read is not found */
    bool same =
        file->device == position->device && file->inode == position->inode;
    struct maillog_input *input;

    /* of a few bytes many files may be the beginning, and of none all */
    if (!same && position->crc_length < (file->odd ? MAILLOG_HEAD : 1)) {
        return NULL;
    }
    input = maillog_rotation_open(file, &ignored);
    if (input != NULL &&
        (!maillog_input_begins(input, position) ||
         (!maillog_input_compressed(input) && file->size < position->offset))) {
        maillog_input_free(input);
        input = NULL;
    }
    return input;
}

/*
 * First by device and inode, then by how it begins: the copy that was made
 * before a truncation, the compressed one; the current before the younger
 * before the older.
 */
struct maillog_input *
maillog_rotation_find(const struct maillog_rotation *rotation,
                      const struct maillog_position *position, size_t *index)
{
    struct maillog_input *input = NULL;

    for (int by_head = 0; input == NULL && by_head <= 1; by_head++) {
        for (size_t i = rotation->count; input == NULL && i-- > 0;) {
            const struct maillog_rotation_file *file = &rotation->file[i];

            if (by_head || (file->device == position->device &&
                            file->inode == position->inode)) {
                input = open_if_is(file, position);
                *index = i;
            }
        }
    }
    return input;
}

static size_t first_since(const struct maillog_rotation *rotation,
                          int64_t modified_us)
{
    for (size_t i = 0; i < rotation->count; i++) {
        const struct maillog_rotation_file *file = &rotation->file[i];

        if (file->current || (!file->odd && file->modified_us >= modified_us)) {
            return i;
        }
    }
    return rotation->count;
}

/* The one in the row that cannot be opened any more, but was; else count. */
static size_t find_closed(const struct maillog_rotation *rotation,
                          const struct maillog_position *position)
{
    size_t index = 0;
    struct maillog_input *input = NULL;
    struct error ignored;

    while (index < rotation->count &&
           (rotation->file[index].odd ||
            rotation->file[index].device != position->device ||
            rotation->file[index].inode != position->inode)) {
        index++;
    }
    if (index < rotation->count) {
        input = maillog_rotation_open(&rotation->file[index], &ignored);
    }
    if (input != NULL) { /* it has another's number */
        maillog_input_free(input);
        index = rotation->count;
    }
    return index;
}

size_t maillog_rotation_after(const struct maillog_rotation *rotation,
                              const struct maillog_position *position)
{
    size_t index = 0;
    struct maillog_input *input =
        maillog_rotation_find(rotation, position, &index);
    bool in_row = input != NULL && !rotation->file[index].odd;

    maillog_input_free(input);
    if (!in_row) {
        index = find_closed(rotation, position);
        in_row = index < rotation->count;
    }
    return in_row ? index + 1 : first_since(rotation, position->modified_us);
}
