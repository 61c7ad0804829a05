#include "recorder_fault.h"

#include "log.h"
#include "text.h"

#include <string.h>

#define FIRST_MS   100
#define LONGEST_MS 30000

/* Half of the delay to all of it: so that hosts do not come back together. */
static int64_t jitter(struct recorder_fault *fault, int64_t delay_ms)
{
    uint64_t random = fault->random == 0 ? 1 : fault->random;

    random ^= random << 13; /* xorshift: any spread will do */
    random ^= random >> 7;
    random ^= random << 17;
    fault->random = random;
    return delay_ms / 2 +
           (int64_t)(random % (uint64_t)(delay_ms - delay_ms / 2 + 1));
}

int64_t recorder_fault_count(struct recorder_fault *fault,
                             enum store_result result, int64_t now_ms,
                             bool *began)
{
    bool broke = result == STORE_LOST && fault->tries == 0;
    int64_t delay_ms = FIRST_MS;

    if (fault->tries == 0) {
        fault->since_ms = now_ms;
    }
    for (unsigned i = 1; i < fault->tries && delay_ms < LONGEST_MS; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > LONGEST_MS) {
        delay_ms = LONGEST_MS;
    }
    fault->tries++;
    *began = !broke && !fault->told;
    if (*began) {
        fault->told = true;
    }
    if (broke) {
        return 0;
    }
    return result == STORE_REFUSED ? FAULT_REFUSED_MS : jitter(fault, delay_ms);
}

bool recorder_fault_end(struct recorder_fault *fault)
{
    bool told = fault->told;

    fault->told = false;
    fault->tries = 0;
    return told;
}

/* True when the key is one of the few that are named, and was not yet. */
static bool is_new(struct recorder_dead *dead, const char *key)
{
    for (size_t i = 0; i < dead->key_count; i++) {
        if (strcmp(dead->keys[i], key) == 0) {
            return false;
        }
    }
    if (dead->key_count == DEAD_KEYS) {
        return false;
    }
    (void)text_copy(text_of(key), dead->keys[dead->key_count++],
                    sizeof dead->keys[0]);
    return true;
}

static bool tell_dead(struct recorder_dead *dead,
                      const struct recorder_refusal *refusal)
{
    if (refusal->count == 0) {
        return false;
    }
    if (!is_new(dead, refusal->key)) {
        dead->untold += refusal->count;
        return false;
    }
    log_error("redis refused effects, they are lost, more of this key are only "
              "counted: key=%s count=%llu error=\"%s\"",
              refusal->key, (unsigned long long)refusal->count, refusal->error);
    return true;
}

/* Rights that the script could not ask for first: see recorder_script.h. */
static bool tell_lost(struct recorder_dead *dead,
                      const struct recorder_refusal *refusal)
{
    if (refusal->count == 0) {
        return false;
    }
    if (dead->told_lost) {
        dead->untold += refusal->count;
        return false;
    }
    dead->told_lost = true;
    log_error("redis refused a command behind the checkpoint, its effects are "
              "lost, more are only counted: command=%s key=%s count=%llu "
              "error=\"%s\"",
              refusal->commands, refusal->key,
              (unsigned long long)refusal->count, refusal->error);
    return true;
}

bool recorder_dead_tell(struct recorder_dead *dead,
                        const struct recorder_result *result, int64_t now_ms)
{
    bool told_dead = tell_dead(dead, &result->dead);
    bool told_lost = tell_lost(dead, &result->lost);

    dead->count += result->dead.count + result->lost.count;
    if (told_dead || told_lost) {
        dead->told_ms = now_ms;
    }
    return told_dead || told_lost;
}

bool recorder_dead_sum_up(struct recorder_dead *dead, const char *instance,
                          int64_t now_ms)
{
    if (dead->untold == 0 || now_ms - dead->told_ms < DEAD_SUMMARY_MS) {
        return false;
    }
    log_error("redis refused more effects, they are lost: instance=%s "
              "count=%llu since_start=%llu",
              instance, (unsigned long long)dead->untold,
              (unsigned long long)dead->count);
    dead->untold = 0;
    dead->told_ms = now_ms;
    return true;
}
