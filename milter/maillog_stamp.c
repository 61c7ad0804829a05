#include "maillog_stamp.h"

#include "maillog_scan.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#define DAY        INT64_C(86400)
#define US         INT64_C(1000000)
#define YEAR_REACH 8 /* from one 29 February to the next, over 1900 or 2100 */
#define FUTURE_MAX (3 * DAY)
#define OUT_OF_LINE                                                            \
    300 /* seconds by which hosts sharing a log may disagree                   \
         */

/* --- the calendar ------------------------------------------------------ */

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_date(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Midnight in seconds since 1970. */
static int64_t date_seconds(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400;
    static const int of_year[] = {0,   31,  59,  90,  120, 151,
                                  181, 212, 243, 273, 304, 334};

    days += of_year[month - 1] + day - 1;
    days += month > 2 && is_leap(year) ? 1 : 0;
    return (days - 719162) * DAY; /* from 0001-01-01 to 1970-01-01 */
}

static int year_of(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm tm;

    return gmtime_r(&time, &tm) == NULL || tm.tm_year < -1800 ||
                   tm.tm_year > 8000
               ? 1970
               : tm.tm_year + 1900;
}

/* --- the zone ---------------------------------------------------------- */

static int64_t offset_at(int64_t seconds, struct tm *tm)
{
    time_t time = (time_t)seconds;

    return localtime_r(&time, tm) == NULL ? 0 : (int64_t)tm->tm_gmtoff;
}

/* Of the two that a fold leaves, the one that goes on from the line before. */
static int64_t unfold(const struct maillog_stamp *stamp, int64_t early,
                      int64_t late)
{
    int64_t before = stamp->before_us / US;

    if (stamp->first) {
        return before - early <= late - before ? early : late;
    }
    return early >= before - OUT_OF_LINE ? early : late;
}

static bool is_zone(const struct tm *tm, struct text zone)
{
    return zone.length > 0 && tm->tm_zone != NULL && text_is(zone, tm->tm_zone);
}

/* local: seconds as if the wall showed UTC. zone: its abbreviation, if any. */
static int64_t from_local(const struct maillog_stamp *stamp, int64_t local,
                          struct text zone)
{
    struct tm tm_early;
    struct tm tm_late;
    int64_t early = local - offset_at(local - DAY, &tm_early);
    int64_t late = local - offset_at(local + DAY, &tm_late);
    bool has_early;
    bool has_late;

    if (early == late) {
        return early;
    }
    has_early = early + offset_at(early, &tm_early) == local;
    has_late = late + offset_at(late, &tm_late) == local;
    if (has_early != has_late) {
        return has_early ? early : late;
    }
    if (!has_early) { /* a time that the clocks jumped over */
        return early;
    }
    if (is_zone(&tm_early, zone) != is_zone(&tm_late, zone)) {
        return is_zone(&tm_early, zone) ? early : late;
    }
    return early < late ? unfold(stamp, early, late)
                        : unfold(stamp, late, early);
}

static bool is_fixed(int64_t day, int64_t *offset)
{
    struct tm tm;

    *offset = offset_at(day - DAY, &tm);
    return offset_at(day + 2 * DAY, &tm) == *offset;
}

/* --- taking apart ------------------------------------------------------ */

static int two_digits(const char *bytes)
{
    unsigned tens = (unsigned)(unsigned char)bytes[0] - '0';
    unsigned ones = (unsigned)(unsigned char)bytes[1] - '0';

    return tens > 9 || ones > 9 ? -1 : (int)(tens * 10 + ones);
}

static bool take_time(struct text *rest, int64_t *seconds)
{
    int hour;
    int minute;
    int second;

    if (rest->length < 8 || rest->bytes[2] != ':' || rest->bytes[5] != ':') {
        return false;
    }
    hour = two_digits(rest->bytes);
    minute = two_digits(rest->bytes + 3);
    second = two_digits(rest->bytes + 6);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 60) {
        return false;
    }
    *seconds = hour * 3600 + minute * 60 + second;
    maillog_skip(rest, 8);
    return true;
}

/* ".123456", of any length, or nothing: microseconds. */
static int64_t take_fraction(struct text *rest)
{
    int64_t unit = US / 10;
    int64_t us = 0;
    size_t digits = 1;

    if (rest->length < 2 || (rest->bytes[0] != '.' && rest->bytes[0] != ',') ||
        !maillog_is_digit(rest->bytes[1])) {
        return 0;
    }
    while (digits < rest->length && maillog_is_digit(rest->bytes[digits])) {
        us += (rest->bytes[digits] - '0') * unit;
        unit /= 10;
        digits++;
    }
    maillog_skip(rest, digits);
    return us;
}

