#include "recorder_fault.h"

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
