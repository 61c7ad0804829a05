/*
 * What an operator wrote into {NN}:due and {NN}:breaker is taken only as far
 * as an event could clear it. A bucket, a newline, a field, a newline, a value.
 */
#include "quarantine_breaker.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct text line(struct text *rest)
{
    const char *end =
        rest->length == 0 ? NULL : memchr(rest->bytes, '\n', rest->length);
    struct text line = *rest;

    if (end == NULL) {
        rest->length = 0;
        return line;
    }
    line.length = (size_t)(end - line.bytes);
    rest->bytes = end + 1;
    rest->length -= line.length + 1;
    return line;
}

static void must_be(struct text text, const char *bytes, size_t length)
{
    if (text.length != length || memcmp(text.bytes, bytes, length) != 0) {
        abort();
    }
}

static void try_due(unsigned bucket, struct text field, struct text value)
{
    struct quarantine_due due;

    if (!quarantine_due_init(&due, bucket, field, value)) {
        return;
    }
    if (due.is_domain) {
        must_be((struct text){field.bytes + 1, field.length - 1},
                due.mailbox.domain, due.mailbox.domain_length);
    } else {
        /* a scope may follow */
        must_be(due.address, due.mailbox.address, due.mailbox.address_length);
        if (due.address.bytes != field.bytes ||
            field.length != due.address.length +
                                (due.scope.length > 0 ? 1 : 0) +
                                due.scope.length) {
            abort();
        }
    }
}

static void try_breaker(unsigned bucket, struct text field, struct text value)
{
    struct quarantine_breaker breaker;
    size_t length;

    if (!quarantine_breaker_parse(bucket, field, value, &breaker)) {
        return;
    }
    length = breaker.domain[0] == '\0' ? 1 : strlen(breaker.domain);
    must_be((struct text){field.bytes, length},
            breaker.domain[0] == '\0' ? "*" : breaker.domain, length);
    must_be((struct text){field.bytes + length + 1, field.length - length - 1},
            reason_name(breaker.reason), strlen(reason_name(breaker.reason)));
    if (field.bytes[length] != '|' ||
        strlen(breaker.instance) >= sizeof breaker.instance) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = {(const char *)data, size};
    struct text number = line(&rest);
    struct text field = line(&rest);
    unsigned own = store_bucket(field.bytes, field.length);
    const char *bar =
        field.length == 0 ? NULL : memrchr(field.bytes, '|', field.length);

    if (number.length > 0) { /* else its own, however that is counted */
        own = (unsigned char)number.bytes[0] % STORE_BUCKETS;
    }
    try_due(own, field, rest);
    try_breaker(own, field, rest);
    if (number.length == 0 && field.length > 0) {
        try_due(store_bucket(field.bytes + 1, field.length - 1), field, rest);
    }
    if (number.length == 0 && bar != NULL) {
        try_breaker(store_bucket(field.bytes, (size_t)(bar - field.bytes)),
                    field, rest);
    }
    return 0;
}
