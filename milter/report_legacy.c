#include "report_legacy.h"

#include "report_text.h"

#include <stdlib.h>
#include <string.h>

#define OWN_MAX 16 /* addresses of From and To that are looked at */

struct candidate {
    struct text address;
    int weight;
};

struct search {
    const struct report_legacy *legacy;
    struct report_words *words;
    struct candidate *candidates;
    size_t count, most;
    struct text senders[OWN_MAX]; /* of the report */
    size_t sender_count;
    struct text own[OWN_MAX]; /* whom the report is sent to */
    size_t own_count;
    struct text summary_to; /* of a line "To:" in the text */
};

/* --- words ------------------------------------------------------------- */

static bool has_any(struct text lower, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (report_text_find_exact(lower, words[i]) != REPORT_TEXT_NOWHERE) {
            return true;
        }
    }
    return false;
}

static bool tells_failure(const struct report_words *words)
{
    return has_any(words->lower, report_failure_words,
                   report_failure_word_count);
}

static bool tells_delay(const struct report_legacy *legacy)
{
    const struct report_signs *signs = legacy->signs;

    return signs->subject_delays ||
           has_any(legacy->words->lower, report_delay_words,
                   report_delay_word_count);
}

static bool tells_success(const struct report_words *words)
{
    return has_any(words->lower, report_success_words,
                   report_success_word_count);
}

static bool has_reply(const struct report_words *words)
{
    return report_text_reply(words->text) != REPORT_TEXT_NOWHERE ||
           report_text_status(words->text).length > 0;
}

/* --- where an address stands ------------------------------------------- */

static bool is_mark(char byte)
{
    return byte != '\0' && strchr(" \t<>\"'*-+([|:=.,&", byte) != NULL;
}

/* Nothing but marks, or the number of an item. */
static bool is_decoration(struct text before)
{
    size_t i = 0;

    while (i < before.length && is_mark(before.bytes[i])) {
        i++;
    }
    for (size_t digits = 0; digits < 3 && i < before.length &&
                            before.bytes[i] >= '0' && before.bytes[i] <= '9';
         digits++) {
        i++;
    }
    if (i > 0 && i < before.length &&
        (before.bytes[i] == ')' || before.bytes[i] == '.')) {
        i++;
    }
    while (i < before.length && is_mark(before.bytes[i])) {
        i++;
    }
    return i == before.length;
}

static struct text without_marks_behind(struct text text)
{
    static const char wide_colon[] = "\357\274\232";
    size_t wide = sizeof wide_colon - 1;

    while (text.length > 0 && is_mark(text.bytes[text.length - 1])) {
        text.length--;
    }
    if (text.length >= wide &&
        memcmp(text.bytes + text.length - wide, wide_colon, wide) == 0) {
        text.length -= wide;
    }
    return text;
}

static bool is_word_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
}

/* Whether before ends in words, and those begin where a word begins. */
static bool ends_in(struct text before, const char *words)
{
    size_t length = strlen(words);
    size_t at = before.length - length;

    return length <= before.length &&
           memcmp(before.bytes + at, words, length) == 0 &&
           (at == 0 || !is_word_byte(before.bytes[at - 1]));
}

/* -1: no row fits. */
static int label_weight(struct text before)
{
    before = without_marks_behind(before);
    for (size_t i = 0; i < report_label_count; i++) {
        if (ends_in(before, report_labels[i].words)) {
            return report_labels[i].weight;
        }
    }
    return -1;
}

static int weigh_start(struct text address, struct text behind)
{
    struct report_address next;
    struct text trimmed = report_text_trim(behind);
    size_t from = 0;

    while (trimmed.length > 0 && strchr(">)]\"'.", trimmed.bytes[0]) != NULL &&
           !report_text_begins(trimmed, "...")) {
        trimmed =
            report_text_trim(report_text_part(trimmed, 1, trimmed.length));
    }
    if (trimmed.length == 0) {
        return REPORT_WEIGHT_LISTED;
    }
    if (report_text_address(trimmed, &from, &next) && next.start <= 2 &&
        report_text_same(next.address, address)) {
        return REPORT_WEIGHT_LISTED;
    }
    if (strchr(":;(-=[", trimmed.bytes[0]) != NULL ||
        report_text_begins(trimmed, "...") ||
        report_text_begins(trimmed, "on ")) {
        return REPORT_WEIGHT_LEADS;
    }
    if (report_text_reply(trimmed) != REPORT_TEXT_NOWHERE ||
        report_text_status(trimmed).length > 0) {
        return REPORT_WEIGHT_LEADS;
    }
    return REPORT_WEIGHT_LEAST;
}

