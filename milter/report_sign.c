#include "report_sign.h"

#include "report_text.h"

#include <string.h>

/* Most headers of most mail are none of these: their length tells. */
#define NAME(literal)                                                          \
    {                                                                          \
        (literal), sizeof(literal) - 1                                         \
    }

static const struct header_row {
    struct text name;
    enum report_header header;
} headers[] = {
    {NAME("from"), REPORT_HEADER_FROM},
    {NAME("to"), REPORT_HEADER_TO},
    {NAME("subject"), REPORT_HEADER_SUBJECT},
    {NAME("content-type"), REPORT_HEADER_TYPE},
    {NAME("content-transfer-encoding"), REPORT_HEADER_ENCODING},
    {NAME("return-path"), REPORT_HEADER_RETURN_PATH},
    {NAME("x-failed-recipients"), REPORT_HEADER_FAILED},
    {NAME("auto-submitted"), REPORT_HEADER_AUTO},
    {NAME("precedence"), REPORT_HEADER_PRECEDENCE},
    {NAME("list-id"), REPORT_HEADER_LIST},
    {NAME("list-unsubscribe"), REPORT_HEADER_LIST},
    {NAME("in-reply-to"), REPORT_HEADER_ANSWER},
    {NAME("x-autoreply"), REPORT_HEADER_RESPONDER},
    {NAME("x-autorespond"), REPORT_HEADER_RESPONDER},
    {NAME("x-auto-reply-from"), REPORT_HEADER_RESPONDER},
    {NAME("x-mail-autoreply"), REPORT_HEADER_RESPONDER},
    {NAME("x-vacation"), REPORT_HEADER_RESPONDER},
    {NAME("date"), REPORT_HEADER_DATE},
};

enum report_header report_sign_header(struct text name)
{
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (name.length == headers[i].name.length &&
            report_text_begins(name, headers[i].name.bytes)) {
            return headers[i].header;
        }
    }
    return REPORT_HEADER_OTHER;
}

/* --- words in a text ---------------------------------------------------- */

#define PAIRS 1024

/* A text, lower case, and about which bytes stand side by side in it. */
struct searched {
    struct text lower;
    bool has_pair[PAIRS];
};

static size_t pair_of(char first, char second)
{
    return ((size_t)(unsigned char)first << 3 ^ (unsigned char)second) % PAIRS;
}

static void search_in(struct searched *searched, struct text lower)
{
    searched->lower = lower;
    memset(searched->has_pair, false, sizeof searched->has_pair);
    for (size_t i = 1; i < lower.length; i++) {
        searched->has_pair[pair_of(lower.bytes[i - 1], lower.bytes[i])] = true;
    }
}

/* Two pairs dismiss nearly all words of a list; all have two bytes. */
static bool may_have(const struct searched *searched, const char *word)
{
    return searched->has_pair[pair_of(word[0], word[1])] &&
           (word[2] == '\0' || searched->has_pair[pair_of(word[1], word[2])]);
}

static bool has_any(const struct searched *searched, const char *const *words,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (may_have(searched, words[i]) &&
            report_text_find_exact(searched->lower, words[i]) !=
                REPORT_TEXT_NOWHERE) {
            return true;
        }
    }
    return false;
}
#define HAS_ANY(searched, words)                                               \
    has_any((searched), (words), sizeof(words) / sizeof((words)[0]))

/* --- who sends it ------------------------------------------------------ */

/* In the address or the name of From. */
static const char *const daemons[] = {
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "mailer_daemon",
    "mail-daemon",
    "maildaemon",
    "mail delivery",
    "delivery sub",
    "delivery sys",
    "postmaster",
    "post_master",
    "post-master",
    "mdaemon",
    "mail system",
    "mail administrator",
    "system administrator",
    "mail deliverer",
    "mmdf",
    "message delivery",
    "content-filter",
    "content filter",
    "email delivery",
    "delivery agent",
    "mail_daemon",
    "maildelivery",
    "<>",
    "mail router",
    "mail server",
    "bounce handler",
    "delivery notification",
    "mail gateway",
    "failure notification",
};

