#include "recorder_watch_held.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX     64 /* of a value we compare: a time has 27 bytes */
#define SECONDS_A_DAY 86400.0

struct mark {
    struct text member; /* in the reply, or an operation */
    double score;
};

struct entry {
    const struct window_operation *of;
    enum watch_look look;
    enum { HELD_ABSENT, HELD_VALUE, HELD_FAILED } state;
    /* of a field */
    char value[VALUE_MAX];
    size_t length;
    /* of a set; absent without marks */
    redisReply *reply;
    struct mark *marks;
    size_t count, size;
    bool ends; /* it has a time to live */
};

struct watch_held {
    size_t count, most;
    struct entry entries[];
};

struct watch_held *watch_held_new(size_t most)
{
    struct watch_held *held =
        calloc(1, sizeof *held + most * sizeof held->entries[0]);

    if (held != NULL) {
        held->most = most;
    }
    return held;
}

void watch_held_clear(struct watch_held *held)
{
    for (size_t i = 0; i < held->count; i++) {
        if (held->entries[i].reply != NULL) {
            freeReplyObject(held->entries[i].reply);
        }
        free(held->entries[i].marks);
    }
    held->count = 0;
}

void watch_held_free(struct watch_held *held)
{
    if (held != NULL) {
        watch_held_clear(held);
        free(held);
    }
}

enum watch_look watch_held_look(const struct window_operation *operation)
{
    switch (operation->operation) {
    case EFFECT_FIRST:
    case EFFECT_LAST:
    case EFFECT_UNLESS:
    case EFFECT_HAS:
    case EFFECT_IS:
    case EFFECT_REACHES:
        return LOOK_FIELD;
    case EFFECT_ABSENT:
    case EFFECT_ONCE:
        return LOOK_KEY;
    case EFFECT_STRIKE:
    case EFFECT_DUE:
        return LOOK_SET;
    case EFFECT_ADD:
    case EFFECT_SET:
    case EFFECT_DELETE:
    case EFFECT_EXPIRE:
    case EFFECT_EXTEND:
    case EFFECT_MARK:
    case EFFECT_UNMARK:
    case EFFECT_FORGET:
    case EFFECT_PUSH:
        break;
    }
    return LOOK_NOWHERE;
}

static bool is_same(struct text a, struct text b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* Neighbours of one key share its bytes. */
static bool is_of_key(const struct entry *entry,
                      const struct window_operation *operation)
{
    return entry->of->key.bytes == operation->key.bytes ||
           is_same(entry->of->key, operation->key);
}

static struct entry *find(struct watch_held *held,
                          const struct window_operation *operation,
                          enum watch_look look)
{
    for (size_t i = 0; i < held->count; i++) {
        struct entry *entry = &held->entries[i];

        if (entry->look == look &&
            (look != LOOK_FIELD ||
             is_same(entry->of->field, operation->field)) &&
            is_of_key(entry, operation)) {
            return entry;
        }
    }
    return NULL;
}

bool watch_held_add(struct watch_held *held,
                    const struct window_operation *operation)
{
    enum watch_look look = watch_held_look(operation);

    if (look == LOOK_NOWHERE || held->count == held->most ||
        find(held, operation, look) != NULL) {
        return false;
    }
    held->entries[held->count++] =
        (struct entry){.of = operation, .look = look, .state = HELD_FAILED};
    return true;
}

size_t watch_held_count(const struct watch_held *held)
{
    return held->count;
}

/* ---- what was read ---- */

static void keep_value(struct entry *entry, struct text value)
{
    entry->state = HELD_VALUE;
    entry->length = value.length < VALUE_MAX ? value.length : VALUE_MAX;
    if (entry->length > 0) {
        memcpy(entry->value, value.bytes, entry->length);
    }
}

static struct text text_in(const redisReply *reply)
{
    struct text text = {reply->str, (size_t)reply->len};

    return text;
}

/* Members and scores in turns; the members stay in the reply. */
static bool keep_set(struct entry *entry, redisReply *reply)
{
    size_t count = (size_t)reply->elements / 2;

    entry->state = HELD_ABSENT;
    entry->reply = reply;
    if (count == 0) {
        return true;
    }
    entry->marks = calloc(count, sizeof *entry->marks);
    if (entry->marks == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const redisReply *score = reply->element[2 * i + 1];

        entry->marks[i].member = text_in(reply->element[2 * i]);
        entry->marks[i].score =
            score->str == NULL ? 0 : strtod(score->str, NULL);
    }
    entry->count = count;
    entry->size = count;
    entry->ends = true; /* as all that we make */
    return true;
}

bool watch_held_reply(struct watch_held *held, size_t index, redisReply *reply)
{
    struct entry *entry = &held->entries[index];

    if (entry->look == LOOK_SET && reply->type == REDIS_REPLY_ARRAY) {
        return keep_set(entry, reply);
    }
    if (entry->look == LOOK_FIELD && reply->type == REDIS_REPLY_STRING) {
        keep_value(entry, text_in(reply));
    } else if (reply->type == REDIS_REPLY_NIL) {
        entry->state = HELD_ABSENT;
    } else if (entry->look == LOOK_KEY && reply->type == REDIS_REPLY_INTEGER) {
        entry->state = reply->integer == 0 ? HELD_ABSENT : HELD_VALUE;
    }
    freeReplyObject(reply);
    return true;
}

/* ---- sets ---- */

static struct mark *find_mark(const struct entry *entry, struct text member)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (is_same(entry->marks[i].member, member)) {
            return &entry->marks[i];
        }
    }
    return NULL;
}

