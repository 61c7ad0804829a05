#include "recorder_window.h"

#include <stdlib.h>
#include <string.h>

/* An event has effects in two buckets, its recipient's and its domain's. */
#define WINDOW_PARTS (2 * WINDOW_EVENTS)

struct recorder_window {
    struct queue {
        struct window_part *first, *last;
    } queues[STORE_BUCKETS];
    size_t queued; /* parts in queues */
    size_t parts_used, operations_used, bytes_used;
    struct window_part parts[WINDOW_PARTS];
    struct window_operation operations[WINDOW_OPERATIONS];
    char bytes[WINDOW_BYTES];
};

struct recorder_window *recorder_window_new(void)
{
    return calloc(1, sizeof(struct recorder_window));
}

void recorder_window_free(struct recorder_window *window)
{
    free(window);
}

void recorder_window_clear(struct recorder_window *window)
{
    memset(window->queues, 0, sizeof window->queues);
    window->queued = 0;
    window->parts_used = 0;
    window->operations_used = 0;
    window->bytes_used = 0;
}

/* An event has at most EFFECT_MAX effects, in two buckets. */
#define EVENT_BYTES                                                            \
    (EFFECT_MAX *                                                              \
     ((size_t)STORE_KEY_MAX + EFFECT_FIELD_SIZE + EFFECT_VALUE_MAX))

bool recorder_window_is_full(const struct recorder_window *window)
{
    return WINDOW_PARTS - window->parts_used < 2 ||
           WINDOW_OPERATIONS - window->operations_used < EFFECT_MAX ||
           WINDOW_BYTES - window->bytes_used < EVENT_BYTES;
}

static bool is_same(struct text a, struct text b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static struct text key_of(const struct effect *effect)
{
    struct text key = {effect->key.text, effect->key.length};

    return key;
}

static bool fits(const struct recorder_window *window,
                 const struct effect *effects, size_t count)
{
    size_t bytes = 0;
    size_t parts = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += effects[i].key.length + effects[i].field.length +
                 effects[i].value.length;
        parts += i == 0 || effects[i].bucket != effects[i - 1].bucket;
    }
    return parts <= WINDOW_PARTS - window->parts_used &&
           count <= WINDOW_OPERATIONS - window->operations_used &&
           bytes <= WINDOW_BYTES - window->bytes_used;
}

static struct text keep(struct recorder_window *window, struct text text)
{
    struct text kept = {window->bytes + window->bytes_used, text.length};

    if (text.length > 0) {
        memcpy(window->bytes + window->bytes_used, text.bytes, text.length);
        window->bytes_used += text.length;
    }
    return kept;
}

/* Neighbours of one key share its bytes, which tells the script the same. */
static void add_operation(struct recorder_window *window,
                          struct window_part *part, const struct effect *effect)
{
    struct window_operation *operation =
        &window->operations[window->operations_used++];

    operation->operation = effect->operation;
    operation->conditional = effect->conditional;
    if (part->count > 0 && is_same(operation[-1].key, key_of(effect))) {
        operation->key = operation[-1].key;
    } else {
        operation->key = keep(window, key_of(effect));
        part->bytes += effect->key.length;
    }
    operation->field = keep(window, effect->field);
    operation->value = keep(window, effect->value);
    part->bytes += effect->field.length + effect->value.length;
    part->count++;
}

static struct window_part *add_part(struct recorder_window *window, int64_t seq,
                                    unsigned bucket)
{
    struct queue *queue = &window->queues[bucket];
    struct window_part *part = &window->parts[window->parts_used++];

    *part = (struct window_part){
        .seq = seq, .operations = &window->operations[window->operations_used]};
    if (queue->last == NULL) {
        queue->first = part;
    } else {
        queue->last->next = part;
    }
    queue->last = part;
    window->queued++;
    return part;
}

bool recorder_window_add(struct recorder_window *window, int64_t seq,
                         const struct effect *effects, size_t count)
{
    struct window_part *part = NULL;

    if (!fits(window, effects, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || effects[i].bucket != effects[i - 1].bucket) {
            part = add_part(window, seq, effects[i].bucket);
        }
        add_operation(window, part, &effects[i]);
    }
    return true;
}

void recorder_window_drop(struct recorder_window *window, unsigned bucket,
                          int64_t seq)
{
    struct queue *queue = &window->queues[bucket];

    while (queue->first != NULL && queue->first->seq <= seq) {
        /* parts are ours: only users of the header see them as const */
        size_t index = (size_t)(queue->first - window->parts);

        queue->first = queue->first->next == NULL
                           ? NULL
                           : &window->parts[queue->first->next - window->parts];
        window->parts[index].next = NULL;
        window->queued--;
    }
    if (queue->first == NULL) {
        queue->last = NULL;
    }
}

const struct window_part *
recorder_window_first(const struct recorder_window *window, unsigned bucket)
{
    return window->queues[bucket].first;
}

bool recorder_window_is_empty(const struct recorder_window *window)
{
    return window->queued == 0;
}

bool recorder_window_call(const struct recorder_window *window, unsigned bucket,
                          int64_t expected, size_t most_parts,
                          size_t most_bytes, struct recorder_call *call)
{
    const struct window_part *part = window->queues[bucket].first;

    *call = (struct recorder_call){
        .bucket = bucket, .expected = expected, .first = part};
    /* one part at least, however long: it cannot be divided */
    while (part != NULL && call->parts < most_parts &&
           (call->parts == 0 || call->bytes + part->bytes <= most_bytes)) {
        call->parts++;
        call->operations += part->count;
        call->bytes += part->bytes;
        call->last = part->seq;
        part = part->next;
    }
    return call->parts > 0;
}
