/* A reply and a path taken apart stay inside what they were taken from. */
#include "smtp_reply.h"
#include "transaction.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_inside(struct text part, struct text whole)
{
    if (part.length > 0 &&
        (part.bytes < whole.bytes ||
         part.bytes + part.length > whole.bytes + whole.length)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text input = {(const char *)data, size};
    struct smtp_reply reply;
    char decoded[64];

    smtp_reply_parse(input, &reply);
    must_lie_inside(reply.text, input);
    if (reply.enhanced_status[0] != '\0' &&
        !enhanced_status_is_valid(text_of(reply.enhanced_status))) {
        abort();
    }
    if (reply.code != 0 && (reply.code < 200 || reply.code > 599)) {
        abort();
    }
    must_lie_inside(transaction_bare_path(input), input);
    if (smtp_decode_xtext(input, decoded, sizeof decoded) >= sizeof decoded) {
        abort();
    }
    return 0;
}