static bool add_mark(struct entry *entry, struct text member, double score)
{
    struct mark *mark = find_mark(entry, member);

    if (mark == NULL) {
        if (entry->count == entry->size) {
            size_t size = 2 * entry->size + 16;
            struct mark *marks = realloc(entry->marks, size * sizeof *marks);

            if (marks == NULL) {
                return false;
            }
            entry->marks = marks;
            entry->size = size;
        }
        mark = &entry->marks[entry->count++];
        mark->member = member;
    }
    mark->score = score;
    return true;
}

static void empty(struct entry *entry)
{
    entry->state = HELD_ABSENT;
    entry->count = 0;
    entry->ends = false;
}

static void remove_mark(struct entry *entry, size_t index)
{
    entry->marks[index] = entry->marks[--entry->count];
}

/* Of a field's digits, or a number of our own making. */
static double number_in(struct text text)
{
    char digits[64];

    text_copy(text, digits, sizeof digits);
    return strtod(digits, NULL);
}

/* "(5": below 5, not 5 itself. */
static bool is_open(struct text bound)
{
    return bound.length > 0 && bound.bytes[0] == '(';
}

static double bound_in(struct text bound)
{
    if (is_open(bound)) {
        bound.bytes++;
        bound.length--;
    }
    return number_in(bound);
}

static void forget(struct entry *entry, struct text upto)
{
    double bound = bound_in(upto);

    for (size_t i = 0; i < entry->count;) {
        double score = entry->marks[i].score;

        if (is_open(upto) ? score < bound : score <= bound) {
            remove_mark(entry, i);
        } else {
            i++;
        }
    }
}

/* How many are beyond (or at) since, up to upto; and the first of them. */
static size_t count_marks(const struct entry *entry, double since, bool open,
                          double upto, double *first)
{
    size_t count = 0;

    for (size_t i = 0; i < entry->count; i++) {
        double score = entry->marks[i].score;

        if ((open ? score > since : score >= since) && score <= upto) {
            *first = count == 0 || score < *first ? score : *first;
            count++;
        }
    }
    return count;
}

static bool is_due(const struct entry *entry,
                   const struct window_operation *operation)
{
    double since = bound_in(operation->field);
    bool open = is_open(operation->field);
    char judged[96];
    char *end;
    double upto, first;
    size_t limit, days;

    text_copy(operation->value, judged, sizeof judged);
    upto = strtod(judged, &end);
    limit = (size_t)strtoull(end, &end, 10);
    days = (size_t)strtoull(end, &end, 10);
    if (count_marks(entry, since, open, upto, &first) < limit) {
        return false;
    }
    for (size_t i = 0; i < days; i++) {
        if (count_marks(entry, since, open, upto, &first) == 0) {
            return false;
        }
        since = (floor(first / SECONDS_A_DAY) + 1) * SECONDS_A_DAY;
        open = false;
    }
    return true;
}

/* ---- fields ---- */

static int compare(const struct entry *entry, struct text value)
{
    size_t length = entry->length < value.length ? entry->length : value.length;
    int order = length == 0 ? 0 : memcmp(entry->value, value.bytes, length);

    return order != 0 ? order
                      : (entry->length > value.length) -
                            (entry->length < value.length);
}

/* Digits only, as the script has it. */
static bool reaches(const struct entry *entry, struct text value)
{
    struct text digits = {entry->value, entry->length};

    for (size_t i = 0; i < digits.length; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') {
            return false;
        }
    }
    return digits.length > 0 && number_in(digits) >= number_in(value);
}

/* What Redis takes for an integer that can be added to. */
static bool integer_in(const struct entry *entry, long long *number)
{
    char text[VALUE_MAX + 1], again[VALUE_MAX];

    text_copy((struct text){entry->value, entry->length}, text, sizeof text);
    *number = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof again, "%lld", *number);
    return strlen(text) == entry->length && strcmp(text, again) == 0;
}

static void add(struct entry *entry, struct text value)
{
    char digits[24];
    long long number = 0;

    text_copy(value, digits, sizeof digits);
    if ((entry->state == HELD_VALUE && !integer_in(entry, &number)) ||
        __builtin_add_overflow(number, strtoll(digits, NULL, 10), &number)) {
        return; /* Redis refuses it */
    }
    (void)snprintf(digits, sizeof digits, "%lld", number);
    keep_value(entry, text_of(digits));
}

/* ---- judging and changing ---- */

