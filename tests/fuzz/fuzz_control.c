/*
 * A line on the control socket. What is taken is a change of a list whose
 * texts keep their limits, and encoding it again gives a line that means the
 * same.
 */
#include "control_request.h"
#include "mailbox.h"
#include "store_key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static bool is_same(struct text one, struct text other)
{
    return one.length == other.length &&
           (one.bytes == NULL) == (other.bytes == NULL) &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

static void check_again(const struct event *event)
{
    struct control_request *request;
    struct event again;
    struct error error;
    size_t length = 0;
    char *line = control_request_encode(event, &length);

    require(line != NULL && memchr(line, '\n', length) == line + length - 1);
    request = control_request_decode(line, length - 1, &again, &error);
    require(request != NULL && again.type == event->type);
    require(is_same(again.suppression_pattern, event->suppression_pattern) &&
            is_same(again.scope, event->scope) &&
            is_same(again.suppression_note, event->suppression_note) &&
            is_same(again.suppression_by, event->suppression_by) &&
            is_same(again.suppression_reason, event->suppression_reason));
    control_request_free(request);
    free(line);
}

static void check_event(const struct event *event)
{
    char scope[STORE_SCOPE_MAX + 1];
    struct mailbox_pattern pattern;
    struct store_key key;

    require(event->type >= EVENT_SUPPRESSION_ADDED &&
            event->type <= EVENT_ALLOW_REMOVED);
    require(event->scope.length <= STORE_SCOPE_MAX);
    require(event->suppression_note.length <= CONTROL_NOTE_MAX);
    require(event->suppression_by.length <= CONTROL_BY_MAX);
    require(event->suppression_reason.length <= CONTROL_REASON_MAX);
    require(mailbox_parse_pattern(event->suppression_pattern, NULL, &pattern) !=
            MAILBOX_PATTERN_INVALID);
    (void)text_copy(event->scope, scope, sizeof scope);
    require(store_key_list("nixie:", STORE_SUPPRESS, scope, &pattern, &key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {""};
    struct event event;
    struct control_request *request =
        control_request_decode((const char *)data, size, &event, &error);

    if (request == NULL) {
        require(error.text[0] != '\0');
        return 0;
    }
    check_event(&event);
    check_again(&event);
    control_request_free(request);
    return 0;
}
