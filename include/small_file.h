/*
 * small_file.h - files that are read and written whole
 *
 * Threads  any.
 */
#ifndef NIXIE_SMALL_FILE_H
#define NIXIE_SMALL_FILE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * From the beginning of a regular file, wherever the descriptor stands: how
 * many bytes, at most size; -1 with errno.
 */
ssize_t small_file_read(int fd, char *bytes, size_t size);

/*
 * Made for its owner alone, if need be; flags are O_APPEND or O_EXCL. On the
 * disk when it returns. False with error.
 */
bool small_file_write(const char *path, int flags, const char *text,
                      struct error *error);

#endif