static enum watch_verdict verdict_of(bool holds)
{
    return holds ? VERDICT_HOLDS : VERDICT_FAILS;
}

static enum watch_verdict judge_set(struct entry *entry,
                                    const struct window_operation *operation,
                                    bool *writes)
{
    const struct mark *mark = find_mark(entry, operation->field);
    double score = number_in(operation->value);
    bool isnew = mark == NULL;

    if (operation->operation == EFFECT_DUE) {
        return verdict_of(is_due(entry, operation));
    }
    *writes = isnew || mark->score > score;
    if (*writes && !add_mark(entry, operation->field, score)) {
        return VERDICT_NO_MEMORY;
    }
    return verdict_of(isnew);
}

static enum watch_verdict judge_field(struct entry *entry,
                                      const struct window_operation *operation,
                                      bool *writes)
{
    bool absent = entry->state == HELD_ABSENT;
    int order = absent ? 0 : compare(entry, operation->value);

    if (operation->operation == EFFECT_UNLESS) {
        return verdict_of(absent || order < 0);
    }
    if (operation->operation == EFFECT_HAS) {
        return verdict_of(!absent);
    }
    if (operation->operation == EFFECT_REACHES) {
        return verdict_of(!absent && reaches(entry, operation->value));
    }
    *writes = absent ||
              (operation->operation == EFFECT_LAST ? order <= 0 : order > 0);
    if (*writes) {
        keep_value(entry, operation->value);
    }
    return verdict_of(*writes);
}

/* They say nothing against a key of another type. */
static enum watch_verdict judge_owner(const struct entry *entry,
                                      const struct window_operation *operation,
                                      bool *writes)
{
    *writes =
        operation->operation == EFFECT_ONCE && entry->state == HELD_ABSENT;
    return verdict_of(entry->look == LOOK_KEY
                          ? entry->state == HELD_ABSENT
                          : entry->state == HELD_VALUE &&
                                compare(entry, operation->value) == 0);
}

enum watch_verdict watch_held_judge(struct watch_held *held,
                                    const struct window_operation *operation,
                                    bool *writes)
{
    enum watch_look look = watch_held_look(operation);
    struct entry *entry = find(held, operation, look);

    *writes = false;
    if (entry != NULL &&
        (look == LOOK_KEY || operation->operation == EFFECT_IS)) {
        return judge_owner(entry, operation, writes);
    }
    if (entry == NULL || entry->state == HELD_FAILED) {
        return VERDICT_DAMAGED;
    }
    return look == LOOK_SET ? judge_set(entry, operation, writes)
                            : judge_field(entry, operation, writes);
}

static void change_field(struct entry *entry,
                         const struct window_operation *operation)
{
    if (entry->state == HELD_FAILED ||
        !is_same(entry->of->field, operation->field)) {
        return;
    }
    if (operation->operation == EFFECT_ADD) {
        add(entry, operation->value);
    } else if (operation->operation == EFFECT_SET) {
        if (operation->value.length == 0) {
            entry->state = HELD_ABSENT;
        } else {
            keep_value(entry, operation->value);
        }
    }
}

static bool change_set(struct entry *entry,
                       const struct window_operation *operation, bool passed)
{
    struct mark *mark = find_mark(entry, operation->field);
    enum effect_operation kind = operation->operation;

    if (kind == EFFECT_EXTEND && passed && !entry->ends) {
        empty(entry);
    } else if (kind == EFFECT_EXTEND || kind == EFFECT_EXPIRE) {
        entry->ends = true;
    }
    if (entry->state == HELD_FAILED) {
        return true;
    }
    if (kind == EFFECT_MARK) {
        return add_mark(entry, operation->field, number_in(operation->value));
    }
    if (kind == EFFECT_UNMARK && mark != NULL) {
        remove_mark(entry, (size_t)(mark - entry->marks));
    } else if (kind == EFFECT_FORGET) {
        forget(entry, operation->value);
    }
    if (entry->count == 0) {
        entry->ends = false; /* Redis keeps no empty key */
    }
    return true;
}

bool watch_held_change(struct watch_held *held,
                       const struct window_operation *operation, int64_t now_s)
{
    enum effect_operation kind = operation->operation;
    bool makes = kind == EFFECT_ONCE;
    bool times = kind == EFFECT_EXPIRE || kind == EFFECT_EXTEND || makes;
    bool passed = times && number_in(operation->value) <= (double)now_s;

    for (size_t i = 0; i < held->count; i++) {
        struct entry *entry = &held->entries[i];

        if (!is_of_key(entry, operation)) {
            continue;
        }
        if (kind == EFFECT_DELETE ||
            ((kind == EFFECT_EXPIRE || makes) && passed)) {
            empty(entry);
        } else if (entry->look == LOOK_FIELD) {
            change_field(entry, operation);
        } else if (entry->look == LOOK_KEY) {
            if (operation->value.length > 0 && (!times || makes)) {
                entry->state = HELD_VALUE;
            }
        } else if (!change_set(entry, operation, passed)) {
            return false;
        }
    }
    return true;
}