/* Families of subjects, lower case; anywhere in it. */
static const char *const bounce_subjects[] = {
    "undeliver",
    "delivery status",
    "delivery fail",
    "mail delivery",
    "returned mail",
    "mail returned",
    "failure notice",
    "mail failure",
    "mail failed",
    "returning message",
    "returned to sender",
    "return to sender",
    "delivery notification",
    "non-deliver",
    "nondeliver",
    "non deliver",
    "not delivered",
    "not be delivered",
    "delivery report",
    "delivery error",
    "delivery problem",
    "delivery has failed",
    "delivery delay",
    "delayed mail",
    "delivery warning",
    "mail system error",
    "mail error",
    "mail could not",
    "message rejected",
    "mail rejected",
    "message status",
    "postmaster notify",
    "message delayed",
    "warning: could not send",
    "unable to deliver",
    "could not send",
    "couldn't send",
    "error sending",
    "rejected mail",
    "message undeliv",
    "cannot deliver",
    "failed mail",
    "failed delivery",
    "bounced",
    "mail bounce",
    "notification d'\303\251tat",
    "user unknown",
    "notice: mail",
    "delivery of your",
    "blocked mail",
    "mta-blocked",
    "you sent blocked",
    /* German, Dutch, French, Spanish, Portuguese, Italian */
    "unzustellbar",
    "nicht zustellbar",
    "zustellung",
    "konnte nicht",
    "onbestelbaar",
    "niet bezorgd",
    "non remis",
    "non distribu",
    "chec de la remise",
    "no entregado",
    "no se puede entregar",
    "no se ha podido entregar",
    "entrega fall",
    "o entregue",
    "mancato recapito",
    "mancata consegna",
    "impossibile recapitare",
    "fallo en la entrega",
    /* Czech, Polish, Russian */
    "nedoru",
    "nie dostarczono",
    "niedostarcz",
    "\320\276\321\201\321\202\320\260\320\262\320\273\320\265\320\275",
    /* Japanese, Chinese, Korean */
    "\351\205\215\344\277\241",
    "\351\200\201\344\277\241",
    "\351\205\215\351\200\201",
    "\343\202\250\343\203\251\343\203\274",
    "\351\200\200\344\277\241",
    "\346\212\225\351\200\222",
    "\353\260\230\354\206\241",
};

static const char *const delay_subjects[] = {
    "delay",
    "warning: could not send",
    "warning--could not send",
    "still being retried",
    "will be retried",
    "not yet delivered",
    "verz\303\266ger",
    "retard",
};

static const char *const automatic_subjects[] = {
    "automatic reply",
    "auto reply",
    "auto-reply",
    "autoreply",
    "auto respon",
    "auto-respon",
    "autorespon",
    "out of office",
    "out of the office",
    "out-of-office",
    "vacation",
    "on holiday",
    "abwesen",
    "automatische antwort",
    "automatisch antwoord",
    "r\303\251ponse automatique",
    "absence",
    "respuesta autom",
    "risposta automatica",
    "resposta autom",
    "autosvar",
    "away from",
    "\350\207\252\345\213\225\345\277\234\347\255\224",
    "\350\207\252\345\213\225\350\277\224\344\277\241",
    "\344\270\215\345\234\250",
    "\350\207\252\345\212\250\345\233\236\345\244\215",
};

/* It arrived, or somebody took note of it. */
static const char *const success_subjects[] = {
    "return receipt",
    "successful mail delivery",
    "successful delivery",
    "successfully deliver",
    "delivery receipt",
    "(success)",
    "(relay)",
};

/* Somebody, or a program, that takes care of a request. */
static const char *const request_subjects[] = {
    "[#",         "ticket", "[case",    "case #",         "request received",
    "your order", "parcel", "shipment", "votre commande", "ihre bestellung",
    "su pedido",
};

