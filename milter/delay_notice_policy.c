#include "delay_notice_policy.h"

#include "clock.h"

#include <string.h>
#include <strings.h>

#define HOUR_US INT64_C(3600000000)

/* --- when -------------------------------------------------------------- */

/* Whether a time that is known is past. */
static bool is_past(struct text timestamp, int64_t now_us)
{
    int64_t at_us;

    return timestamp.bytes != NULL &&
           clock_parse(timestamp.bytes, timestamp.length, &at_us) &&
           at_us <= now_us;
}

bool delay_notice_is_due(const struct event *event, int64_t after,
                         int64_t now_us)
{
    return event->type == EVENT_DELAY && after > 0 && event->attempt >= after &&
           event->attempts_left > 0 && event->recipient.length > 0 &&
           !is_past(event->next_attempt_at, now_us) &&
           !is_past(event->expires_at, now_us);
}

/* --- who --------------------------------------------------------------- */

/* Of local parts, in small letters. */
static const char *const whole[] = {
    "mailer-daemon", "postmaster", "double-bounce", "nobody",   "daemon",
    "bounce",        "bounces",    "owner",         "listserv", "majordomo",
    "mailman",       "sympa",      "ecartis",
};
static const char *const beginnings[] = {
    "owner-",  "bounce-", "bounce+",        "bounces-", "bounces+", "srs0=",
    "srs0+",   "srs0-",   "srs1=",          "srs1+",    "srs1-",    "errors-",
    "errors+", "return-", "mailer-daemon-", "msprvs1=",
};
static const char *const endings[] = {
    "-request", "-owner", "-bounce", "-bounces", "-errors", "-return", "-relay",
};
static const char *const inside[] = {
    "noreply",       "no-reply",      "no_reply",     "no.reply",
    "donotreply",    "do-not-reply",  "do_not_reply", "do.not.reply",
    "noresponder",   "no-responder",  "no_responder", "no.responder",
    "-bounces+",     "-bounce+",      "-bounces-",    "-bounce-",
    "-return-",      "+bounces",      "-owner+",      "-errors+",
    "autoresponder", "mailer-daemon",
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static bool has_inside(const char *local, size_t length, const char *word)
{
    size_t size = strlen(word);

    for (size_t i = 0; i + size <= length; i++) {
        if (strncasecmp(local + i, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const char *local, size_t length)
{
    for (size_t i = 0; i < COUNT(whole); i++) {
        if (length == strlen(whole[i]) &&
            strncasecmp(local, whole[i], length) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        size_t size = strlen(beginnings[i]);

        if (length >= size && strncasecmp(local, beginnings[i], size) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(endings); i++) {
        size_t size = strlen(endings[i]);

        if (length >= size &&
            strncasecmp(local + length - size, endings[i], size) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(inside); i++) {
        if (has_inside(local, length, inside[i])) {
            return true;
        }
    }
    return false;
}

/* VERP: news+ann=example.org@; a BATV tag (prvs=...=bob) has no plus. */
static bool is_verp(const char *local, size_t length)
{
    const char *plus = memchr(local, '+', length);

    return plus != NULL &&
           memchr(plus, '=', length - (size_t)(plus - local)) != NULL;
}

/* Controls and bytes that were no UTF-8 are in no address that works. */
static bool is_clean(const struct mailbox *mailbox)
{
    for (size_t i = 0; i < mailbox->address_length; i++) {
        unsigned char byte = (unsigned char)mailbox->address[i];

        if (byte < ' ' || byte == 0x7f) {
            return false;
        }
    }
    return strstr(mailbox->address, "\xef\xbf\xbd") == NULL;
}

bool delay_notice_takes(struct text sender, struct mailbox *mailbox)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    const char *local = mailbox->address;
    size_t length;

    if (sender.length == 0 ||
        mailbox_parse(sender, &as_it_is, mailbox) != MAILBOX_OK ||
        !is_clean(mailbox)) {
        return false;
    }
    length = mailbox->local_length;
    return strncmp(local, "\"\"@", 3) != 0 && !is_listed(local, length) &&
           !is_verp(local, length);
}

/* --- how often --------------------------------------------------------- */

static void fill(struct delay_notice_limit *limit, int64_t now_ms)
{
    int64_t passed_ms = now_ms - limit->then_ms;

    if (!limit->started || passed_ms >= HOUR_US / 1000) {
        limit->started = true;
        limit->level_us = HOUR_US;
    } else if (passed_ms > 0) {
        limit->level_us += passed_ms * 1000;
    }
    if (limit->level_us > HOUR_US) {
        limit->level_us = HOUR_US;
    }
    limit->then_ms = now_ms;
}

bool delay_notice_limit_has(struct delay_notice_limit *limit, int64_t per_hour,
                            int64_t now_ms)
{
    fill(limit, now_ms);
    return limit->level_us >= HOUR_US / per_hour;
}

bool delay_notice_limit_take(struct delay_notice_limit *limit, int64_t per_hour,
                             int64_t now_ms, bool *began)
{
    *began = false;
    if (delay_notice_limit_has(limit, per_hour, now_ms)) {
        limit->level_us -= HOUR_US / per_hour;
        return true;
    }
    *began = !limit->limiting;
    limit->limiting = true;
    limit->held_back++;
    return false;
}

bool delay_notice_limit_ended(struct delay_notice_limit *limit,
                              int64_t per_hour, int64_t now_ms,
                              uint64_t *held_back)
{
    int64_t enough_us = HOUR_US / 2;

    if (enough_us < HOUR_US / per_hour) {
        enough_us = HOUR_US / per_hour;
    }
    fill(limit, now_ms);
    if (!limit->limiting || limit->level_us < enough_us) {
        return false;
    }
    *held_back = limit->held_back;
    limit->limiting = false;
    limit->held_back = 0;
    return true;
}
