#include "settings_policy.h"

#include "bounce_rules.h"
#include "bounce_rules_shipped.h"
#include "clock.h"
#include "policy.h"
#include "reason.h"
#include "settings.h"
#include "settings_value.h"

#include <stdlib.h>
#include <string.h>

#define DAY                INT64_C(86400)
#define WINDOW_LEAST_S     INT64_C(3600)
#define PAUSE_MOST_S       (30 * DAY)
#define RULES_MAX          16
#define BREAKER_COUNT_MOST 1000000

/* --- single keys -------------------------------------------------------- */

static int check_rules(cfg_t *cfg, cfg_opt_t *option)
{
    if (cfg_opt_size(option) > RULES_MAX) {
        return settings_refuse(cfg, option, "write at most 16 files");
    }
    if (settings_is_repeated(option)) {
        return settings_refuse(cfg, option, "write each file once");
    }
    return settings_check_file(cfg, option);
}

static int check_strikes(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {
        0, POLICY_STRIKES_MAX, "messages that failed; 0: they never count"};

    return settings_check_range(cfg, option, &range);
}

static int check_days(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {1, POLICY_DAYS_MAX,
                                                "days with a strike"};

    return settings_check_range(cfg, option, &range);
}

static int check_window(cfg_t *cfg, cfg_opt_t *option)
{
    int64_t seconds;

    return clock_parse_duration(settings_newest(option), &seconds) &&
                   seconds >= WINDOW_LEAST_S && seconds <= POLICY_WINDOW_MAX_S
               ? 0
               : settings_refuse(cfg, option,
                                 "write a duration of 1h to 366d, such as "
                                 "\"30d\"");
}

/* "30d", or "never". */
static bool parse_release(const char *value, int64_t *seconds)
{
    if (strcmp(value, "never") == 0) {
        *seconds = POLICY_FOR_GOOD;
        return true;
    }
    return clock_parse_duration(value, seconds) && *seconds > 0;
}

static int check_release(cfg_t *cfg, cfg_opt_t *option)
{
    unsigned count = cfg_opt_size(option);
    int64_t seconds;

    if (count > POLICY_RELEASES) {
        return settings_refuse(cfg, option,
                               "write at most 8; the last one goes for all "
                               "that follow");
    }
    if (!parse_release(settings_newest(option), &seconds)) {
        return settings_refuse(cfg, option,
                               "write durations, such as {\"7d\", \"30d\"}, or "
                               "\"never\"");
    }
    if (count > 1 && strcmp(cfg_opt_getnstr(option, count - 2), "never") == 0) {
        return settings_refuse(cfg, option,
                               "nothing comes after \"never\"; write it last");
    }
    return 0;
}

static int check_failures(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {0, BREAKER_COUNT_MOST,
                                                "failures; 0: no breaker"};

    return settings_check_range(cfg, option, &range);
}

static int check_percent(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {1, 100, "percent"};

    return settings_check_range(cfg, option, &range);
}

static int check_pause(cfg_t *cfg, cfg_opt_t *option)
{
    int64_t seconds;

    return clock_parse_duration(settings_newest(option), &seconds) &&
                   seconds > 0 && seconds <= PAUSE_MOST_S
               ? 0
               : settings_refuse(cfg, option,
                                 "write a duration of 1s to 30d, such as "
                                 "\"1h\"");
}

/* --- a section policy --------------------------------------------------- */

/* What the section gives; the rest of *policy stays. False: no memory. */
static bool take_policy(cfg_t *section, struct policy *policy)
{
    unsigned releases = cfg_size(section, "release");
    const char *window = cfg_getstr(section, "window");

    if (cfg_size(section, "strikes") > 0) {
        policy->strikes = cfg_getint(section, "strikes");
    }
    if (cfg_size(section, "days") > 0) {
        policy->days = cfg_getint(section, "days");
    }
    if (cfg_size(section, "window") > 0) {
        if (window == NULL) {
            return false;
        }
        (void)clock_parse_duration(window, &policy->window_s);
    }
    if (releases > 0) {
        policy->releases = releases;
    }
    for (unsigned i = 0; i < releases; i++) {
        const char *release = cfg_getnstr(section, "release", i);

        if (release == NULL) {
            return false;
        }
        (void)parse_release(release, &policy->release_s[i]);
    }
    return true;
}

/* The keys of one section against each other. */
static bool is_sound(cfg_t *cfg, const char *title, const struct policy *policy,
                     bool days_given)
{
    if (policy->strikes > 0 && policy->days > policy->strikes) {
        cfg_error(cfg,
                  "policy \"%s\": days = %lld%s is above strikes = %lld: a "
                  "message is a strike on one day; write days = %lld or less",
                  title, (long long)policy->days,
                  days_given ? "" : " (the default)",
                  (long long)policy->strikes, (long long)policy->strikes);
        return false;
    }
    if (policy->strikes > 0 && (policy->days - 1) * DAY > policy->window_s) {
        cfg_error(cfg,
                  "policy \"%s\": its window is too short for strikes on %lld "
                  "days: write at least \"%lldd\"",
                  title, (long long)policy->days, (long long)policy->days - 1);
        return false;
    }
    return true;
}

