/*
 * How many marks a second are made and checked: bench_trace [MILLISECONDS]
 *
 * For messages with 1, 3 and 50 recipients: the mark (header and envelope id),
 * a check with both, and one with the header alone; each beside the plain HMAC
 * of the library over 40 bytes, whose rate is taken before and after it in the
 * same run. What is checked must be worth what it should be.
 */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MILLISECONDS_DEFAULT 500
#define ROUND                512 /* between two looks at the clock */
#define MARKS                64
#define RECIPIENTS_MAX       50

static const char key_lines[] =
    "7 3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f "
    "2026-11-01T00:00:00Z\n";
static const int64_t now_us = INT64_C(1793620800000000); /* 2026-11-02 12:00 */

struct bench {
    struct trace_keys *keys;
    struct trace_key key;
    char names[RECIPIENTS_MAX][32];
    size_t recipients;
    struct trace_mark marks[MARKS];
    size_t next;
    enum trace_class wanted;
    bool with_envelope_id;
};

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_trace: %s\n", what);
    exit(EXIT_FAILURE);
}

static void make_hmac(struct bench *bench)
{
    unsigned char bytes[40] = {(unsigned char)bench->next++};
    unsigned char seal[32];

    hmac_sha256_update(&bench->key.hmac, sizeof bytes, bytes);
    hmac_sha256_digest(&bench->key.hmac, sizeof seal, seal);
    bench->names[0][31] = (char)(seal[0] & 1); /* not for nothing */
}

static void make_mark(struct bench *bench)
{
    struct trace_draft draft;

    if (!trace_draft_begin(&draft, bench->keys, now_us)) {
        fail("no key signs");
    }
    for (size_t i = 0; i < bench->recipients; i++) {
        trace_draft_add(&draft, text_of(bench->names[i]));
    }
    if (!trace_draft_end(&draft, &bench->marks[bench->next++ % MARKS])) {
        fail("no mark");
    }
}

static void check_mark(struct bench *bench)
{
    const struct trace_mark *mark = &bench->marks[bench->next++ % MARKS];
    const struct text header = text_of(mark->header);
    const struct text recipient = text_of(bench->names[bench->recipients - 1]);
    const struct trace_evidence evidence = {
        .headers = &header,
        .header_count = 1,
        .envelope_id =
            text_of(bench->with_envelope_id ? mark->envelope_id : NULL),
        .recipients = &recipient,
        .recipient_count = 1,
    };
    struct trace_result result;

    if (trace_check(bench->keys, &evidence, now_us, &result) != bench->wanted) {
        fail("a mark is not worth what it should be");
    }
}

static double rate_of(struct bench *bench, void (*work)(struct bench *),
                      double least_s)
{
    const double begin = seconds();
    double spent = 0;
    double count = 0;

    while (spent < least_s) {
        for (size_t i = 0; i < ROUND; i++) {
            work(bench);
        }
        count += ROUND;
        spent = seconds() - begin;
    }
    return count / spent;
}

static void measure(struct bench *bench, const char *name,
                    void (*work)(struct bench *), double least_s)
{
    const double before = rate_of(bench, make_hmac, least_s / 4);
    const double rate = rate_of(bench, work, least_s);
    const double hmac = (before + rate_of(bench, make_hmac, least_s / 4)) / 2;

    (void)printf("%-24s %2zu recipients: %8.0f a second, each as long as %.1f "
                 "HMACs (%.0f a second)\n",
                 name, bench->recipients, rate, hmac / rate, hmac);
}

int main(int argc, char **argv)
{
    static const size_t counts[] = {1, 3, RECIPIENTS_MAX};
    static struct bench bench;
    struct error error = {""};
    const double least_s =
        (argc > 1 ? atof(argv[1]) : MILLISECONDS_DEFAULT) / 1000;

    bench.keys = trace_keys_of(text_of(key_lines), &error);
    if (bench.keys == NULL ||
        !trace_keys_signer(bench.keys, now_us, &bench.key)) {
        fail(error.text);
    }
    for (size_t i = 0; i < RECIPIENTS_MAX; i++) {
        (void)snprintf(bench.names[i], sizeof bench.names[i],
                       "recipient%zu@example.org", i);
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bench.recipients = counts[i];
        measure(&bench, "mark", make_mark, least_s);
        bench.with_envelope_id = true;
        bench.wanted = TRACE_VALID;
        measure(&bench, "check, both", check_mark, least_s);
        bench.with_envelope_id = false;
        bench.wanted = counts[i] == 1 ? TRACE_VALID : TRACE_SHARED;
        measure(&bench, "check, header", check_mark, least_s);
    }
    trace_key_wipe(&bench.key);
    trace_keys_free(bench.keys);
    return EXIT_SUCCESS;
}
