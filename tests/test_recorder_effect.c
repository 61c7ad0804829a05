#include "clock.h"
#include "recorder_effect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT     "2026-11-02T19:43:01.123456Z"
#define BARE   "637b03962a36ba2c" /* the digest of an entry added then */
#define ANN    "nixie:{00}:recipient:ann@example.org"
#define DOMAIN "nixie:{20}:domain:example.org"
#define STATS  "nixie:{00}:stats:2026110219"

#define STRIKES  "nixie:{00}:strikes:ann@example.org"
#define EVIDENCE "nixie:{00}:evidence:ann@example.org"
#define DUE      "nixie:{00}:due"
#define REQUESTS "nixie:{00}:strikes@*:ann@example.org"
#define WAITING  "nixie:{20}:waiting:example.org"
#define HOUR     "nixie:{20}:hour:2026110219"
#define DOWN     "nixie:{20}:due"
#define BY       "00000000000000aa"

/* What every outcome does that has no text. */
#define OUTCOME(type, count)                                                   \
    "add " ANN " " count " 1\n"                                                \
    "first " ANN " first_at " AT "\n"                                          \
    "last " ANN " last_at " AT "\n"                                            \
    "?set " ANN " last_type " type "\n"
#define OF_DOMAIN(type, count)                                                 \
    "add " DOMAIN " " count " 1\n"                                             \
    "first " DOMAIN " first_at " AT "\n"                                       \
    "last " DOMAIN " last_at " AT "\n"                                         \
    "?set " DOMAIN " last_type " type "\n"
#define SAYS(reason, queue_id)                                                 \
    "?set " ANN " last_reason " reason "\n"                                    \
    "?set " ANN " last_enhanced_status \n"                                     \
    "?set " ANN " last_diagnostic \n"                                          \
    "?set " ANN " last_queue_id " queue_id "\n"
#define IS_LATER "unless " ANN " last_delivery_at " AT "\n"
#define TELLS(queue_id, reason)                                                \
    "?push " EVIDENCE "  " AT " " queue_id " - - - " reason " \n"              \
    "?extend " EVIDENCE "  1828208581\n"
#define IS_DUE(since, limit, days, reason)                                     \
    "?forget " STRIKES "  (" since "\n"                                        \
    "?due " STRIKES " (" since " 1793648581 " limit " " days "\n"              \
    "?unless " ANN " due_at " BEFORE "\n"                                      \
    "?set " ANN " due_by " BY "\n"                                             \
    "?set " ANN " due_at " AT "\n"                                             \
    "?set " DUE " ann@example.org " reason "\n"
#define BEFORE "2026-11-02T19:33:01.123456Z"
#define SETTLED                                                                \
    "set " ANN " due_by \n"                                                    \
    "set " ANN " due_at \n"                                                    \
    "set " DUE " ann@example.org \n"
#define SETTLED_REQUESTS                                                       \
    "set " ANN " due_by@* \n"                                                  \
    "set " ANN " due_at@* \n"                                                  \
    "set " DUE " ann@example.org * \n"
#define IN_HOUR(what)                                                          \
    "add " HOUR " example.org|" what " 1\n"                                    \
    "add " HOUR " |" what " 1\n"                                               \
    "expire " HOUR "  1794254400\n"

static const char *const words[] = {
    [EFFECT_ADD] = "add",         [EFFECT_FIRST] = "first",
    [EFFECT_LAST] = "last",       [EFFECT_SET] = "set",
    [EFFECT_DELETE] = "delete",   [EFFECT_EXPIRE] = "expire",
    [EFFECT_EXTEND] = "extend",   [EFFECT_MARK] = "mark",
    [EFFECT_UNMARK] = "unmark",   [EFFECT_FORGET] = "forget",
    [EFFECT_PUSH] = "push",       [EFFECT_STRIKE] = "strike",
    [EFFECT_UNLESS] = "unless",   [EFFECT_HAS] = "has",
    [EFFECT_REACHES] = "reaches", [EFFECT_DUE] = "due",
    [EFFECT_IS] = "is",           [EFFECT_ABSENT] = "absent",
    [EFFECT_ONCE] = "once",
};