/* A line may have thousands of addresses: it is looked at once. */
static bool line_fails(const struct report_words *words,
                       struct report_line *line)
{
    if (line->fails == REPORT_UNKNOWN) {
        line->fails = has_any(report_text_part(words->lower, line->start,
                                               line->end - line->start),
                              report_failure_words, report_failure_word_count)
                          ? REPORT_YES
                          : REPORT_NO;
    }
    return line->fails == REPORT_YES;
}

static bool line_replies(struct report_line *line)
{
    if (line->replies == REPORT_UNKNOWN) {
        line->replies = report_text_reply(line->text) != REPORT_TEXT_NOWHERE ||
                                report_text_status(line->text).length > 0
                            ? REPORT_YES
                            : REPORT_NO;
    }
    return line->replies == REPORT_YES;
}

static int weigh(const struct search *search,
                 const struct report_address *found)
{
    const struct report_words *words = search->words;
    struct report_line *line =
        &words->lines[report_words_line(words, found->start)];
    struct text before;
    int weight;

    if (line->summary) {
        return REPORT_WEIGHT_NEVER;
    }
    before =
        report_text_part(words->lower, line->start, found->start - line->start);
    if (is_decoration(before)) {
        weight = weigh_start(
            found->address,
            report_text_part(words->text, found->end, line->end - found->end));
        if (weight > REPORT_WEIGHT_LEAST) {
            return weight;
        }
        return line_fails(words, line) ? REPORT_WEIGHT_NAMED
                                       : REPORT_WEIGHT_LEAST;
    }
    weight = label_weight(before);
    if (weight >= 0 && weight != REPORT_WEIGHT_REPLY) {
        return weight;
    }
    return line_replies(line) || line_fails(words, line) ? REPORT_WEIGHT_REPLY
                                                         : REPORT_WEIGHT_LEAST;
}

/* --- candidates -------------------------------------------------------- */

static bool is_among(struct text address, const struct text *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (report_text_same(address, list[i])) {
            return true;
        }
    }
    return false;
}

static void add_candidate(struct search *search, struct text address,
                          int weight)
{
    for (size_t i = 0; i < search->count; i++) {
        struct candidate *candidate = &search->candidates[i];

        if (report_text_same(candidate->address, address)) {
            if (weight > candidate->weight) {
                candidate->weight = weight;
            }
            return;
        }
    }
    if (search->count < search->most) {
        search->candidates[search->count++] =
            (struct candidate){address, weight};
    }
}

static size_t header_addresses(struct text value, struct text *list)
{
    struct report_address found;
    size_t from = 0;
    size_t count = 0;

    while (count < OWN_MAX && report_text_address(value, &from, &found)) {
        list[count++] = found.address;
    }
    return count;
}

static void note_summary(struct search *search,
                         const struct report_address *found)
{
    const struct report_words *words = search->words;
    const struct report_line *line =
        &words->lines[report_words_line(words, found->start)];

    if (line->summary && search->summary_to.bytes == NULL &&
        report_text_begins(line->text, "to:")) {
        search->summary_to = found->address;
    }
}

/* Whom reports name as one to ask, mostly. */
static bool is_helper(struct text address)
{
    static const char *const helpers[] = {
        "postmaster@", "abuse@",    "support@",       "helpdesk@",
        "noreply@",    "no-reply@", "mailer-daemon@", "webmaster@",
    };

    for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++) {
        if (report_text_begins(address, helpers[i])) {
            return true;
        }
    }
    return false;
}

