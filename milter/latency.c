#include "latency.h"

const int64_t latency_limits_us[LATENCY_LIMITS] = {
    50,    100,   250,   500,    1000,   2500,    5000,
    10000, 25000, 50000, 100000, 250000, 1000000,
};

void latency_add(struct latency *latency, int64_t us)
{
    size_t row = 0;

    if (us < 0) {
        us = 0;
    }
    while (row < LATENCY_LIMITS && us > latency_limits_us[row]) {
        row++;
    }
    (void)atomic_fetch_add_explicit(&latency->counts[row], 1,
                                    memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&latency->sum_us, (uint64_t)us,
                                    memory_order_relaxed);
}
