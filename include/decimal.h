/*
 * decimal.h - numbers as digits, where printf(3) would take too long, and back
 *
 * Threads  any.
 */
#ifndef NIXIE_DECIMAL_H
#define NIXIE_DECIMAL_H

#include "text.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* "00" to "99" */
static inline void decimal_put_two(char *at, uint32_t number)
{
    static const char digits[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334"
        "3536373839404142434445464748495051525354555657585960616263646566676869"
        "707172737475767778798081828384858687888990919293949596979899";

    memcpy(at, digits + (size_t)2 * number, 2);
}

/* How many digits the number has. */
static inline size_t decimal_digits(uint64_t number)
{
    static const uint64_t powers[DECIMAL_MAX] = {
        1,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    /* a bit is 0.301 digits: it is as many, or one more */
    size_t bits = 64 - (size_t)__builtin_clzll(number | 1);
    size_t count = bits * 1233 >> 12;

    return count + ((number | 1) >= powers[count] ? 1 : 0);
}

/* Right before end, which has room for all digits; returns how many. */
static inline size_t decimal_put_before(char *end, uint64_t number)
{
    char *at = end;

    while (number >= 100) {
        uint64_t rest = number / 100;

        at -= 2;
        decimal_put_two(at, (uint32_t)(number - rest * 100));
        number = rest;
    }
    if (number >= 10) {
        at -= 2;
        decimal_put_two(at, (uint32_t)number);
    } else {
        *--at = (char)('0' + number);
    }
    return (size_t)(end - at);
}

/* At most 18 digits and nothing else; 0 when it is no such number. */
static inline int64_t decimal_or_zero(struct text text)
{
    int64_t number = 0;

    if (text.length > 18) {
        return 0;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return 0;
        }
        number = number * 10 + (text.bytes[i] - '0');
    }
    return number;
}

#endif