static void find_candidates(struct search *search)
{
    struct report_address found;
    size_t from = 0;

    if (search->words->line_count == 0) {
        return;
    }
    while (report_text_address(search->words->text, &from, &found)) {
        int weight;

        note_summary(search, &found);
        weight = weigh(search, &found);
        if (weight == REPORT_WEIGHT_NEVER ||
            is_among(found.address, search->senders, search->sender_count)) {
            continue;
        }
        /* whom the report is sent to is hardly ever whom it is about */
        if (is_among(found.address, search->own, search->own_count) ||
            is_helper(found.address)) {
            weight = weight >= REPORT_WEIGHT_LEADS ? REPORT_WEIGHT_OWN
                                                   : REPORT_WEIGHT_NEVER;
        }
        if (weight > REPORT_WEIGHT_NEVER) {
            add_candidate(search, found.address, weight);
        }
    }
}

static int best_weight(const struct search *search)
{
    int best = REPORT_WEIGHT_NEVER;

    for (size_t i = 0; i < search->count; i++) {
        if (search->candidates[i].weight > best) {
            best = search->candidates[i].weight;
        }
    }
    return best;
}

/* --- choosing ---------------------------------------------------------- */

static bool add(struct report_build *build, struct text address)
{
    struct report_recipient *recipient = report_build_add(build);

    if (recipient == NULL) {
        return false;
    }
    recipient->final_recipient = address;
    return true;
}

static const char *add_weighing(const struct search *search,
                                struct report_build *build, int least)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->candidates[i].weight >= least &&
            !add(build, search->candidates[i].address)) {
            break;
        }
    }
    switch (least) {
    case REPORT_WEIGHT_LEADS:
        return "address on a line of its own";
    case REPORT_WEIGHT_NAMED:
        return "address behind words that name a recipient";
    case REPORT_WEIGHT_REPLY:
        return "address in a reply";
    default:
        return "only address in the text";
    }
}

/* X-Failed-Recipients, unless the text lists others and none of them. */
static const char *add_failed(const struct search *search,
                              struct report_build *build)
{
    struct text value = search->legacy->signs->values[REPORT_HEADER_FAILED];
    struct report_address found;
    size_t from = 0;
    bool known = best_weight(search) < REPORT_WEIGHT_LEADS;

    while (!known && report_text_address(value, &from, &found)) {
        for (size_t i = 0; i < search->count; i++) {
            known =
                known || (search->candidates[i].weight >= REPORT_WEIGHT_NAMED &&
                          report_text_same(search->candidates[i].address,
                                           found.address));
        }
    }
    if (!known) {
        return NULL;
    }
    from = 0;
    while (report_text_address(value, &from, &found)) {
        bool again = false;

        for (size_t i = 0; i < build->count && !again; i++) {
            again = report_text_same(build->recipients[i].final_recipient,
                                     found.address);
        }
        if (!again && !add(build, found.address)) {
            break;
        }
    }
    return build->count > 0 ? "X-Failed-Recipients" : NULL;
}

static const char *choose(const struct search *search,
                          struct report_build *build)
{
    const struct report_signs *signs = search->legacy->signs;
    int best = best_weight(search);
    const char *rule = NULL;

    if (signs->values[REPORT_HEADER_FAILED].bytes != NULL) {
        rule = add_failed(search, build);
    }
    if (rule != NULL) {
        return rule;
    }
    if (best >= REPORT_WEIGHT_LEADS) {
        return add_weighing(search, build, REPORT_WEIGHT_LEADS);
    }
    if (signs->strength < REPORT_STRENGTH_FAIR) {
        return NULL;
    }
    if (best >= REPORT_WEIGHT_NAMED) {
        return add_weighing(search, build, REPORT_WEIGHT_NAMED);
    }
    /* a postmaster writes of other things too, with numbers in them */
    if (!signs->subject_bounces && !search->legacy->returned &&
        report_text_status(search->words->text).length == 0) {
        return NULL;
    }
    if (best >= REPORT_WEIGHT_REPLY) {
        return add_weighing(search, build, REPORT_WEIGHT_REPLY);
    }
    if (best >= REPORT_WEIGHT_OWN) {
        return add_weighing(search, build, REPORT_WEIGHT_OWN);
    }
    if (signs->strength < REPORT_STRENGTH_STRONG && !search->legacy->returned) {
        return NULL;
    }
    if (search->legacy->to.bytes != NULL && add(build, search->legacy->to)) {
        return "recipient of the returned message";
    }
    if (search->summary_to.bytes != NULL &&
        !is_among(search->summary_to, search->own, search->own_count) &&
        add(build, search->summary_to)) {
        return "To in the text";
    }
    return search->count == 1 ? add_weighing(search, build, REPORT_WEIGHT_LEAST)
                              : NULL;
}

