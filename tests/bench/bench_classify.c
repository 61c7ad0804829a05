/*
 * How many replies a second are classified: bench_classify RULES [COUNT]
 *
 * The replies are made here, no two alike: what systems write, with other
 * addresses, hosts, ids, numbers and words each time, and one in five of words
 * at random, which no rule knows. The same replies then go, one rule after the
 * other, through PCRE2 with its compiler, until one is found: both must find
 * the same.
 */
#include "bounce_rules_file.h"
#include "bounce_rules_match.h"
#include "verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define REPLY_MAX     512
#define COUNT_DEFAULT 400000
#define LOOP_SHARE    20 /* of the replies, one in so many goes to PCRE2 */

/* %a address, %h host, %i IP, %q id, %n number, %w word */
static const char *const forms[] = {
    "550 5.1.1 <%a>: Recipient address rejected: User unknown in virtual "
    "mailbox table",
    "550-5.1.1 The account %a is not known at %h. Please check 550-5.1.1 the "
    "address and write to %w again. 550 5.1.1 See https://%h/help/%w?id=%q",
    "550 No such user %w here (%q)",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient %a not found by SMTP "
    "address lookup",
    "552 5.2.2 Mailbox %w of %a is over its quota of %n MB, ask %w",
    "452 4.2.2 The mailbox %a is full (%n of %n KB used) %q",
    "554 5.7.1 Service unavailable; Client host [%i] blocked using %h; %w, "
    "see https://%h/query/ip/%i",
    "550 5.7.1 [%i] Messages from your network are on our block list %q",
    "421 4.7.0 [%i] Our system has detected an unusual rate of mail from "
    "%h. Please slow down, %w. %q",
    "450 4.7.1 <%h>: Greylisted for %n seconds, please try again later",
    "450 4.7.25 Client host rejected: cannot find your hostname, [%i]",
    "550 5.7.26 Mail from %h did not pass authentication: SPF [%h] with ip: "
    "[%i] = did not pass, DKIM = %w. %q",
    "554 5.7.1 The message %q from %a was judged to be spam (score %n, %w)",
    "552 5.3.4 Message size %n exceeds the limit of %n bytes set for %h",
    "550 5.7.1 <%a>: Relay access denied for %h",
    "530 5.7.0 Must issue a STARTTLS command first, %h (%q)",
    "550 5.2.1 The account %a has been disabled since %n, contact %w",
    "550 5.4.4 Host or domain name not found. Name service error for "
    "name=%h type=MX: Host not found",
    "451 4.3.0 <%a>: Temporary lookup failure at %h (%q)",
    "554 5.4.6 Too many hops: %n, last of them %h [%i]",
    "smtp; 421 4.4.2 %h Error: timeout exceeded while %w",
    "host %h[%i] said: 550 5.1.1 <%a> %w is not a mailbox of ours (in reply "
    "to RCPT TO command)",
    "550 5.1.8 <%a>: Sender address rejected: Domain %h not found",
    "554 5.6.0 Attachment %w.exe of message %q is not allowed here",
    "550 5.1.1 El buz\303\263n %a no existe en %h",
    "550 5.1.1 L'utilisateur %a est inconnu de %h (%q)",
    "550 Empf\303\244nger %a ist auf %h nicht bekannt",
    "552 5.2.2 \351\202\256\347\256\261 %a \347\251\272\351\227\264\344\270"
    "\215\350\266\263 %q",
};
#define FORMS (sizeof forms / sizeof forms[0])

static const char *const words[] = {
    "server",   "morning", "quota",   "window",  "policy",   "paper",
    "transfer", "blue",    "account", "river",   "message",  "garden",
    "remote",   "seven",   "address", "winter",  "host",     "carpet",
    "system",   "copper",  "user",    "lantern", "delivery", "music",
    "check",    "orange",  "limit",   "stone",   "content",  "harbour",
    "filter",   "button",  "queue",   "feather", "service",  "silver",
    "error",    "castle",  "name",    "bicycle", "domain",   "thunder",
};
#define WORDS (sizeof words / sizeof words[0])

struct corpus {
    char (*replies)[REPLY_MAX];
    size_t count, bytes;
};