/* "Z", "+01:00", "+0100", "-03". */
static bool take_offset(struct text *rest, int64_t *seconds)
{
    int64_t sign;
    int hours;
    int minutes = 0;
    size_t length = 3;

    if (rest->length >= 1 && (rest->bytes[0] == 'Z' || rest->bytes[0] == 'z')) {
        maillog_skip(rest, 1);
        *seconds = 0;
        return true;
    }
    if (rest->length < 3 || (rest->bytes[0] != '+' && rest->bytes[0] != '-')) {
        return false;
    }
    sign = rest->bytes[0] == '-' ? -1 : 1;
    hours = two_digits(rest->bytes + 1);
    if (rest->length >= 4 && rest->bytes[3] == ':') {
        length++;
    }
    if (rest->length >= length + 2 && rest->bytes[length] != ' ') {
        minutes = two_digits(rest->bytes + length);
        length += 2;
    } else {
        length = 3;
    }
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    maillog_skip(rest, length);
    *seconds = sign * (hours * 60 + minutes) * 60;
    return true;
}

static int month_of(const char *bytes)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int month = 0; month < 12; month++) {
        if (memcmp(bytes, names + month * 3, 3) == 0) {
            return month + 1;
        }
    }
    return 0;
}

/* --- without year: "Jan  2 03:04:05", "Jan 02 03:04:05.123456" --------- */

/*
 * The year that puts the day closest to the stamp before. The first stamp's is
 * not after near_us, but for clocks and zones that disagree: a log of spring
 * that is read in winter is no log of next spring.
 */
static bool find_day(const struct maillog_stamp *stamp, int month, int day,
                     int64_t *seconds)
{
    int64_t before = stamp->before_us / US;
    int middle = year_of(before);
    int64_t least = INT64_MAX;

    for (int year = middle - YEAR_REACH; year <= middle + YEAR_REACH; year++) {
        int64_t candidate;
        int64_t distance;

        if (year < 1 || !is_date(year, month, day)) {
            continue;
        }
        candidate = date_seconds(year, month, day);
        distance = candidate + DAY / 2 - before;
        if (stamp->first && distance > FUTURE_MAX) {
            break;
        }
        distance = distance < 0 ? -distance : distance;
        if (distance < least) {
            least = distance;
            *seconds = candidate;
        }
    }
    return least != INT64_MAX;
}

static bool same_day(const struct maillog_stamp *stamp, const char *bytes)
{
    int64_t distance = stamp->before_us / US - stamp->day_s;

    /* years may have passed by way of stamps of another kind */
    return stamp->has_day && memcmp(bytes, stamp->day_text, 6) == 0 &&
           distance > -100 * DAY && distance < 100 * DAY;
}

static bool learn_day(struct maillog_stamp *stamp, const char *bytes)
{
    int month = month_of(bytes);
    int day = bytes[4] == ' ' && maillog_is_digit(bytes[5])
                  ? bytes[5] - '0'
                  : two_digits(bytes + 4);

    if (month == 0 || bytes[3] != ' ' ||
        !find_day(stamp, month, day, &stamp->day_s)) {
        return false;
    }
    stamp->day_fixed = is_fixed(stamp->day_s, &stamp->day_offset_s);
    memcpy(stamp->day_text, bytes, 6);
    stamp->has_day = true;
    return true;
}

static bool take_short(struct maillog_stamp *stamp, struct text *rest,
                       int64_t *us)
{
    const struct text no_zone = {NULL, 0};
    int64_t seconds;

    if (rest->length < 16 || rest->bytes[6] != ' ' ||
        (!same_day(stamp, rest->bytes) && !learn_day(stamp, rest->bytes))) {
        return false;
    }
    maillog_skip(rest, 7);
    if (!take_time(rest, &seconds)) {
        return false;
    }
    seconds += stamp->day_s;
    seconds = stamp->day_fixed ? seconds - stamp->day_offset_s
                               : from_local(stamp, seconds, no_zone);
    *us = seconds * US + take_fraction(rest);
    return true;
}

/* --- with year: RFC 3339, short-iso, short-full ------------------------ */

