#include "maillog_same.h"

#include "fnv.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IDENTITY_SIZE (PATH_MAX + 64)

struct maillog_claim {
    int fd; /* -1: there is none */
};

/* The path without links and detours; the file itself may be missing. */
static bool resolve(const char *path, char real[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    int length;

    if (realpath(path, real) != NULL) {
        return true;
    }
    length = slash == NULL ? snprintf(folder, sizeof folder, ".")
                           : snprintf(folder, sizeof folder, "%.*s",
                                      (int)(slash - path) + 1, path);
    if (length < 0 || (size_t)length >= sizeof folder ||
        realpath(folder, real) == NULL) {
        return false;
    }
    length = (int)strlen(real);
    return snprintf(real + length, PATH_MAX - (size_t)length, "/%s",
                    slash == NULL ? path : slash + 1) < PATH_MAX - length;
}

bool maillog_same_file(const char *one, const char *other)
{
    char real_one[PATH_MAX], real_other[PATH_MAX];
    struct stat first, second;
    bool has_first = stat(one, &first) == 0;
    bool has_second = stat(other, &second) == 0;

    if (has_first && has_second) {
        return S_ISREG(first.st_mode) && S_ISREG(second.st_mode) &&
               first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    }
    return !has_first && !has_second && resolve(one, real_one) &&
           resolve(other, real_other) && strcmp(real_one, real_other) == 0;
}

static uint64_t hash_of(const char *path, const char *store)
{
    const uint64_t hash = fnv_add(FNV_BEGIN, text_of(path));

    return fnv_add_byte(fnv_add(fnv_add_byte(hash, 0), text_of(store)), 0);
}

/*
 * By the folder's inode, not by its path: in containers that share the host's
 * network each has a /var/log/mail.log of its own. The folder outlives what is
 * rotated in it.
 */
static void identify(const char *path, char identity[IDENTITY_SIZE])
{
    static const char *const journals[] = {"/var/log/journal",
                                           "/run/log/journal"};
    char real[PATH_MAX] = "";
    struct stat folder;
    char *slash = NULL;

    if (path[0] == '/' && resolve(path, real)) {
        slash = strrchr(real, '/');
    }
    if (slash != NULL) {
        *slash = '\0';
        if (stat(real[0] == '\0' ? "/" : real, &folder) == 0) {
            (void)snprintf(identity, IDENTITY_SIZE, "%ju:%ju/%s",
                           (uintmax_t)folder.st_dev, (uintmax_t)folder.st_ino,
                           slash + 1);
            return;
        }
        *slash = '/';
    }
    (void)snprintf(identity, IDENTITY_SIZE, "%s", slash == NULL ? path : real);
    for (size_t i = 0; path[0] != '/' && i < 2; i++) {
        if (stat(journals[i], &folder) == 0) {
            (void)snprintf(identity, IDENTITY_SIZE, "%ju:%ju/%s",
                           (uintmax_t)folder.st_dev, (uintmax_t)folder.st_ino,
                           path);
            return;
        }
    }
}

/*
 * A name that the kernel gives up by itself: it is in no folder, where a file
 * would stay behind after a crash, or be somebody else's.
 */
struct maillog_claim *maillog_claim_new(const char *path, const char *store)
{
    struct maillog_claim *claim = calloc(1, sizeof *claim);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char identity[IDENTITY_SIZE];
    int length;

    if (claim == NULL) {
        return NULL;
    }
    identify(path, identity);
    length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                      "nixie-maillog-%016" PRIx64, hash_of(identity, store));
    claim->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (claim->fd >= 0 && length > 0 &&
        bind(claim->fd, (const struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                         (size_t)length)) != 0 &&
        errno == EADDRINUSE) {
        maillog_claim_free(claim);
        return NULL;
    }
    return claim;
}

void maillog_claim_free(struct maillog_claim *claim)
{
    if (claim == NULL) {
        return;
    }
    if (claim->fd >= 0) {
        (void)close(claim->fd);
    }
    free(claim);
}
