#include "clock.h"

#include "decimal.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#define US_PER_SECOND INT64_C(1000000)
#define EPOCH         "1970-01-01T00:00:00.000000Z"

static int64_t clock_us(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now); /* fails only for an unknown clock */
    return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

/* Days since 1970-01-01 of what four digits hold: 0000-01-01, 9999-12-31. */
#define FIRST_DAY INT64_C(-719528)
#define LAST_DAY  INT64_C(2932896)

/*
 * The Gregorian date; inverse of days_from_date(). In 32 bits, which are
 * divided faster: years begin in March, and 400 too early, so that all is
 * positive.
 */
static void put_date(char timestamp[CLOCK_TIMESTAMP_SIZE], int64_t days)
{
    uint32_t shifted = (uint32_t)(days + 719468 + 146097);
    uint32_t era = shifted / 146097;
    uint32_t day_of_era = shifted - era * 146097;
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 +
                            day_of_era / 36524 - day_of_era / 146096) /
                           365;
    uint32_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    uint32_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0) - 400;

    decimal_put_two(timestamp, year / 100);
    decimal_put_two(timestamp + 2, year % 100);
    decimal_put_two(timestamp + 5, month);
    decimal_put_two(timestamp + 8,
                    day_of_year - (153 * from_march + 2) / 5 + 1);
}

static void put_time(char timestamp[CLOCK_TIMESTAMP_SIZE], uint32_t second)
{
    decimal_put_two(timestamp + 11, second / 3600);
    decimal_put_two(timestamp + 14, second / 60 % 60);
    decimal_put_two(timestamp + 17, second % 60);
}

static void put_fraction(char timestamp[CLOCK_TIMESTAMP_SIZE],
                         uint32_t fraction)
{
    decimal_put_two(timestamp + 20, fraction / 10000);
    decimal_put_two(timestamp + 22, fraction / 100 % 100);
    decimal_put_two(timestamp + 24, fraction % 100);
}

/* False: it is of no year that four digits hold. */
static bool put_second(char timestamp[CLOCK_TIMESTAMP_SIZE], int64_t seconds)
{
    const int64_t day_s = 86400;
    int64_t days = (seconds >= 0 ? seconds : seconds - (day_s - 1)) / day_s;

    memcpy(timestamp, EPOCH, CLOCK_TIMESTAMP_SIZE);
    if (days < FIRST_DAY || days > LAST_DAY) {
        return false;
    }
    put_date(timestamp, days);
    put_time(timestamp, (uint32_t)(seconds - days * day_s));
    return true;
}

/* The second that was written last: often the next one is the same. */
static _Thread_local struct {
    int64_t seconds;
    char timestamp[CLOCK_TIMESTAMP_SIZE];
} written = {0, EPOCH};

void clock_format(int64_t us, char timestamp[CLOCK_TIMESTAMP_SIZE])
{
    int64_t seconds = us / US_PER_SECOND;
    int64_t fraction = us - seconds * US_PER_SECOND;

    if (fraction < 0) {
        fraction += US_PER_SECOND;
        seconds--;
    }
    if (seconds != written.seconds) {
        if (!put_second(timestamp, seconds)) {
            return;
        }
        written.seconds = seconds;
        memcpy(written.timestamp, timestamp, CLOCK_TIMESTAMP_SIZE);
    } else {
        memcpy(timestamp, written.timestamp, CLOCK_TIMESTAMP_SIZE);
    }
    if (fraction > 0) {
        put_fraction(timestamp, (uint32_t)fraction);
    }
}

/* The number of count digits at *position, which moves behind them; or -1. */
static int take_digits(const char **position, const char *end, int count)
{
    int number = 0;

    if (end - *position < count) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char digit = *(*position)++;

        if (digit < '0' || digit > '9') {
            return -1;
        }
        number = number * 10 + (digit - '0');
    }
    return number;
}

static bool take_character(const char **position, const char *end,
                           const char *wanted)
{
    if (*position == end || strchr(wanted, **position) == NULL ||
        **position == '\0') {
        return false;
    }
    (*position)++;
    return true;
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year =
        (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static bool take_fraction(const char **position, const char *end,
                          int64_t *fraction)
{
    int64_t unit = US_PER_SECOND / 10;
    int digits = 0;

    *fraction = 0;
    if (!take_character(position, end, ".")) {
        return true;
    }
    while (*position < end && **position >= '0' && **position <= '9') {
        *fraction += (**position - '0') * unit;
        unit /= 10;
        digits++;
        (*position)++;
    }
    return digits >= 1 && digits <= 9;
}

static bool take_offset(const char **position, const char *end,
                        int64_t *seconds)
{
    int hours;
    int minutes;
    bool west;

    *seconds = 0;
    if (take_character(position, end, "Zz")) {
        return true;
    }
    if (*position == end || (**position != '+' && **position != '-')) {
        return false;
    }
    west = *(*position)++ == '-';
    hours = take_digits(position, end, 2);
    if (hours < 0 || hours > 23 || !take_character(position, end, ":")) {
        return false;
    }
    minutes = take_digits(position, end, 2);
    if (minutes < 0 || minutes > 59) {
        return false;
    }
    *seconds = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
    return true;
}

static bool parse(const char *text, size_t length, int64_t *us)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30,
                                     31, 31, 30, 31, 30, 31};
    const char *position = text;
    const char *end = text + length;
    int year = take_digits(&position, end, 4);
    int month = take_character(&position, end, "-")
                    ? take_digits(&position, end, 2)
                    : -1;
    int day = take_character(&position, end, "-")
                  ? take_digits(&position, end, 2)
                  : -1;
    int hour = take_character(&position, end, "Tt ")
                   ? take_digits(&position, end, 2)
                   : -1;
    int minute = take_character(&position, end, ":")
                     ? take_digits(&position, end, 2)
                     : -1;
    int second = take_character(&position, end, ":")
                     ? take_digits(&position, end, 2)
                     : -1;
    int64_t fraction;
    int64_t offset;

    if (year < 0 || month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60) {
        return false;
    }
    if (!take_fraction(&position, end, &fraction) ||
        !take_offset(&position, end, &offset) || position != end) {
        return false;
    }
    *us = ((days_from_date(year, month, day) * 86400 + hour * 3600 +
            minute * 60 + second) -
           offset) *
              US_PER_SECOND +
          fraction;
    return true;
}

/* As clock_format() has written it just now? */
static bool is_written(const char *text, size_t length)
{
    static const char end[] = ".000000Z";
    const size_t second = CLOCK_TIMESTAMP_SIZE - sizeof end;

    return length == CLOCK_TIMESTAMP_SIZE - 1 &&
           memcmp(text, written.timestamp, second) == 0 &&
           memcmp(text + second, end, sizeof end - 1) == 0;
}

bool clock_parse(const char *text, size_t length, int64_t *us)
{
    if (is_written(text, length)) {
        *us = written.seconds * US_PER_SECOND;
        return true;
    }
    return parse(text, length, us);
}

bool clock_parse_duration(const char *text, int64_t *seconds)
{
    static const struct unit {
        const char *suffix;
        int64_t seconds;
    } units[] = {
        {"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800},
    };
    const int64_t most = INT64_C(36525) * 86400;
    int64_t number = 0;
    size_t digits = 0;

    while (text[digits] >= '0' && text[digits] <= '9') {
        number = number * 10 + (text[digits] - '0');
        if (++digits > 10) {
            return false;
        }
    }
    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].suffix) == 0) {
            if (number > most / units[i].seconds) {
                return false;
            }
            *seconds = number * units[i].seconds;
            return true;
        }
    }
    return false;
}
