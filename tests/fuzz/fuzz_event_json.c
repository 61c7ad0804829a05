/* A line of the log is decoded and encoded: what was read must come back. */
#include "event_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_any_bytes(const uint8_t *data, size_t size)
{
    struct event event;
    struct event back;
    struct event_json *json;
    char line[EVENT_LINE_MAX];
    size_t length;

    event_init(&event, EVENT_RECEPTION, 0);
    for (size_t i = 0; i < event_member_count; i++) {
        struct text text = {(const char *)data, size};

        if (event_members[i].kind == EVENT_MEMBER_TEXT && i % 7 == size % 7) {
            memcpy((char *)&event + event_members[i].offset, &text,
                   sizeof text);
        }
    }
    length = event_json_encode(&event, line);
    if (length > EVENT_LINE_MAX || memchr(line, '\n', length) !=
                                       line + length - 1) {
        abort();
    }
    json = event_json_decode(line, length, &back, NULL);
    if (json == NULL) {
        abort();
    }
    event_json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event event;
    struct event again;
    struct error error = {""};
    struct event_json *json =
        event_json_decode((const char *)data, size, &event, &error);

    if (json != NULL) {
        char line[EVENT_LINE_MAX];
        size_t length = event_json_encode(&event, line);
        struct event_json *back =
            event_json_decode(line, length, &again, &error);

        if (back == NULL || again.seq != event.seq ||
            again.type != event.type) {
            abort();
        }
        event_json_free(back);
        event_json_free(json);
    } else if (error.text[0] == '\0') {
        abort();
    }
    encode_any_bytes(data, size);
    return 0;
}
