/*
 * decimal.h - numbers as digits, where printf(3) would take too long
 *
 * Threads  any.
 */
#ifndef NIXIE_DECIMAL_H
#define NIXIE_DECIMAL_H

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

/* Right before end, which has DECIMAL_MAX bytes before it; returns how many. */
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

#endif
