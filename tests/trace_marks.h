/*
 * trace_marks.h - marks and reports about them, for the tests of trace
 *
 * All is at noon on 2026-11-02, with one key, number 7, of the day before.
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_TRACE_MARKS_H
#define NIXIE_TESTS_TRACE_MARKS_H

#include "trace.h"

#include <stddef.h>
#include <stdint.h>

#define DAY INT64_C(86400000000)

#define SECRET                                                                 \
    "3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"
#define OTHER_SECRET                                                           \
    "4c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define EVE "eve@example.org" /* gets no mail of ours */

int64_t marks_now(void);

/* New, of the lines of a file. */
struct trace_keys *marks_keys(const char *lines);

/* For setup and teardown: *state is the keys. */
int marks_open(void **state);
int marks_close(void **state);

struct trace_mark mark_at(struct trace_keys *keys, int64_t now_us,
                          const char *const *recipients, size_t count);
struct trace_mark mark_one(struct trace_keys *keys, const char *recipient);

/* ANN, BOB, cid@example.org, then r3@example.org, r4@example.org, ... */
struct trace_mark mark_many(struct trace_keys *keys, size_t count);

/* All kinds of marks, and a recipient that each proves something of. */
#define MARKS_SAMPLES 7
struct trace_sample {
    struct trace_mark mark;
    const char *recipient;
};
size_t marks_samples(struct trace_keys *keys,
                     struct trace_sample samples[MARKS_SAMPLES]);

/* Each may be NULL. */
struct trace_report {
    const char *header;
    const char *envelope_id;
    const char *original;
    const char *final;
};

/* trace_check(), with what is true of every result. */
enum trace_class report_check_at(struct trace_keys *keys, int64_t now_us,
                                 const struct trace_report *report,
                                 struct trace_result *result);
enum trace_class report_check(struct trace_keys *keys,
                              const struct trace_report *report,
                              struct trace_result *result);
enum trace_class report_class(struct trace_keys *keys,
                              const struct trace_report *report);

#endif