static const struct event_row {
    const char *name;
    enum event_type type;
    const char *recipient, *domain, *reason, *status, *text, *queue_id;
    const char *suppression_reason, *pattern, *scope, *added_at, *expires_at,
        *mode, *origin, *evidence;
    const char *trace, *trace_id; /* of a report */
    bool counted, destination, foreign;
    int64_t limit, days, window, attempt, aggregated;
    const char *effects; /* operation key field value, a line each */
} rows[] = {
    {.name = "a reception only counts, and keeps the latest time",
     .type = EVENT_RECEPTION,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .effects = "add " ANN " receptions 1\n"
                "last " ANN " last_reception_at " AT "\n"
                "add " STATS " reception 1\n"
                "add " DOMAIN " receptions 1\n"
                "last " DOMAIN " last_reception_at " AT "\n"},
    {.name = "a rejection tells what was said",
     .type = EVENT_REJECTION,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "user_unknown",
     .status = "5.1.1",
     .text = "no such user",
     .queue_id = "4bXk2s1Zq",
     .effects = "add " ANN " rejections 1\n"
                "first " ANN " first_at " AT "\n"
                "last " ANN " last_at " AT "\n"
                "?set " ANN " last_type rejection\n"
                "?set " ANN " last_reason user_unknown\n"
                "?set " ANN " last_enhanced_status 5.1.1\n"
                "?set " ANN " last_diagnostic no such user\n"
                "?set " ANN " last_queue_id 4bXk2s1Zq\n"
                "add " STATS " rejection|user_unknown 1\n"
                "add " DOMAIN " rejections 1\n"
                "first " DOMAIN " first_at " AT "\n"
                "last " DOMAIN " last_at " AT "\n"
                "?set " DOMAIN " last_type rejection\n"},
    {.name = "what a later outcome does not say is removed",
     .type = EVENT_WOULD_SUPPRESS,
     .recipient = "ann@example.org",
     .suppression_reason = "complaint",
     .reason = "policy",
     .effects = "add " ANN " would_suppress 1\n"
                "first " ANN " first_at " AT "\n"
                "last " ANN " last_at " AT "\n"
                "?set " ANN " last_type would_suppress\n"
                "?set " ANN " last_reason complaint\n"
                "?set " ANN " last_enhanced_status \n"
                "?set " ANN " last_diagnostic \n"
                "?set " ANN " last_queue_id \n"
                "add " STATS " would_suppress|complaint 1\n"},
    {.name = "an address too long for a key counts for its domain",
     .type = EVENT_SUPPRESSED,
     .domain = "example.org",
     .effects = "add " DOMAIN " suppressed 1\n"
                "first " DOMAIN " first_at " AT "\n"
                "last " DOMAIN " last_at " AT "\n"
                "?set " DOMAIN " last_type suppressed\n"
                "add nixie:{20}:stats:2026110219 suppressed 1\n"},
    {.name = "what stands for many only counts, of nobody in particular",
     .type = EVENT_SUPPRESSED,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .aggregated = 19800,
     .effects = "add " STATS " suppressed 19800\n"},
    {.name = "an added entry replaces the one before",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@Example.ORG",
     .suppression_reason = "user_unknown",
     .added_at = "2026-11-01T00:00:00.000000Z",
     .expires_at = "2026-12-02T19:43:01.000001Z",
     .mode = "observe",
     .effects = "delete nixie:suppress:ann@example.org  \n"
                "set nixie:suppress:ann@example.org reason user_unknown\n"
                "set nixie:suppress:ann@example.org added_at "
                "2026-11-01T00:00:00.000000Z\n"
                "set nixie:suppress:ann@example.org mode observe\n"
                "expire nixie:suppress:ann@example.org  1796240582\n"
                "set nixie:{00}:known suppress:ann@example.org "
                "3f31ac846f672c3a 1796240582\n" SETTLED SETTLED_REQUESTS
                "add " STATS " suppression_added 1\n"},
    {.name = "an entry without fields has the time it was added",
     .type = EVENT_SUPPRESSION_UPDATED,
     .pattern = "@example.org",
     .scope = "news",
     .mode = "enforce",
     .effects = "delete nixie:suppress@news:@example.org  \n"
                "set nixie:suppress@news:@example.org added_at " AT "\n"
                "set nixie:{20}:known suppress@news:@example.org " BARE "\n"
                "add nixie:{20}:stats:2026110219 suppression_updated 1\n"},
    {.name = "a removed entry is deleted",
     .type = EVENT_SUPPRESSION_REMOVED,
     .pattern = "@example.org",
     .effects = "delete nixie:suppress:@example.org  \n"
                "set nixie:{20}:known suppress:@example.org \n"
                "add nixie:{20}:stats:2026110219 suppression_removed 1\n"},
    {.name = "the allow list is written the same way",
     .type = EVENT_ALLOW_ADDED,
     .pattern = "ann@example.org",
     .effects =
         "delete nixie:allow:ann@example.org  \n"
         "set nixie:allow:ann@example.org added_at " AT "\n"
         "set nixie:{00}:known allow:ann@example.org " BARE "\n" SETTLED
         "delete " STRIKES "  \n" SETTLED_REQUESTS "delete " REQUESTS "  \n"
         "add " STATS " allow_added 1\n"},
    {.name = "and deleted",
     .type = EVENT_ALLOW_REMOVED,
     .pattern = "ann@example.org",
     .effects = "delete nixie:allow:ann@example.org  \n"
                "set nixie:{00}:known allow:ann@example.org \n"
                "add " STATS " allow_removed 1\n"},
    {.name = "a delivery ends what was before it",
     .type = EVENT_DELIVERY,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .effects = OUTCOME("delivery", "deliveries") SAYS(
         "",
         "4bXk2s1Zq") "last " ANN " last_delivery_at " AT "\n"
                      "?unless " ANN " escalated_at " AT "\n"
                      "?set " ANN " escalation \n"
                      "?set " ANN " escalated_at \n"
                      "last " ANN " last_delivery_at " AT "\n"
                      "?unless " ANN " due_at " AT "\n"
                      "?set " ANN " due_by \n"
                      "?set " ANN " due_at \n"
                      "?set " DUE " ann@example.org \n"
                      "forget " STRIKES "  1793648581\n"
                      "add " STATS " delivery 1\n" OF_DOMAIN(
                          "delivery",
                          "deliveries") "last " DOMAIN " last_delivery_at " AT
                                        "\n"
                                        "?set " DOMAIN
                                        " consecutive_failures \n"
                                        "?set " DOMAIN " failing_since \n"
                                        "?set " DOMAIN " due_by \n"
                                        "?set " DOWN " @example.org \n"
                                        "?has " DOMAIN " down_since \n"
                                        "?set " DOMAIN " due_by " BY "\n"
                                        "?set " DOWN " @example.org up\n"
                                        "unmark " WAITING
                                        " 4bXk2s1Zq ann@example.org "
                                        "1793648581\n" IN_HOUR("deliveries")},
    {.name = "a delay that counts is told of when it is new",
     .type = EVENT_DELAY,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .reason = "mailbox_full",
     .counted = true,
     .limit = 5,
     .window = 86400,
     .effects = OUTCOME("delay", "delays") SAYS("mailbox_full", "4bXk2s1Zq")
         IS_LATER "?strike " STRIKES " 4bXk2s1Zq 1793648581\n" TELLS(
             "4bXk2s1Zq", "mailbox_full")
             IS_LATER IS_DUE("1793562181", "5", "3", "mailbox_full") IS_LATER
     "?extend " STRIKES "  1793734981\n"
     "add " STATS " delay|mailbox_full 1\n" OF_DOMAIN(
         "delay", "delays") "mark " WAITING
                            " 4bXk2s1Zq ann@example.org 1793648581\n"
                            "extend " WAITING "  1794512581\n"},
    {.name = "a message that is put off is counted in its hour once",
     .type = EVENT_DELAY,
     .domain = "example.org",
     .reason = "system_error",
     .counted = true,
     .attempt = 1,
     .effects = OF_DOMAIN("delay", "delays")
         IN_HOUR("system_error") "add nixie:{20}:stats:2026110219 "
                                 "delay|system_error 1\n"},
    {.name = "and not at the next attempt",
     .type = EVENT_DELAY,
     .domain = "example.org",
     .reason = "system_error",
     .counted = true,
     .attempt = 2,
     .effects = OF_DOMAIN("delay", "delays") "add nixie:{20}:stats:2026110219 "
                                             "delay|system_error 1\n"},
    {.name = "a bounce that counts is told of in any case",
     .type = EVENT_BOUNCE,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .reason = "user_unknown",
     .counted = true,
     .limit = 1,
     .effects = OUTCOME("bounce", "bounces") SAYS("user_unknown", "4bXk2s1Zq")
         IS_LATER TELLS(
             "4bXk2s1Zq",
             "user_unknown") "?strike " STRIKES
                             " 4bXk2s1Zq 1793648581\n" IS_LATER IS_DUE(
                                 "1791056581", "1", "1", "user_unknown")
                                 IS_LATER
     "?extend " STRIKES "  1796240581\n"
     "add " STATS " bounce|user_unknown 1\n" OF_DOMAIN(
         "bounce", "bounces") "unmark " WAITING
                              " 4bXk2s1Zq ann@example.org 1793648581\n" IN_HOUR(
                                  "user_unknown")},
    {.name = "an expiration on the way there is the domain's",
     .type = EVENT_EXPIRATION,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "unreachable",
     .destination = true,
     .effects = OUTCOME("expiration", "expirations") SAYS(
         "unreachable",
         "") "add " STATS
             " expiration|unreachable 1\n" OF_DOMAIN(
                 "expiration",
                 "expirations") "unless " DOMAIN " last_delivery_at " AT "\n"
                                "?add " DOMAIN " consecutive_failures 1\n"
                                "?first " DOMAIN " failing_since " AT "\n"
                                "?last " DOMAIN " last_failure_at " AT "\n"
                                "?set " DOMAIN
                                " last_failure_reason unreachable\n"
                                "unless " DOMAIN " last_delivery_at " AT "\n"
                                "?reaches " DOMAIN " consecutive_failures 10\n"
                                "?unless " DOMAIN " down_since \n"
                                "?set " DOMAIN " due_by " BY "\n"
                                "?set " DOWN " @example.org down\n"},
    {.name = "a bounce that comes back is counted in its hour only",
     .type = EVENT_OUT_OF_BAND,
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .reason = "user_unknown",
     .counted = true,
     .limit = 1,
     .effects = OF_DOMAIN("out_of_band", "out_of_band")
         IN_HOUR("user_unknown") "add nixie:{20}:stats:2026110219 "
                                 "out_of_band|user_unknown 1\n"},
    {.name = "a report that does not count is a number",
     .type = EVENT_FEEDBACK,
     .recipient = "ann@example.org",
     .reason = "complaint",
     .effects = OUTCOME("feedback", "feedback")
         SAYS("complaint", "") "add " STATS " feedback|complaint 1\n"},
    {.name = "an entry of ours ends what is due",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@example.org",
     .origin = "policy",
     .evidence = "a | b",
     .effects = "is nixie:suppress:ann@example.org origin policy\n"
                "?unless nixie:suppress:ann@example.org added_at " AT "\n"
                "?delete nixie:suppress:ann@example.org  \n"
                "absent nixie:suppress:ann@example.org  \n"
                "?set nixie:suppress:ann@example.org origin policy\n"
                "?set nixie:suppress:ann@example.org added_at " AT "\n"
                "?set nixie:suppress:ann@example.org evidence a | b\n"
                "?set nixie:{00}:known suppress:ann@example.org "
                "bd871143070715dd\n" SETTLED "delete " STRIKES "  \n"
                "unless " ANN " last_delivery_at " AT "\n"
                "?add " ANN " escalation 1\n"
                "?last " ANN " escalated_at " AT "\n"
                "add " STATS " suppression_added 1\n"},
    {.name = "a lifted entry of an address starts afresh",
     .type = EVENT_SUPPRESSION_REMOVED,
     .pattern = "ann@example.org",
     .effects = "delete nixie:suppress:ann@example.org  \n"
                "set nixie:{00}:known suppress:ann@example.org \n" SETTLED
                "delete " STRIKES "  \n"
                "set " ANN " escalation \n"
                "set " ANN " escalated_at \n" SETTLED_REQUESTS
                "delete " REQUESTS "  \n"
                "set " ANN " escalation@* \n"
                "set " ANN " escalated_at@* \n"
                "add " STATS " suppression_removed 1\n"},
    {.name = "what somebody else has done in Redis only counts",
     .type = EVENT_SUPPRESSION_REMOVED,
     .pattern = "ann@example.org",
     .foreign = true,
     .effects = "add " STATS " suppression_removed 1\n"},
    {.name = "what is withheld is not due",
     .type = EVENT_SUPPRESSION_WITHHELD,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "mailbox_full",
     .effects = SETTLED "delete " STRIKES "  \n"
                        "add " STATS " suppression_withheld|mailbox_full 1\n"},
    {.name = "a request that is withheld is not due, failures may be",
     .type = EVENT_SUPPRESSION_WITHHELD,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "complaint",
     .effects =
         SETTLED_REQUESTS "delete " REQUESTS "  \n"
                          "add " STATS " suppression_withheld|complaint 1\n"},
    {.name = "an entry of ours on request ends all that is due",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@example.org",
     .origin = "policy",
     .suppression_reason = "unsubscribe",
     .effects = "is nixie:suppress:ann@example.org origin policy\n"
                "?unless nixie:suppress:ann@example.org added_at " AT "\n"
                "?delete nixie:suppress:ann@example.org  \n"
                "absent nixie:suppress:ann@example.org  \n"
                "?set nixie:suppress:ann@example.org reason unsubscribe\n"
                "?set nixie:suppress:ann@example.org origin policy\n"
                "?set nixie:suppress:ann@example.org added_at " AT "\n"
                "?set nixie:{00}:known suppress:ann@example.org "
                "38315df8c2b72672\n" SETTLED "delete " STRIKES
                "  \n" SETTLED_REQUESTS "delete " REQUESTS "  \n"
                "add " ANN " escalation@* 1\n"
                "last " ANN " escalated_at@* " AT "\n"
                "add " STATS " suppression_added 1\n"},
    {.name = "nothing is known of whom is forgotten",
     .type = EVENT_RECIPIENT_FORGOTTEN,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .effects = "delete " ANN "  \n"
                "delete " STRIKES "  \n"
                "delete nixie:{00}:evidence:ann@example.org  \n"
                "set nixie:{00}:due ann@example.org \n"
                "set nixie:{00}:due ann@example.org * \n"
                "delete " REQUESTS "  \n"
                "add " STATS " recipient_forgotten 1\n"},
    {.name = "a domain goes down",
     .type = EVENT_DOMAIN_DOWN,
     .domain = "example.org",
     .reason = "unreachable",
     .effects = "set " DOMAIN " down_since " AT "\n"
                "set " DOMAIN " down_reason unreachable\n"
                "set " DOMAIN " due_by \n"
                "set " DOWN " @example.org \n"
                "set nixie:{20}:down example.org " AT "\n"
                "add nixie:{20}:stats:2026110219 domain_down|unreachable 1\n"},
    {.name = "and comes up",
     .type = EVENT_DOMAIN_UP,
     .domain = "example.org",
     .effects = "set " DOMAIN " down_since \n"
                "set " DOMAIN " down_reason \n"
                "set " DOMAIN " due_by \n"
                "set " DOWN " @example.org \n"
                "set nixie:{20}:down example.org \n"
                "add nixie:{20}:stats:2026110219 domain_up 1\n"},
    {.name = "a breaker tells until when, and who",
     .type = EVENT_BREAKER_OPENED,
     .domain = "example.org",
     .reason = "mailbox_full",
     .expires_at = "2026-11-02T20:43:01.000000Z",
     .effects = "set nixie:{20}:breaker example.org|mailbox_full "
                "2026-11-02T20:43:01.000000Z " BY "\n"
                "add nixie:{20}:stats:2026110219 "
                "breaker_opened|mailbox_full 1\n"},
    {.name = "the breaker of all domains has a bucket of its own",
     .type = EVENT_BREAKER_CLOSED,
     .reason = "mailbox_full",
     .effects = "set nixie:{40}:breaker *|mailbox_full \n"
                "add nixie:{40}:stats:2026110219 "
                "breaker_closed|mailbox_full 1\n"},
    {.name = "a report that is not believed is in the stats alone",
     .type = EVENT_OUT_OF_BAND,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "user_unknown",
     .counted = true,
     .limit = 1,
     .trace = "none",
     .effects = "add " STATS " out_of_band|trace_none 1\n"},
    {.name = "and that of a domain in its stats",
     .type = EVENT_FEEDBACK,
     .domain = "example.org",
     .reason = "complaint",
     .trace = "none",
     .trace_id = "0011-2233",
     .effects = "add nixie:{20}:stats:2026110219 feedback|trace_none 1\n"},
    {.name = "what the log tells too is in the stats alone",
     .type = EVENT_OUT_OF_BAND,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "user_unknown",
     .trace = "valid",
     .effects = "add " STATS " out_of_band|told_by_log 1\n"},
    {.name = "a report counts once, its strike has the name of its trace",
     .type = EVENT_OUT_OF_BAND,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .reason = "user_unknown",
     .queue_id = "4bXk2s1Zq",
     .counted = true,
     .limit = 1,
     .days = 1,
     .window = 2592000,
     .trace = "valid",
     .trace_id = "0011-2233",
     .effects =
         "once nixie:{00}:seen:0011-2233|out_of_band 22 1795462981\n" OUTCOME(
             "out_of_band", "out_of_band") SAYS("user_unknown", "4bXk2s1Zq")
             IS_LATER TELLS(
                 "4bXk2s1Zq",
                 "user_unknown") "?strike " STRIKES
                                 " 0011 1793648581\n" IS_LATER IS_DUE(
                                     "1791056581", "1", "1", "user_unknown")
                                     IS_LATER
     "?extend " STRIKES "  1796240581\n"
     "add " STATS " out_of_band|user_unknown 1\n"
     "once nixie:{20}:seen:0011-2233|out_of_band 7 1795462981\n" OF_DOMAIN(
         "out_of_band", "out_of_band") IN_HOUR("user_unknown")},
    {.name = "a report in one bucket with its domain has one key for both",
     .type = EVENT_FEEDBACK,
     .recipient = "r300@example.org",
     .domain = "example.org",
     .reason = "feedback_other",
     .trace = "shared",
     .trace_id = "0011-2233",
     .effects =
         "once nixie:{20}:seen:0011-2233|feedback 13 1795462981\n"
         "add nixie:{20}:recipient:r300@example.org feedback 1\n"
         "first nixie:{20}:recipient:r300@example.org first_at " AT "\n"
         "last nixie:{20}:recipient:r300@example.org last_at " AT "\n"
         "?set nixie:{20}:recipient:r300@example.org last_type feedback\n"
         "?set nixie:{20}:recipient:r300@example.org last_reason "
         "feedback_other\n"
         "?set nixie:{20}:recipient:r300@example.org last_enhanced_status \n"
         "?set nixie:{20}:recipient:r300@example.org last_diagnostic \n"
         "?set nixie:{20}:recipient:r300@example.org last_queue_id \n"
         "add nixie:{20}:stats:2026110219 feedback|feedback_other "
         "1\n" OF_DOMAIN("feedback", "feedback")},
    {.name = "a report of success ends strikes when it is beyond doubt",
     .type = EVENT_DELIVERY,
     .recipient = "ann@example.org",
     .trace = "valid",
     .trace_id = "0011-2233",
     .effects =
         "once nixie:{00}:seen:0011-2233|delivery 19 1795462981\n" OUTCOME(
             "delivery", "deliveries")
             SAYS("", "") "last " ANN " last_delivery_at " AT "\n"
                          "?unless " ANN " escalated_at " AT "\n"
                          "?set " ANN " escalation \n"
                          "?set " ANN " escalated_at \n"
                          "last " ANN " last_delivery_at " AT "\n"
                          "?unless " ANN " due_at " AT "\n"
                          "?set " ANN " due_by \n"
                          "?set " ANN " due_at \n"
                          "?set " DUE " ann@example.org \n"
                          "forget " STRIKES "  1793648581\n"
                          "add " STATS " delivery 1\n"},
    {.name = "and not when another may have sent it",
     .type = EVENT_DELIVERY,
     .recipient = "ann@example.org",
     .domain = "example.org",
     .queue_id = "4bXk2s1Zq",
     .trace = "shared",
     .trace_id = "0011-2233",
     .effects =
         "once nixie:{00}:seen:0011-2233|delivery 9 1795462981\n" OUTCOME(
             "delivery", "deliveries")
             SAYS("", "4bXk2s1Zq") "add " STATS " delivery 1\n"
                                   "once nixie:{20}:seen:0011-2233|delivery 4 "
                                   "1795462981\n" OF_DOMAIN("delivery",
                                                            "deliveries")},
    {.name = "who waits is not told by a report",
     .type = EVENT_DELAY,
     .domain = "example.org",
     .recipient = "ann@example.org",
     .queue_id = "4bXk2s1Zq",
     .trace = "correlated",
     .trace_id = "0011-2233",
     .effects = "once nixie:{00}:seen:0011-2233|delay 9 1795462981\n" OUTCOME(
         "delay", "delays")
         SAYS("", "4bXk2s1Zq") "add " STATS " delay 1\n"
                               "once nixie:{20}:seen:0011-2233|delay 4 "
                               "1795462981\n" OF_DOMAIN("delay", "delays")},
    {.name = "a pattern that is none does nothing",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "",
     .effects = ""},
    {.name = "a scope that fits no key does nothing",
     .type = EVENT_SUPPRESSION_ADDED,
     .pattern = "ann@example.org",
     .scope = "a:b",
     .effects = ""},
    {.name = "log_open has no effect", .type = EVENT_LOG_OPEN, .effects = ""},
    {.name = "heartbeat has no effect", .type = EVENT_HEARTBEAT, .effects = ""},
    {.name = "gap has no effect", .type = EVENT_GAP, .effects = ""},
    {.name = "mark has no effect", .type = EVENT_MARK, .effects = ""},
    {.name = "store_degraded has no effect",
     .type = EVENT_STORE_DEGRADED,
     .effects = ""},
    {.name = "store_recovered has no effect",
     .type = EVENT_STORE_RECOVERED,
     .effects = ""},
};