static uint64_t next(uint64_t *state) /* xorshift64 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const char *any_word(uint64_t *state)
{
    return words[next(state) % WORDS];
}

static int put_part(char kind, char *out, size_t size, uint64_t *state)
{
    uint64_t draw = next(state);
    unsigned low = (unsigned)(draw & 0xffffff);

    switch (kind) {
    case 'a':
        return snprintf(out, size, "%s.%x@%s%u.example.%s", any_word(state),
                        low, any_word(state), low % 100,
                        low % 2 == 0 ? "org" : "com");
    case 'h':
        return snprintf(out, size, "mx%u.%s-%s.example.net", low % 10,
                        any_word(state), any_word(state));
    case 'i':
        return snprintf(out, size, "192.%u.%u.%u", low % 256, low / 256 % 256,
                        low / 65536);
    case 'q':
        return snprintf(out, size, "%016" PRIX64, draw);
    case 'n':
        return snprintf(out, size, "%u", low);
    default:
        return snprintf(out, size, "%s", any_word(state));
    }
}

static void make_unknown(char reply[REPLY_MAX], uint64_t *state)
{
    size_t used = (size_t)snprintf(reply, REPLY_MAX, "554 ");
    size_t count = 6 + next(state) % 20;

    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(reply + used, REPLY_MAX - used, "%s ",
                                 any_word(state));
    }
    (void)put_part('q', reply + used, REPLY_MAX - used, state);
}

static void make_reply(char reply[REPLY_MAX], uint64_t *state)
{
    const char *form = forms[next(state) % FORMS];
    size_t used = 0;

    if (next(state) % 5 == 0) {
        make_unknown(reply, state);
        return;
    }
    for (; *form != '\0' && used + 64 < REPLY_MAX; form++) {
        if (*form == '%') {
            form++;
            used +=
                (size_t)put_part(*form, reply + used, REPLY_MAX - used, state);
        } else {
            reply[used++] = *form;
        }
    }
    reply[used] = '\0';
}

static bool make_corpus(struct corpus *corpus, size_t count)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

    corpus->replies = calloc(count, sizeof *corpus->replies);
    if (corpus->replies == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        make_reply(corpus->replies[i], &state);
        corpus->bytes += strlen(corpus->replies[i]);
    }
    corpus->count = count;
    return true;
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- what is measured -------------------------------------------------- */

static double measure_text(const struct corpus *corpus)
{
    struct reply_text text;
    double begin = now();

    for (size_t i = 0; i < corpus->count; i++) {
        reply_text_normalise(text_of(corpus->replies[i]), &text);
    }
    return (double)corpus->count / (now() - begin);
}

static double measure_verdict(const struct corpus *corpus,
                              const struct bounce_rules *rules,
                              struct bounce_scratch *scratch, size_t *known)
{
    struct verdict verdict;
    double begin = now();

    *known = 0;
    for (size_t i = 0; i < corpus->count; i++) {
        struct verdict_question question = {.reply =
                                                text_of(corpus->replies[i])};

        verdict_classify(rules, scratch, &question, &verdict);
        *known += verdict.source == VERDICT_RULE;
    }
    return (double)corpus->count / (now() - begin);
}

struct loop {
    struct bounce_list list;
    pcre2_code **codes; /* NULL: a rule without a pattern */
    pcre2_match_data *data;
};

static bool loop_open(struct loop *loop, const char *path)
{
    struct error error = {""};
    FILE *file = fopen(path, "re");
    bool read =
        file != NULL && bounce_rules_read(file, path, &loop->list, &error);

    if (file != NULL) {
        (void)fclose(file);
    }
    loop->codes = calloc(loop->list.count + 1, sizeof(pcre2_code *));
    loop->data = pcre2_match_data_create(1, NULL);
    if (!read || loop->codes == NULL || loop->data == NULL) {
        return false;
    }
    for (size_t i = 0; i < loop->list.count; i++) {
        const struct bounce_entry *entry = loop->list.entries[i];
        PCRE2_SIZE offset;
        int fault;

        if (entry->pattern == NULL) {
            continue;
        }
        loop->codes[i] =
            pcre2_compile((PCRE2_SPTR)entry->pattern, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_DOTALL | PCRE2_NO_UTF_CHECK |
                              PCRE2_NO_AUTO_CAPTURE,
                          &fault, &offset, NULL);
        if (loop->codes[i] == NULL ||
            pcre2_jit_compile(loop->codes[i], PCRE2_JIT_COMPLETE) != 0) {
            (void)fprintf(stderr, "PCRE2 does not take %s\n", entry->pattern);
            return false;
        }
    }
    return true;
}

