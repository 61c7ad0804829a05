#include "maillog_schedule.h"

#include "postconf.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define US       INT64_C(1000000)
#define DAY_S    INT64_C(86400)
#define LOOKS    100000 /* attempts ahead that are counted */
#define PERIOD_S (100 * 365 * DAY_S)

void maillog_schedule_init(struct maillog_schedule *schedule)
{
    memset(schedule, 0, sizeof *schedule);
    schedule->minimal_backoff_s = 300;
    schedule->maximal_backoff_s = 4000;
    schedule->queue_run_delay_s = 300;
    schedule->queue_lifetime_s = 5 * DAY_S;
    schedule->bounce_queue_lifetime_s = 5 * DAY_S;
}

void maillog_schedule_take_minutes(struct maillog_schedule *schedule,
                                   const int64_t *minutes, size_t count)
{
    schedule->steps = count < SCHEDULE_STEPS_MAX ? count : SCHEDULE_STEPS_MAX;
    for (size_t i = 0; i < schedule->steps; i++) {
        schedule->step_s[i] = 60 * minutes[i];
    }
}

/* ---- what Postfix has --------------------------------------------------- */

/* "300s", "5d": Postfix's units; a number alone has the parameter's own. */
static bool parse_period(struct text text, int64_t unit_s, int64_t *seconds)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {
        {'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}};
    int64_t value = 0;
    size_t at = 0;

    while (at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9' &&
           value < PERIOD_S) {
        value = 10 * value + (text.bytes[at++] - '0');
    }
    if (at == 0) {
        return false;
    }
    if (at + 1 == text.length) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (text.bytes[at] == units[i].letter) {
                unit_s = units[i].seconds;
                at++;
                break;
            }
        }
    }
    if (at != text.length || value > PERIOD_S / unit_s) {
        return false;
    }
    *seconds = value * unit_s;
    return true;
}

/* A line "name = value" without its line end. */
static bool take_parameter(struct maillog_schedule *schedule, struct text line)
{
    const struct {
        const char *name;
        int64_t unit_s;
        int64_t *value;
    } parameters[] = {
        {"minimal_backoff_time = ", 1, &schedule->minimal_backoff_s},
        {"maximal_backoff_time = ", 1, &schedule->maximal_backoff_s},
        {"queue_run_delay = ", 1, &schedule->queue_run_delay_s},
        {"maximal_queue_lifetime = ", DAY_S, &schedule->queue_lifetime_s},
        {"bounce_queue_lifetime = ", DAY_S, &schedule->bounce_queue_lifetime_s},
    };

    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        size_t length = strlen(parameters[i].name);

        if (line.length > length &&
            memcmp(line.bytes, parameters[i].name, length) == 0) {
            struct text value = {line.bytes + length, line.length - length};

            return parse_period(value, parameters[i].unit_s,
                                parameters[i].value);
        }
    }
    return false;
}

bool maillog_schedule_ask_postfix(struct maillog_schedule *schedule,
                                  struct error *error)
{
    static const char *const words[] = {
        "-x",
        "minimal_backoff_time",
        "maximal_backoff_time",
        "queue_run_delay",
        "maximal_queue_lifetime",
        "bounce_queue_lifetime",
        NULL,
    };
    struct maillog_schedule asked = *schedule;
    char *output = NULL;
    unsigned taken = 0;

    switch (postconf(NULL, words, &output)) {
    case POSTCONF_ABSENT:
        error_set(error, "no postconf on this host");
        return false;
    case POSTCONF_FAILED:
        error_set(error, "postconf gives no answer");
        return false;
    case POSTCONF_DONE:
        break;
    }
    for (const char *line = output; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        taken += take_parameter(&asked, (struct text){line, length});
        line += length + (line[length] == '\n');
    }
    free(output);
    if (taken != 5) {
        error_set(error, "postconf does not tell the times of the queue");
        return false;
    }
    asked.steps = 0;
    *schedule = asked;
    return true;
}

/* ---- what comes ---------------------------------------------------------- */

static void look_at_steps(const struct maillog_schedule *schedule,
                          const struct maillog_attempt *attempt,
                          struct maillog_horizon *horizon)
{
    int64_t at_us = attempt->at_us;

    for (size_t i = attempt->attempt < 1 ? 0 : (size_t)attempt->attempt - 1;
         i < schedule->steps; i++) {
        at_us += schedule->step_s[i] * US;
        horizon->attempts_left++;
        if (horizon->next_us == 0) {
            horizon->next_us = at_us;
        }
    }
    horizon->expires_us = at_us;
}

/* As long again as it has been in the queue, within bounds. */
static int64_t backoff(const struct maillog_schedule *schedule, int64_t age_s)
{
    if (age_s > schedule->maximal_backoff_s) {
        age_s = schedule->maximal_backoff_s;
    }
    if (age_s < schedule->minimal_backoff_s) {
        age_s = schedule->minimal_backoff_s;
    }
    return age_s > 0 ? age_s : 1;
}

static void look_at_postfix(const struct maillog_schedule *schedule,
                            const struct maillog_attempt *attempt,
                            struct maillog_horizon *horizon)
{
    int64_t begin_us =
        attempt->arrival_us > 0 ? attempt->arrival_us : attempt->first_us;
    int64_t lifetime_s = attempt->null_sender
                             ? schedule->bounce_queue_lifetime_s
                             : schedule->queue_lifetime_s;
    int64_t age_s;

    if (begin_us <= 0 || begin_us > attempt->at_us) {
        begin_us = attempt->at_us;
    }
    age_s = (attempt->at_us - begin_us) / US;
    /* it is given up by the first attempt that fails after its lifetime */
    for (int i = 0; i < LOOKS && age_s < lifetime_s; i++) {
        age_s += backoff(schedule, age_s);
        horizon->attempts_left++;
        if (horizon->next_us == 0) {
            horizon->next_us = begin_us + age_s * US;
        }
    }
    horizon->expires_us = begin_us + age_s * US;
}

void maillog_schedule_look(const struct maillog_schedule *schedule,
                           const struct maillog_attempt *attempt,
                           struct maillog_horizon *horizon)
{
    memset(horizon, 0, sizeof *horizon);
    if (schedule->steps > 0) {
        look_at_steps(schedule, attempt, horizon);
    } else {
        look_at_postfix(schedule, attempt, horizon);
    }
}