static void fill(const struct event_row *row, struct event *event)
{
    int64_t us;

    assert_true(clock_parse(AT, strlen(AT), &us));
    event_init(event, row->type, us);
    event->recipient = text_of(row->recipient);
    event->recipient_domain = text_of(row->domain);
    event->reason = text_of(row->reason);
    event->enhanced_status = text_of(row->status);
    event->diagnostic = text_of(row->text);
    event->queue_id = text_of(row->queue_id);
    event->suppression_reason = text_of(row->suppression_reason);
    event->suppression_pattern = text_of(row->pattern);
    event->suppression_added_at = text_of(row->added_at);
    event->suppression_expires_at = text_of(row->expires_at);
    event->suppression_mode = text_of(row->mode);
    event->suppression_origin = text_of(row->origin);
    event->suppression_evidence = text_of(row->evidence);
    event->origin = text_of(row->trace == NULL ? "maillog" : "report");
    if (row->foreign) {
        event->origin = text_of("redis");
    }
    event->trace = text_of(row->trace);
    event->trace_id = text_of(row->trace_id);
    event->expires_at = text_of(row->expires_at);
    event->scope = text_of(row->scope);
    event->instance = text_of(BY);
    event->counted = row->counted;
    event->destination = row->destination;
    event->attempt = row->attempt > 0 ? row->attempt : EVENT_UNKNOWN;
    event->strike_limit = row->limit > 0 ? row->limit : EVENT_UNKNOWN;
    event->strike_days = row->days > 0 ? row->days : EVENT_UNKNOWN;
    event->strike_window_seconds =
        row->window > 0 ? row->window : EVENT_UNKNOWN;
    event->aggregated = row->aggregated > 0 ? row->aggregated : EVENT_UNKNOWN;
}

