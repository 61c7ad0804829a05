#include "clock.h"
#include "command.h"
#include "command_trace.h"
#include "trace_keys.h"

#include <stdio.h>

#define SECONDS_LENGTH 19 /* of a timestamp, 2026-11-02T19:43:01 */

/* NULL after a complaint. */
static struct trace_keys *open_keys(const struct command_call *call)
{
    struct trace_keys *keys;
    struct error error = {""};

    if (call->settings->trace_keys[0] == '\0') {
        command_complain(call, "trace_keys = \"\": mail gets no marks here");
        return NULL;
    }
    keys = command_trace_keys(call->settings, &error);
    if (keys == NULL) {
        command_complain(call, "%s", error.text);
    }
    return keys;
}

static const char *state_name(enum trace_key_state state)
{
    static const char *const names[] = {
        [TRACE_KEY_SIGNS] = "signs",
        [TRACE_KEY_VERIFIES] = "verifies",
        [TRACE_KEY_FUTURE] = "future",
        [TRACE_KEY_OLD] = "old",
    };

    return names[state];
}

static void print_key(const struct command_call *call,
                      const struct trace_key_facts *facts)
{
    char created[CLOCK_TIMESTAMP_SIZE];
    char until[CLOCK_TIMESTAMP_SIZE];
    json_t *object;

    clock_format(facts->created_us, created);
    clock_format(facts->created_us + TRACE_KEY_LIFE_US, until);
    if (!call->json) {
        (void)printf("%2u  made %.*sZ  verifies until %.*sZ  %s\n", facts->kid,
                     SECONDS_LENGTH, created, SECONDS_LENGTH, until,
                     state_name(facts->state));
        return;
    }
    object = json_object();
    (void)json_object_set_new(object, "kid", json_integer(facts->kid));
    command_json_set(object, "created_at", text_of(created));
    command_json_set(object, "verifies_until", text_of(until));
    command_json_set(object, "state", text_of(state_name(facts->state)));
    command_json_print(object);
}

/* How many were printed; of all, or of the one that signs. */
static size_t print_keys(const struct command_call *call,
                         struct trace_keys *keys, int64_t now_us, bool all)
{
    struct trace_key_facts facts[TRACE_KEY_NUMBERS];
    size_t count = trace_keys_list(keys, now_us, facts);
    size_t printed = 0;

    for (size_t i = 0; i < count; i++) {
        if (all || facts[i].state == TRACE_KEY_SIGNS) {
            print_key(call, &facts[i]);
            printed++;
        }
    }
    return printed;
}

enum command_status command_trace_key_rotate(const struct command_call *call)
{
    const int64_t now_us = clock_now_us();
    struct trace_keys *keys = open_keys(call);
    struct error error = {""};
    bool rotated;

    if (keys == NULL) {
        return COMMAND_FAULT;
    }
    rotated = trace_keys_rotate(keys, now_us, &error);
    if (!rotated) {
        command_complain(call, "%s", error.text);
    } else if (print_keys(call, keys, now_us, false) == 0) {
        command_complain(call, "the new key does not sign yet");
    }
    trace_keys_free(keys);
    return rotated ? COMMAND_OK : COMMAND_FAULT;
}

enum command_status command_trace_key_list(const struct command_call *call)
{
    const int64_t now_us = clock_now_us();
    struct trace_keys *keys = open_keys(call);
    enum command_status status = COMMAND_OK;
    struct error error = {""};

    if (keys == NULL) {
        return COMMAND_FAULT;
    }
    if (trace_keys_load(keys, &error) == TRACE_KEYS_FAILED) {
        command_complain(call, "%s", error.text);
        status = COMMAND_FAULT;
    } else {
        (void)print_keys(call, keys, now_us, true);
        if (!trace_keys_can_sign(keys, now_us)) {
            command_complain(call, "no key signs: mail goes out without marks");
            status = COMMAND_NO;
        }
    }
    trace_keys_free(keys);
    return status;
}
