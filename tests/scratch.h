/*
 * scratch.h - folders that a test may fill, gone when its program ends
 *
 * Also when a test fails; not when the program is killed. What fails, fails
 * the test. One thread.
 */
#ifndef NIXIE_SCRATCH_H
#define NIXIE_SCRATCH_H

#define SCRATCH_SIZE 32

/* A new folder in /tmp, of mode 0700. */
void scratch_make(char path[SCRATCH_SIZE]);

/* Now, with all that is in it. */
void scratch_remove(const char *path);

/* Replaces the file. */
void scratch_write(const char *path, const char *text);

/*
 * As if the file were there since yesterday: Postfix waits until one that
 * it reads has been left alone for some seconds.
 */
void scratch_age(const char *path);

#endif