/* At the end of a section. */
static int check_policy(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    const char *title = cfg_title(section);
    struct policies policies;
    enum reason reason;

    if (title == NULL || !reason_parse(text_of(title), &reason)) {
        return -1; /* no memory: settings_file.c has looked at titles */
    }
    policies_init(&policies);
    return take_policy(section, &policies.of[reason]) &&
                   is_sound(cfg, title, &policies.of[reason],
                            cfg_size(section, "days") > 0)
               ? 0
               : -1;
}

void settings_policy_register(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t function;
    } checks[] = {
        {"bounce_rules", check_rules},
        {"policy", check_policy},
        {"policy|strikes", check_strikes},
        {"policy|days", check_days},
        {"policy|window", check_window},
        {"policy|release", check_release},
        /* in a scope what is not given is that of all: see take */
        {"scope|policy|strikes", check_strikes},
        {"scope|policy|days", check_days},
        {"scope|policy|window", check_window},
        {"scope|policy|release", check_release},
        {"breaker|domain_failures", check_failures},
        {"breaker|all_failures", check_failures},
        {"breaker|percent", check_percent},
        {"breaker|pause", check_pause},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        (void)cfg_set_validate_func(cfg, checks[i].key, checks[i].function);
    }
}

/* --- values ------------------------------------------------------------- */

static bool take_breaker(cfg_t *cfg, struct policy_breaker *breaker)
{
    cfg_t *section;
    const char *pause;

    policy_breaker_init(breaker);
    if (cfg_size(cfg, "breaker") == 0) {
        return true;
    }
    section = cfg_getnsec(cfg, "breaker", 0);
    pause = cfg_getstr(section, "pause");
    if (pause == NULL) {
        return false;
    }
    breaker->domain_failures = cfg_getint(section, "domain_failures");
    breaker->all_failures = cfg_getint(section, "all_failures");
    breaker->percent = cfg_getint(section, "percent");
    (void)clock_parse_duration(pause, &breaker->pause_s);
    return true;
}

/* Also where the file says the same, as whoever removes a # would have it. */
static bool is_default(char *const *files)
{
    return files[0] != NULL && files[1] != NULL && files[2] == NULL &&
           strcmp(files[0], "/etc/nixie/bounce-rules.conf") == 0 &&
           strcmp(files[1], "/usr/share/nixie/bounce-rules.conf") == 0;
}

bool settings_policies_take(cfg_t *cfg, struct policies *policies)
{
    for (unsigned i = 0; i < cfg_size(cfg, "policy"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "policy", i);
        const char *title = cfg_title(section);
        enum reason reason;

        if (title == NULL || !reason_parse(text_of(title), &reason) ||
            !take_policy(section, &policies->of[reason]) ||
            !is_sound(section, title, &policies->of[reason],
                      cfg_size(section, "days") > 0)) {
            return false;
        }
    }
    return true;
}

bool settings_policy_take(cfg_t *cfg, struct settings *settings)
{
    settings->bounce_rules = settings_copy_list(cfg, "bounce_rules");
    if (settings->bounce_rules == NULL) {
        return false;
    }
    settings->bounce_rules_is_default = is_default(settings->bounce_rules);
    policies_init(&settings->policies);
    return settings_policies_take(cfg, &settings->policies) &&
           take_breaker(cfg, &settings->breaker);
}

/* --- the rules ---------------------------------------------------------- */

/* Of a file that is not there the line that names it is what is wrong. */
static void tell_place(const struct settings *settings, struct error *error)
{
    const struct error told = *error;

    for (char *const *file = settings->bounce_rules;
         settings->bounce_rules_place != NULL && *file != NULL; file++) {
        const size_t length = strlen(*file);

        /* a fault in the file has a line of the file instead */
        if (strncmp(told.text, *file, length) == 0 &&
            strncmp(told.text + length, ": ", 2) == 0) {
            error_set(error, "%s: bounce_rules: %s",
                      settings->bounce_rules_place, told.text);
            return;
        }
    }
}

bool settings_load_rules(struct settings *settings, struct error *error)
{
    struct bounce_rules_source sources[RULES_MAX];
    char *shipped =
        settings->bounce_rules_is_default ? bounce_rules_shipped() : NULL;
    struct bounce_rules *rules;
    size_t count = 0;

    for (; settings->bounce_rules[count] != NULL; count++) {
        sources[count] = (struct bounce_rules_source){
            settings->bounce_rules[count], settings->bounce_rules_is_default};
    }
    if (shipped != NULL) {
        sources[count - 1].path = shipped; /* wherever they are installed */
    }
    rules = bounce_rules_load(sources, count, error);
    free(shipped);
    if (rules == NULL) {
        tell_place(settings, error);
        return false;
    }
    bounce_rules_free(settings->rules);
    settings->rules = rules;
    return true;
}