/* Whoever delivered it wrote down a sender: an MTA gives its bounces none. */
static bool has_sender(const struct report_signs *signs)
{
    return signs->values[REPORT_HEADER_RETURN_PATH].length > 0 &&
           !signs->null_sender;
}

/*
 * The fewer signs the headers have, the more the text must tell: a postmaster
 * sends digests too, and shops write of deliveries that failed.
 */
static bool may_be_bounce(const struct report_legacy *legacy)
{
    const struct report_signs *signs = legacy->signs;
    const struct report_words *words = legacy->words;
    bool failed;

    if (signs->values[REPORT_HEADER_FAILED].bytes != NULL && signs->daemon) {
        return true;
    }
    if (signs->strength == REPORT_STRENGTH_NONE || signs->automatic ||
        (signs->bulk &&
         (signs->strength < REPORT_STRENGTH_STRONG || has_sender(signs))) ||
        (signs->answers && !signs->daemon)) {
        return false;
    }
    failed = tells_failure(words);
    if (signs->strength == REPORT_STRENGTH_STRONG) {
        return failed || !tells_success(words);
    }
    if (signs->subject_bounces && signs->strength == REPORT_STRENGTH_FAIR) {
        return failed || has_reply(words) || tells_delay(legacy);
    }
    return failed && has_reply(words) && (signs->daemon || legacy->returned);
}

/* A list of addresses with one reason below it: it is that of all. */
static void share_diagnostics(struct report_build *build)
{
    for (size_t i = build->count; i-- > 1;) {
        struct report_recipient *above = &build->recipients[i - 1];

        if (above->diagnostic.length == 0) {
            above->diagnostic = build->recipients[i].diagnostic;
            above->status = build->recipients[i].status;
        }
    }
}

const char *report_legacy_read(const struct report_legacy *legacy,
                               struct report_build *build)
{
    const struct report_signs *signs = legacy->signs;
    struct search search = {.legacy = legacy, .words = legacy->words};
    const struct report_format *format;
    bool delayed, expands;
    const char *rule;

    if (!may_be_bounce(legacy)) {
        return NULL;
    }
    search.most = build->most;
    search.candidates = report_memory_take(
        build->work, search.most * sizeof *search.candidates);
    if (search.candidates == NULL) {
        return NULL;
    }
    search.sender_count =
        header_addresses(signs->values[REPORT_HEADER_FROM], search.senders);
    search.own_count =
        header_addresses(signs->values[REPORT_HEADER_TO], search.own);
    find_candidates(&search);
    rule = choose(&search, build);
    format = report_legacy_format(signs, legacy->words);
    delayed = tells_delay(legacy);
    expands = has_any(legacy->words->lower, report_expansion_words,
                      report_expansion_word_count);
    for (size_t i = 0; i < build->count; i++) {
        struct report_recipient *recipient = &build->recipients[i];

        recipient->action =
            delayed ? REPORT_ACTION_DELAYED : REPORT_ACTION_FAILED;
        recipient->diagnostic =
            format != NULL ? text_of(format->means)
                           : report_legacy_said(build->work, legacy->words,
                                                recipient->final_recipient,
                                                build->count == 1);
        recipient->status = report_text_status(recipient->diagnostic);
        if (expands) {
            recipient->original_recipient = report_legacy_expanded(
                legacy->words, recipient->final_recipient);
        }
    }
    share_diagnostics(build);
    return build->count > 0 ? rule : NULL;
}