static void print(const struct effect *effects, size_t count, FILE *file)
{
    for (size_t i = 0; i < count; i++) {
        const struct effect *effect = &effects[i];

        (void)fprintf(file, "%s%s %s %.*s %.*s\n",
                      effect->conditional ? "?" : "", words[effect->operation],
                      effect->key.text, (int)effect->field.length,
                      effect->field.length > 0 ? effect->field.bytes : "",
                      (int)effect->value.length,
                      effect->value.length > 0 ? effect->value.bytes : "");
    }
}

static struct effect *new_effects(void)
{
    struct effect *effects = calloc(EFFECT_MAX, sizeof *effects);

    assert_non_null(effects);
    return effects;
}

static void each_type_has_the_effects_of_its_row(void **state)
{
    struct effect *effects = new_effects();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[8192] = "";
        FILE *file = fmemopen(text, sizeof text, "w");
        struct event event;

        assert_non_null(file);
        fill(&rows[i], &event);
        print(effects, recorder_effects("nixie:", &event, effects), file);
        assert_int_equal(fclose(file), 0);
        if (strcmp(text, rows[i].effects) != 0) {
            print_error("%s:\n%s", rows[i].name, text);
        }
        assert_string_equal(text, rows[i].effects);
    }
    free(effects);
}

/* The script gets what is of one bucket in one piece. */
static void effects_of_a_bucket_stand_side_by_side(void **state)
{
    struct effect *effects = new_effects();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool left[STORE_BUCKETS] = {false};
        struct event event;
        size_t count;

        fill(&rows[i], &event);
        count = recorder_effects("nixie:", &event, effects);
        for (size_t j = 0; j < count; j++) {
            assert_false(left[effects[j].bucket]);
            if (j + 1 < count && effects[j + 1].bucket != effects[j].bucket) {
                left[effects[j].bucket] = true;
            }
        }
    }
    free(effects);
}

