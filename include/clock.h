/*
 * clock.h - time: what the wall says, and what measures a delay
 *
 * Source   RFC 3339 for timestamps, always UTC with microseconds and Z.
 * Units    names in _us are microseconds since 1970, UTC; _ms milliseconds
 *          of a clock that never steps, for deadlines; _s seconds.
 * Threads  any.
 */
#ifndef NIXIE_CLOCK_H
#define NIXIE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_TIMESTAMP_SIZE 28 /* 2026-11-02T19:43:01.123456Z and NUL */

int64_t clock_now_us(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

void clock_format(int64_t us, char timestamp[CLOCK_TIMESTAMP_SIZE]);

/* Takes RFC 3339 with 0 to 9 digits of fraction and Z or an offset. */
bool clock_parse(const char *text, size_t length, int64_t *us);

/* "90", "90s", "15m", "72h", "30d", "2w": seconds; 0 to 100 years. */
bool clock_parse_duration(const char *text, int64_t *seconds);

#endif
