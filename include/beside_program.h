/*
 * beside_program.h - files of a tree in which the program was built
 *
 * Threads  any.
 */
#ifndef NIXIE_BESIDE_PROGRAM_H
#define NIXIE_BESIDE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The folder of the running program, and rest behind it, which begins with a
 * slash. False: unknown, or it does not fit. Whether it is there is not asked.
 */
bool beside_program(const char *rest, char *path, size_t size);

#endif