static void long_texts_are_cut_between_characters(void **state)
{
    struct effect *effects = new_effects();
    char text[1000];
    struct event event;
    size_t count;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = text_of("ann@example.org");
    event.reason = (struct text){text + 1, 301}; /* begins with half of one */
    event.diagnostic = (struct text){text, 701};
    count = recorder_effects("nixie:", &event, effects);
    for (size_t i = 0; i < count; i++) {
        assert_true(effects[i].value.length <= EVENT_DIAGNOSTIC_MAX);
        assert_true(effects[i].field.length <= 64 + 1 + 9);
        if (text_is(effects[i].field, "last_diagnostic")) {
            assert_int_equal(effects[i].value.length, 512);
        }
    }
    free(effects);
}

/* All the longest, and all that an event can do. */
static void the_longest_event_fits(void **state)
{
    static const enum event_type types[] = {
        EVENT_DELIVERY,       EVENT_DELAY,
        EVENT_BOUNCE,         EVENT_EXPIRATION,
        EVENT_OUT_OF_BAND,    EVENT_FEEDBACK,
        EVENT_BREAKER_OPENED, EVENT_SUPPRESSION_ADDED};
    struct effect *effects = new_effects();
    char prefix[STORE_PREFIX_MAX + 1];
    char bytes[2000];

    (void)state;
    memset(prefix, 'p', sizeof prefix);
    prefix[STORE_PREFIX_MAX] = '\0';
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct event event;
        size_t count;

        event_init(&event, types[i], INT64_C(4102444800999999));
        for (size_t j = 0; j < event_member_count; j++) {
            struct text text = {bytes, event_members[j].limit};

            if (event_members[j].kind == EVENT_MEMBER_TEXT) {
                memcpy((char *)&event + event_members[j].offset, &text,
                       sizeof text);
            }
        }
        event.recipient_domain.length = MAILBOX_DOMAIN_MAX;
        event.instance = text_of(BY);
        event.counted = 1;
        event.destination = 1;
        event.strike_limit = INT64_MAX;
        event.strike_days = INT64_MAX;
        event.strike_window_seconds = INT64_MAX;
        event.reply_code = INT64_MAX;
        count = recorder_effects(prefix, &event, effects);
        assert_true(count < EFFECT_MAX);
        for (size_t j = 0; j < count; j++) {
            assert_true(effects[j].field.length < EFFECT_FIELD_SIZE - 1);
            assert_true(effects[j].value.bytes != effects[j].value_buffer ||
                        effects[j].value.length < EFFECT_VALUE_SIZE - 1);
        }
    }
    free(effects);
}