static const char *loop_match(const struct loop *loop,
                              const struct bounce_question *question)
{
    struct bounce_facts facts;

    bounce_facts_take(question, &facts);
    for (size_t i = 0; i < loop->list.count; i++) {
        const struct bounce_entry *entry = loop->list.entries[i];

        if (bounce_conditions_hold(&entry->conditions, &facts) &&
            (loop->codes[i] == NULL ||
             pcre2_jit_match(loop->codes[i], (PCRE2_SPTR)question->text.bytes,
                             question->text.length, 0, 0, loop->data,
                             NULL) >= 0)) {
            return entry->id;
        }
    }
    return "";
}

static void loop_close(struct loop *loop)
{
    for (size_t i = 0; loop->codes != NULL && i < loop->list.count; i++) {
        pcre2_code_free(loop->codes[i]);
    }
    free(loop->codes);
    pcre2_match_data_free(loop->data);
    bounce_list_clear(&loop->list);
}

static double measure_loop(const struct corpus *corpus, const struct loop *loop)
{
    size_t count = corpus->count / LOOP_SHARE;
    double begin = now();

    for (size_t i = 0; i < count; i++) {
        struct reply_text text;
        struct bounce_question question;

        reply_text_normalise(text_of(corpus->replies[i]), &text);
        question = (struct bounce_question){
            .text = {text.bytes, text.length},
            .reply_code = text.code,
            .enhanced_status = text.enhanced_status,
        };
        (void)loop_match(loop, &question);
    }
    return (double)count / (now() - begin);
}

/* Replies of which the two think differently. */
static size_t count_differences(const struct corpus *corpus,
                                const struct bounce_rules *rules,
                                struct bounce_scratch *scratch,
                                const struct loop *loop)
{
    size_t differences = 0;

    for (size_t i = 0; i < corpus->count / LOOP_SHARE; i++) {
        struct verdict_question question = {.reply =
                                                text_of(corpus->replies[i])};
        struct bounce_question asked;
        struct verdict verdict;
        const char *expected;

        verdict_classify(rules, scratch, &question, &verdict);
        asked = verdict_bounce_question(&question, &verdict);
        expected = loop_match(loop, &asked);
        differences +=
            strcmp(expected, verdict.rule == NULL ? "" : verdict.rule->id) != 0;
    }
    return differences;
}

static int run(const char *path, size_t count)
{
    struct bounce_rules_source source = {path, false};
    struct bounce_scratch *scratch = NULL;
    struct corpus corpus = {0};
    struct loop loop = {0};
    struct error error = {""};
    double begin = now();
    struct bounce_rules *rules = bounce_rules_load(&source, 1, &error);
    double compiled = now() - begin;
    double verdicts;
    double looped;
    size_t differences;
    size_t known;

    if (rules == NULL || (scratch = bounce_scratch_new(rules)) == NULL ||
        !make_corpus(&corpus, count) || !loop_open(&loop, path)) {
        (void)fprintf(stderr, "bench_classify: %s\n", error.text);
        return EXIT_FAILURE;
    }
    (void)printf("%zu rules read and compiled in %.0f ms\n",
                 bounce_rules_count(rules), compiled * 1000);
    (void)printf("normalise %.0f replies/s (%zu replies, no two alike, %.1f "
                 "MB)\n",
                 measure_text(&corpus), corpus.count,
                 (double)corpus.bytes / 1e6);
    verdicts = measure_verdict(&corpus, rules, scratch, &known);
    (void)printf("classify %.0f replies/s (rules knew %.0f %%)\n", verdicts,
                 100 * (double)known / (double)corpus.count);
    looped = measure_loop(&corpus, &loop);
    (void)printf("PCRE2 loop %.0f replies/s (%zu replies), ratio %.1f\n",
                 looped, corpus.count / LOOP_SHARE, verdicts / looped);
    differences = count_differences(&corpus, rules, scratch, &loop);
    (void)printf("differences %zu\n", differences);
    loop_close(&loop);
    free(corpus.replies);
    bounce_scratch_free(scratch);
    bounce_rules_free(rules);
    return differences == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    size_t count = COUNT_DEFAULT;

    if (argc > 2) {
        count = (size_t)strtoul(argv[2], NULL, 10);
    }
    if (argc < 2 || argc > 3 || count < LOOP_SHARE) {
        (void)fputs("usage: bench_classify RULES [COUNT]\n", stderr);
        return EXIT_FAILURE;
    }
    return run(argv[1], count);
}