static bool take_date(struct maillog_stamp *stamp, struct text *rest)
{
    const char *bytes = rest->bytes;

    if (rest->length < 10) {
        return false;
    }
    if (!stamp->has_date || memcmp(bytes, stamp->date_text, 10) != 0) {
        int century = two_digits(bytes);
        int year = two_digits(bytes + 2);
        int month = two_digits(bytes + 5);
        int day = two_digits(bytes + 8);

        if (century < 1 || year < 0 || bytes[4] != '-' || bytes[7] != '-' ||
            !is_date(century * 100 + year, month, day)) {
            return false;
        }
        stamp->date_s = date_seconds(century * 100 + year, month, day);
        memcpy(stamp->date_text, bytes, 10);
        stamp->has_date = true;
    }
    maillog_skip(rest, 10);
    return true;
}

static bool take_iso(struct maillog_stamp *stamp, struct text *rest,
                     int64_t *us)
{
    const struct text no_zone = {NULL, 0};
    int64_t seconds;
    int64_t fraction;
    int64_t offset;

    if (!take_date(stamp, rest) || rest->length < 9 ||
        (rest->bytes[0] != 'T' && rest->bytes[0] != 't')) {
        return false;
    }
    maillog_skip(rest, 1);
    if (!take_time(rest, &seconds)) {
        return false;
    }
    seconds += stamp->date_s;
    fraction = take_fraction(rest);
    if (take_offset(rest, &offset)) {
        seconds -= offset;
    } else {
        seconds = from_local(stamp, seconds, no_zone);
    }
    *us = seconds * US + fraction;
    return true;
}

/* "Fri 2026-01-02 03:04:05 CET" */
static bool take_full(struct maillog_stamp *stamp, struct text *rest,
                      int64_t *us)
{
    struct text zone;
    int64_t seconds;
    int64_t fraction;
    int64_t offset;

    maillog_skip(rest, 4);
    if (!take_date(stamp, rest) || rest->length < 10 || rest->bytes[0] != ' ') {
        return false;
    }
    maillog_skip(rest, 1);
    if (!take_time(rest, &seconds)) {
        return false;
    }
    seconds += stamp->date_s;
    fraction = take_fraction(rest);
    if (rest->length < 2 || rest->bytes[0] != ' ') {
        return false;
    }
    maillog_skip(rest, 1);
    if (take_offset(rest, &offset)) {
        seconds -= offset;
    } else {
        zone = maillog_take_before(rest, " ");
        if (!text_is(zone, "UTC") && !text_is(zone, "GMT")) {
            seconds = from_local(stamp, seconds, zone);
        }
    }
    *us = seconds * US + fraction;
    return true;
}

/* --- "1700000000.123456" ----------------------------------------------- */

static bool take_unix(struct text *rest, int64_t *us)
{
    int64_t seconds;

    if (!maillog_take_number(rest, &seconds) ||
        seconds > INT64_C(253402300799) || rest->length < 2 ||
        rest->bytes[0] != '.') {
        return false;
    }
    *us = seconds * US + take_fraction(rest);
    return true;
}

/* ----------------------------------------------------------------------- */

void maillog_stamp_init(struct maillog_stamp *stamp, int64_t near_us)
{
    memset(stamp, 0, sizeof *stamp);
    tzset();
    stamp->before_us = near_us;
    stamp->first = true;
}

static bool take_any(struct maillog_stamp *stamp, struct text *rest,
                     int64_t *us)
{
    if (rest->length < 12) {
        return false;
    }
    if (!maillog_is_digit(rest->bytes[0])) {
        return maillog_is_digit(rest->bytes[4]) && rest->bytes[8] == '-'
                   ? take_full(stamp, rest, us)
                   : take_short(stamp, rest, us);
    }
    return rest->bytes[4] == '-' ? take_iso(stamp, rest, us)
                                 : take_unix(rest, us);
}

static void note_text(struct maillog_stamp *stamp, struct text text)
{
    stamp->text_length = text.length <= sizeof stamp->text ? text.length : 0;
    memcpy(stamp->text, text.bytes, stamp->text_length);
}

bool maillog_stamp_take(struct maillog_stamp *stamp, struct text *rest,
                        int64_t *us)
{
    struct text left = *rest;

    if (stamp->text_length > 0 &&
        maillog_take_bytes(rest, stamp->text, stamp->text_length)) {
        *us = stamp->before_us;
        return true;
    }
    if (!take_any(stamp, &left, us) || left.length == 0 ||
        left.bytes[0] != ' ') {
        return false;
    }
    maillog_skip(&left, 1);
    note_text(stamp, (struct text){rest->bytes, rest->length - left.length});
    *rest = left;
    stamp->before_us = *us;
    stamp->first = false;
    return true;
}
