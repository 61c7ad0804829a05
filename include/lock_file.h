/*
 * lock_file.h - one process at a time
 *
 * An flock(2), which ends with the process, however that ends. The file stays,
 * with the process id of who took it last, for messages.
 *
 * Threads  any: nothing is shared.
 */
#ifndef NIXIE_LOCK_FILE_H
#define NIXIE_LOCK_FILE_H

enum lock_file_result {
    LOCK_FILE_TAKEN,
    LOCK_FILE_HELD,   /* by another process */
    LOCK_FILE_FAULTY, /* errno tells */
};

/*
 * Takes name in folder, a descriptor. *fd: to be closed by the caller, which
 * gives it up; -1 unless taken. *holder: with _HELD the process, 0: unknown.
 */
enum lock_file_result lock_file_take(int folder, const char *name, int *fd,
                                     long *holder);

#endif