bool report_sign_is_daemon(struct report_memory *memory, struct text from)
{
    struct searched searched;

    search_in(&searched, report_text_lower(memory, from));
    return HAS_ANY(&searched, daemons);
}

/* --- judging ----------------------------------------------------------- */

static bool is_null_path(struct text path)
{
    return path.length > 0 &&
           (text_is(report_text_trim(path), "<>") ||
            report_text_find(path, "mailer-daemon") != REPORT_TEXT_NOWHERE);
}

static bool is_automatic(const struct report_signs *signs,
                         const struct searched *subject)
{
    struct text automatic = signs->values[REPORT_HEADER_AUTO];

    return signs->values[REPORT_HEADER_RESPONDER].bytes != NULL ||
           report_text_find(automatic, "vacation") != REPORT_TEXT_NOWHERE ||
           HAS_ANY(subject, automatic_subjects);
}

static bool is_bulk(const struct report_signs *signs)
{
    struct text precedence = signs->values[REPORT_HEADER_PRECEDENCE];

    return signs->values[REPORT_HEADER_LIST].bytes != NULL ||
           report_text_begins(precedence, "list") ||
           (report_text_begins(precedence, "bulk") && !signs->daemon);
}

static bool is_answer(const struct report_signs *signs)
{
    static const char *const prefixes[] = {
        "re:", "fw:", "fwd:", "aw:", "wg:",
        "tr:", "rv:", "sv:",  "vs:", "antw:"};

    if (signs->values[REPORT_HEADER_ANSWER].bytes != NULL &&
        !signs->null_sender) {
        return true;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (report_text_begins(signs->subject, prefixes[i])) {
            return true;
        }
    }
    return false;
}

/* A subject of success or of a request, in front of words about bounces. */
static bool is_other_notice(const struct report_signs *signs,
                            const struct searched *subject)
{
    return HAS_ANY(subject, success_subjects) ||
           report_text_begins(signs->subject, "delivered:") ||
           report_text_begins(signs->subject, "relayed:") ||
           (!signs->daemon && HAS_ANY(subject, request_subjects));
}

static enum report_strength strength_of(const struct report_signs *signs)
{
    int count = signs->null_sender + signs->subject_bounces;

    if (signs->values[REPORT_HEADER_FAILED].bytes != NULL ||
        strcmp(signs->entity.report_type, "delivery-status") == 0 ||
        (signs->daemon && count > 0)) {
        return REPORT_STRENGTH_STRONG;
    }
    if (signs->daemon || count == 2) {
        return REPORT_STRENGTH_FAIR;
    }
    return count > 0 ? REPORT_STRENGTH_WEAK : REPORT_STRENGTH_NONE;
}

void report_sign_judge(struct report_signs *signs, struct report_memory *memory,
                       bool null_sender)
{
    struct searched subject;

    report_mime_entity(signs->values[REPORT_HEADER_TYPE],
                       signs->values[REPORT_HEADER_ENCODING], &signs->entity);
    signs->subject = report_text_lower(
        memory,
        report_mime_words(memory, signs->values[REPORT_HEADER_SUBJECT]));
    search_in(&subject, signs->subject);
    signs->null_sender =
        null_sender || is_null_path(signs->values[REPORT_HEADER_RETURN_PATH]);
    signs->daemon =
        report_sign_is_daemon(memory, signs->values[REPORT_HEADER_FROM]);
    signs->subject_bounces = HAS_ANY(&subject, bounce_subjects);
    signs->subject_delays =
        signs->subject_bounces && HAS_ANY(&subject, delay_subjects);
    signs->automatic = is_automatic(signs, &subject);
    signs->bulk = is_bulk(signs);
    signs->answers = is_answer(signs);
    signs->other_notice = is_other_notice(signs, &subject);
    signs->strength = strength_of(signs);
}
