/*
 * maillog_folder.h - a folder with a log in it, for tests of what follows it
 *
 * Files are named by what stands behind the log's name: "" is the log, ".1"
 * its older self. Every fault ends the test.
 */
#ifndef NIXIE_TESTS_MAILLOG_FOLDER_H
#define NIXIE_TESTS_MAILLOG_FOLDER_H

#include <stddef.h>
#include <stdint.h>

struct maillog_folder {
    char path[64];
    char log[96];
};

/* For cmocka: *state is the folder. */
int maillog_folder_make(void **state);
int maillog_folder_remove(void **state);

void maillog_folder_path(const struct maillog_folder *folder,
                         const char *suffix, char path[256]);
void maillog_folder_append(const struct maillog_folder *folder,
                           const char *suffix, const char *text);
void maillog_folder_append_bytes(const struct maillog_folder *folder,
                                 const char *suffix, const char *bytes,
                                 size_t length);
void maillog_folder_rename(const struct maillog_folder *folder,
                           const char *from, const char *to);
void maillog_folder_delete(const struct maillog_folder *folder,
                           const char *suffix);
void maillog_folder_copy(const struct maillog_folder *folder, const char *from,
                         const char *to);
void maillog_folder_truncate(const struct maillog_folder *folder,
                             const char *suffix, long size);
/* gzip, xz, zstd or bzip2: replaces the file by one with a longer name. */
void maillog_folder_compress(const struct maillog_folder *folder,
                             const char *program, const char *suffix);
void maillog_folder_touch(const struct maillog_folder *folder,
                          const char *suffix, int64_t seconds);

#endif
