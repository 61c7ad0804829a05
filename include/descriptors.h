/*
 * descriptors.h - standard input, output and error are open
 *
 * Where they are closed, the next socket or file gets their number, and what
 * is printed goes into it: to Redis, say, or into the event log.
 */
#ifndef NIXIE_DESCRIPTORS_H
#define NIXIE_DESCRIPTORS_H

#include <stdbool.h>

/*
 * Opens /dev/null on those of 0, 1 and 2 that are closed, the wrong way
 * round, so that reading or writing there still fails. Before anything else
 * in main(), when there are no threads. False with errno when it cannot.
 */
bool descriptors_fill(void);

#endif