static void an_address_over_the_limit_has_no_key(void **state)
{
    struct effect *effects = new_effects();
    char recipient[MAILBOX_MAX + 1];
    struct event event;

    (void)state;
    memset(recipient, 'a', sizeof recipient);
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = (struct text){recipient, sizeof recipient};
    assert_int_equal(recorder_effects("nixie:", &event, effects), 0);
    event.recipient.length = MAILBOX_MAX;
    assert_int_not_equal(recorder_effects("nixie:", &event, effects), 0);
    free(effects);
}

static void bytes_of_strangers_stay_as_they_are(void **state)
{
    static const char strange[] = "a\0b\r\n*3{07}:}\"@x";
    struct effect *effects = new_effects();
    struct event event;
    size_t count;

    (void)state;
    event_init(&event, EVENT_REJECTION, 0);
    event.recipient = (struct text){strange, sizeof strange - 1};
    event.reason = event.recipient;
    count = recorder_effects("nixie:", &event, effects);
    assert_int_equal(count, 9);
    assert_true(effects[0].key.length > sizeof strange - 1);
    assert_memory_equal(effects[0].key.text + effects[0].key.length -
                            (sizeof strange - 1),
                        strange, sizeof strange - 1);
    assert_int_equal(effects[8].field.length,
                     strlen("rejection|") + sizeof strange - 1);
    free(effects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_the_effects_of_its_row),
        cmocka_unit_test(effects_of_a_bucket_stand_side_by_side),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(the_longest_event_fits),
        cmocka_unit_test(an_address_over_the_limit_has_no_key),
        cmocka_unit_test(bytes_of_strangers_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
