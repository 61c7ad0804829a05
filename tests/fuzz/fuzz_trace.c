/*
 * A returned mark: a line with the envelope id, a line with the recipient,
 * then values of the header with a NUL between them. The keys are fixed, so
 * that the corpus has marks that are ours. What is believed names a recipient
 * that a report about it proves again, and nobody with other keys believes
 * it. The same bytes are a file of keys: one that is taken is written and read
 * again.
 */
#include "clock.h"
#include "trace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 8

#define SECRET                                                                 \
    "3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"
#define OTHER_SECRET                                                           \
    "4c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"

static const char ours[] = "7 " SECRET " 2026-11-01T00:00:00Z\n";
static const char others[] = "7 " OTHER_SECRET " 2026-11-01T00:00:00Z\n";
static const char now_text[] = "2026-11-02T12:00:00Z";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* What stands in front of the end byte, which goes with it. */
static struct text take(struct text *rest, char end)
{
    const char *stop =
        rest->length == 0 ? NULL : memchr(rest->bytes, end, rest->length);
    struct text taken = *rest;

    if (stop != NULL) {
        taken.length = (size_t)(stop - rest->bytes);
    }
    rest->bytes += taken.length + (stop != NULL);
    rest->length -= taken.length + (stop != NULL);
    return taken;
}

static struct trace_keys *keys_of(const char *lines)
{
    struct error error;
    struct trace_keys *keys = trace_keys_of(text_of(lines), &error);

    must(keys != NULL);
    return keys;
}

static void check_result(const struct trace_result *result)
{
    static const struct trace_result nothing;

    if (result->class == TRACE_NONE) {
        must(memcmp(result, &nothing, sizeof nothing) == 0);
        return;
    }
    must(result->recipient_length <= MAILBOX_MAX);
    must(result->recipient[result->recipient_length] == '\0');
    must((result->class == TRACE_CORRELATED) ==
         (result->recipient_length == 0));
    must(!result->recovered || result->class == TRACE_SHARED);
    must(strlen(result->replay_key) == TRACE_REPLAY_KEY_SIZE - 1);
}

/* The recipient that came out is the one that the mark is for. */
static void check_again(struct trace_keys *keys, struct trace_evidence evidence,
                        int64_t now_us, const struct trace_result *result)
{
    const struct text recipient = {result->recipient, result->recipient_length};
    struct trace_result again;

    evidence.recipients = &recipient;
    evidence.recipient_count = 1;
    (void)trace_check(keys, &evidence, now_us, &again);
    must(again.class >= result->class);
    must(!result->recovered || again.class == TRACE_VALID);
    must(strcmp(again.recipient, result->recipient) == 0);
}

static void check_mark(struct text rest, int64_t now_us)
{
    struct trace_keys *keys = keys_of(ours);
    struct trace_keys *other_keys = keys_of(others);
    struct text headers[HEADERS_MAX];
    struct text envelope_id = take(&rest, '\n');
    struct text recipient = take(&rest, '\n');
    struct trace_evidence evidence = {headers, 0, envelope_id, &recipient,
                                      recipient.length > 0};
    struct trace_result result;

    while (rest.length > 0 && evidence.header_count < HEADERS_MAX) {
        headers[evidence.header_count++] = take(&rest, '\0');
    }
    (void)trace_check(keys, &evidence, now_us, &result);
    check_result(&result);
    if (result.recipient_length > 0) {
        check_again(keys, evidence, now_us, &result);
    }
    must(trace_check(other_keys, &evidence, now_us, &result) == TRACE_NONE);
    trace_keys_free(keys);
    trace_keys_free(other_keys);
}

static void check_keys(struct text lines)
{
    static struct trace_keyring ring;
    static struct trace_keyring again;
    char text[TRACE_KEYRING_TEXT_SIZE];
    struct error error = {""};
    size_t length;

    if (!trace_keyring_parse(lines, "keys", &ring, &error)) {
        must(strncmp(error.text, "keys:", 5) == 0 && ring.count == 0);
        return;
    }
    length = trace_keyring_write(&ring, text);
    must(trace_keyring_parse((struct text){text, length}, "keys", &again,
                             &error));
    must(again.count == ring.count);
    for (size_t i = 0; i < ring.count; i++) {
        must(again.keys[i].kid == ring.keys[i].kid);
        must(memcmp(again.keys[i].secret, ring.keys[i].secret,
                    TRACE_KEY_SIZE) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    int64_t now_us;

    must(clock_parse(now_text, sizeof now_text - 1, &now_us));
    check_mark(text, now_us);
    check_keys(text);
    return 0;
}
