/*
 * The text of a reply in the form of rules: valid UTF-8 of bounded length,
 * without control bytes, capitals or two blanks side by side, and the same
 * each time, also when a reply of its shape was there before.
 */
#include "reply_text_memory.h"

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static void check_bytes(const struct reply_text *text)
{
    for (size_t i = 0; i < text->length; i++) {
        unsigned char byte = (unsigned char)text->bytes[i];

        require(byte >= ' ' && byte != 0x7f);
        require(byte < 'A' || byte > 'Z');
        require(byte != ' ' || i == 0 || text->bytes[i - 1] != ' ');
    }
    require(text->length == 0 || text->bytes[text->length - 1] != ' ');
    require(text->bytes[text->length] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reply_text_memory *memory;
    struct reply_text text;
    struct reply_text again;
    struct text listed;

    reply_text_normalise((struct text){(const char *)data, size}, &text);
    require(text.length <= REPLY_TEXT_MAX);
    require(g_utf8_validate(text.bytes, (gssize)text.length, NULL));
    require(text.code == 0 || (text.code >= 200 && text.code <= 599));
    require(text.enhanced_status[0] == '\0' ||
            enhanced_status_is_valid(text_of(text.enhanced_status)));
    check_bytes(&text);
    listed = reply_text_listed(&text);
    require(listed.length <= REPLY_TEXT_LISTED_MAX &&
            g_utf8_validate(listed.bytes, (gssize)listed.length, NULL));
    reply_text_normalise((struct text){(const char *)data, size}, &again);
    require(again.length == text.length && again.code == text.code &&
            again.cut == text.cut &&
            memcmp(again.bytes, text.bytes, text.length) == 0);
    if (memory == NULL) {
        memory = reply_text_memory_new();
    }
    reply_text_memory_normalise(memory, (struct text){(const char *)data, size},
                                &again);
    require(again.length == text.length && again.code == text.code &&
            again.cut == text.cut &&
            memcmp(again.bytes, text.bytes, text.length + 1) == 0 &&
            strcmp(again.enhanced_status, text.enhanced_status) == 0);
    return 0;
}
