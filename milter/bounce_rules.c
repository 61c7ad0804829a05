#include "bounce_rules.h"

#include "bounce_rules_file.h"
#include "bounce_rules_filter.h"
#include "bounce_rules_match.h"
#include "bounce_rules_words.h"
#include "smtp_reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/*
 * Parentheses do not capture, so nothing can refer back; \C would see half a
 * character.
 */
#define COMPILE_FLAGS                                                          \
    (PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOTALL | PCRE2_NO_AUTO_CAPTURE |   \
     PCRE2_NEVER_BACKSLASH_C)

/*
 * Of one try. A text of 2 KiB needs far less unless somebody wrote it to keep
 * us busy, or the pattern has many repeats side by side: then it is not found.
 */
#define MATCH_STEPS_MAX 100000
#define PLACES_MAX      64 /* tried one by one; more at once */
#define JIT_STACK_SIZE  ((size_t)128 * 1024)

/*
 * A branch of a rule's pattern, or the whole of it. Few of them are ever looked
 * for, so each is compiled when it is first: any thread may, one of them wins.
 */
struct part {
    size_t rule; /* in the list */
    struct text pattern;
    bool has_start;             /* then it is found only where that is */
    _Atomic(pcre2_code *) code; /* NULL: not yet */
};

struct bounce_rules {
    struct bounce_list list;
    char **paths; /* the rules point there */
    size_t path_count;
    pcre2_code **wholes; /* of each rule: its pattern, for any place, or NULL */
    struct part *parts;  /* in the order of the rules */
    size_t part_count, part_size;
    struct bounce_filter *filter; /* a pattern of it is a part */
    size_t *bare;                 /* rules without a pattern, in order */
    size_t bare_count;
};

/*
 * What was found lately: a thousand replies of a day are of a dozen texts, once
 * what differs in them is masked.
 */
#define KNOWN      512 /* a power of 2 */
#define KNOWN_TEXT 232

struct known {
    const struct bounce_rule *rule; /* NULL: none */
    int reply_code;
    enum bounce_stage stage;
    char enhanced_status[ENHANCED_STATUS_SIZE];
    size_t length; /* of text; 0: unused */
    char text[KNOWN_TEXT];
};

struct bounce_scratch {
    struct bounce_filter_state *state;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    bool by_mta; /* rules ask for the remote host: then nothing is known */
    struct known *known;
};

/* --- compiling --------------------------------------------------------- */

/* New, or NULL with error: where in the pattern, and what. */
static pcre2_code *compile(const struct bounce_rule *rule, struct text pattern,
                           uint32_t flags, struct error *error)
{
    PCRE2_SIZE offset = 0;
    int fault = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern.bytes, pattern.length,
                      COMPILE_FLAGS | flags, &fault, &offset, NULL);

    if (code == NULL) {
        PCRE2_UCHAR message[160] = "";

        (void)pcre2_get_error_message(fault, message, sizeof message);
        error_set(error,
                  "%.200s:%u: rule %s: at byte %zu of the pattern: %s: mend "
                  "it; bounce-rules(5) has examples",
                  rule->path, rule->line, rule->id, (size_t)offset + 1,
                  (const char *)message);
        return NULL;
    }
    return code;
}

/* For the processor; where there is no compiler for it, it is interpreted. */
static pcre2_code *compile_fast(const struct bounce_rules *rules,
                                const struct part *part)
{
    struct error error;
    pcre2_code *code =
        compile(&rules->list.entries[part->rule]->rule, part->pattern,
                part->has_start ? PCRE2_ANCHORED : 0, &error);

    if (code != NULL) {
        (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    }
    return code;
}

/* Borrowed; NULL: no memory, the rule's whole pattern will do. */
static const pcre2_code *code_of(const struct bounce_rules *rules,
                                 struct part *part)
{
    pcre2_code *code = atomic_load(&part->code);
    pcre2_code *made;

    if (code != NULL) {
        return code;
    }
    made = compile_fast(rules, part);
    if (atomic_compare_exchange_strong(&part->code, &code, made)) {
        return made;
    }
    pcre2_code_free(made);
    return code;
}

static bool is_found_in_nothing(const pcre2_code *code)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    bool found = data != NULL &&
                 pcre2_match(code, (PCRE2_SPTR) "", 0, 0, 0, data, NULL) >= 0;

    pcre2_match_data_free(data);
    return found;
}

static struct part *add_part(struct bounce_rules *rules, size_t rule)
{
    if (rules->part_count == rules->part_size) {
        size_t size = rules->part_size == 0 ? 256 : 2 * rules->part_size;
        struct part *parts = reallocarray(rules->parts, size, sizeof *parts);

        if (parts == NULL) {
            return NULL;
        }
        rules->parts = parts;
        rules->part_size = size;
    }
    rules->parts[rules->part_count] = (struct part){
        .rule = rule,
        .pattern = text_of(rules->list.entries[rule]->rule.pattern),
    };
    return &rules->parts[rules->part_count++];
}

/* branch NULL: nothing is known of the pattern, it is one part. */
static bool add_branch(struct bounce_rules *rules, size_t rule,
                       const struct bounce_branch *branch, struct error *error)
{
    struct part *part = add_part(rules, rule);

    if (part == NULL || !bounce_filter_add(rules->filter, branch)) {
        error_set(error, "bounce rules: out of memory");
        return false;
    }
    if (branch != NULL) {
        part->pattern.bytes += branch->begin;
        part->pattern.length = branch->end - branch->begin;
        part->has_start = branch->start != NULL;
    }
    return true;
}

static bool compile_rule(struct bounce_rules *rules, size_t index,
                         struct bounce_analysis *analysis, struct error *error)
{
    const struct bounce_rule *rule = &rules->list.entries[index]->rule;
    const struct bounce_branch *branches;
    pcre2_code *whole = compile(rule, text_of(rule->pattern), 0, error);
    size_t count;

    if (whole == NULL) {
        return false;
    }
    rules->wholes[index] = whole;
    if (is_found_in_nothing(whole)) {
        error_set(error,
                  "%.200s:%u: rule %s: the pattern is found in every text: "
                  "write what must be there",
                  rule->path, rule->line, rule->id);
        return false;
    }
    count = bounce_analysis_run(analysis, rule->pattern, &branches);
    if (count == 0) {
        return add_branch(rules, index, NULL, error);
    }
    for (size_t i = 0; i < count; i++) {
        if (!add_branch(rules, index, &branches[i], error)) {
            return false;
        }
    }
    return true;
}

static bool compile_all(struct bounce_rules *rules, struct error *error)
{
    struct bounce_analysis *analysis = bounce_analysis_new();
    bool compiled = false;

    rules->filter = bounce_filter_new();
    rules->bare = calloc(rules->list.count + 1, sizeof *rules->bare);
    rules->wholes = calloc(rules->list.count + 1, sizeof *rules->wholes);
    if (analysis == NULL || rules->filter == NULL || rules->bare == NULL ||
        rules->wholes == NULL) {
        error_set(error, "bounce rules: out of memory");
        goto out;
    }
    for (size_t i = 0; i < rules->list.count; i++) {
        if (rules->list.entries[i]->pattern == NULL) {
            rules->bare[rules->bare_count++] = i;
        } else if (!compile_rule(rules, i, analysis, error)) {
            goto out;
        }
    }
    compiled = bounce_filter_build(rules->filter);
    if (!compiled) {
        error_set(error, "bounce rules: out of memory");
    }
out:
    bounce_analysis_free(analysis);
    return compiled;
}

/* --- loading ----------------------------------------------------------- */

/* Not what would be waited for, as a FIFO is. */
static FILE *open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    FILE *file;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
    } else if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
    } else {
        file = fdopen(fd, "r");
        if (file != NULL) {
            return file;
        }
    }
    (void)close(fd);
    return NULL;
}

static bool read_source(struct bounce_rules *rules,
                        const struct bounce_rules_source *source,
                        struct error *error)
{
    char *path = strdup(source->path);
    FILE *file;
    bool read;

    if (path == NULL) {
        error_set(error, "bounce rules: out of memory");
        return false;
    }
    rules->paths[rules->path_count++] = path;
    file = open_file(path);
    if (file == NULL) {
        if (source->optional && errno == ENOENT) {
            return true;
        }
        error_set_errno(error, "%.200s: not readable", path);
        return false;
    }
    read = bounce_rules_read(file, path, &rules->list, error);
    (void)fclose(file);
    return read;
}

struct bounce_rules *
bounce_rules_load(const struct bounce_rules_source *sources, size_t count,
                  struct error *error)
{
    struct bounce_rules *rules = calloc(1, sizeof *rules);

    if (rules != NULL) {
        rules->paths = calloc(count + 1, sizeof *rules->paths);
    }
    if (rules == NULL || rules->paths == NULL) {
        error_set(error, "bounce rules: out of memory");
        goto failed;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_source(rules, &sources[i], error)) {
            goto failed;
        }
    }
    if (compile_all(rules, error)) {
        return rules;
    }
failed:
    bounce_rules_free(rules);
    return NULL;
}

void bounce_rules_free(struct bounce_rules *rules)
{
    if (rules == NULL) {
        return;
    }
    for (size_t i = 0; i < rules->part_count; i++) {
        pcre2_code_free(atomic_load(&rules->parts[i].code));
    }
    for (size_t i = 0; rules->wholes != NULL && i < rules->list.count; i++) {
        pcre2_code_free(rules->wholes[i]);
    }
    free(rules->parts);
    free(rules->wholes);
    bounce_filter_free(rules->filter);
    bounce_list_clear(&rules->list);
    for (size_t i = 0; i < rules->path_count; i++) {
        free(rules->paths[i]);
    }
    free(rules->paths);
    free(rules->bare);
    free(rules);
}

size_t bounce_rules_count(const struct bounce_rules *rules)
{
    return rules->list.count;
}

const struct bounce_rule *bounce_rules_at(const struct bounce_rules *rules,
                                          size_t index)
{
    return &rules->list.entries[index]->rule;
}

/* --- scratch ----------------------------------------------------------- */

struct bounce_scratch *bounce_scratch_new(const struct bounce_rules *rules)
{
    struct bounce_scratch *scratch = calloc(1, sizeof *scratch);

    if (scratch == NULL) {
        return NULL;
    }
    scratch->state = bounce_filter_state_new(rules->filter);
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    scratch->stack =
        pcre2_jit_stack_create(JIT_STACK_SIZE / 4, JIT_STACK_SIZE, NULL);
    scratch->known = calloc(KNOWN, sizeof *scratch->known);
    for (size_t i = 0; i < rules->list.count; i++) {
        scratch->by_mta =
            scratch->by_mta || rules->list.entries[i]->conditions.mta_count > 0;
    }
    if (scratch->state == NULL || scratch->data == NULL ||
        scratch->context == NULL || scratch->known == NULL) {
        bounce_scratch_free(scratch);
        return NULL;
    }
    (void)pcre2_set_match_limit(scratch->context, MATCH_STEPS_MAX);
    if (scratch->stack != NULL) { /* NULL: there is no compiler */
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    }
    return scratch;
}

void bounce_scratch_free(struct bounce_scratch *scratch)
{
    if (scratch == NULL) {
        return;
    }
    bounce_filter_state_free(scratch->state);
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    free(scratch->known);
    free(scratch);
}

/* --- matching ---------------------------------------------------------- */

struct search {
    const struct bounce_rules *rules;
    struct bounce_scratch *scratch;
    struct text text;
    struct bounce_facts facts;
};

static bool holds(const struct search *search, size_t rule)
{
    return bounce_conditions_hold(
        &search->rules->list.entries[rule]->conditions, &search->facts);
}

static bool is_found(const struct search *search, const pcre2_code *code,
                     size_t at, uint32_t flags)
{
    return pcre2_match(code, (PCRE2_SPTR)search->text.bytes,
                       search->text.length, at, PCRE2_NO_UTF_CHECK | flags,
                       search->scratch->data, search->scratch->context) >= 0;
}

/* Another branch of the rule will do as well. */
static bool whole_is_found(const struct search *search, const struct part *part)
{
    return is_found(search, search->rules->wholes[part->rule], 0, 0);
}

/* At that place, if it has a start; else anywhere behind. */
static bool is_found_at(const struct search *search, struct part *part,
                        size_t at)
{
    const pcre2_code *code = code_of(search->rules, part);

    if (code == NULL) {
        return is_found(search, search->rules->wholes[part->rule], at,
                        part->has_start ? PCRE2_ANCHORED : 0);
    }
    return is_found(search, code, at, 0);
}

static bool part_is_found(const struct search *search, size_t index)
{
    const struct bounce_rules *rules = search->rules;
    const struct bounce_filter_state *state = search->scratch->state;
    struct part *part = &rules->parts[index];
    struct bounce_filter_place place;
    unsigned tried = 0;
    bool more;

    if (!part->has_start) {
        return is_found_at(search, part, 0);
    }
    for (more = bounce_filter_first(rules->filter, state, index, &place); more;
         more = bounce_filter_more(rules->filter, state, index, &place)) {
        if (tried++ == PLACES_MAX) {
            return whole_is_found(search, part);
        }
        if (is_found_at(search, part, place.at)) {
            return true;
        }
    }
    return false;
}

/* The first rule from *part on whose pattern is found; NONE if there is none.
 *part is left at the first part of the rule behind it. */
static size_t next_found(const struct search *search, size_t *part)
{
    const struct bounce_rules *rules = search->rules;

    while ((*part = bounce_filter_next(rules->filter, search->scratch->state,
                                       *part)) != BOUNCE_FILTER_NONE) {
        size_t rule = rules->parts[*part].rule;
        bool found = holds(search, rule) && part_is_found(search, *part);

        (*part)++;
        while (found && *part < rules->part_count &&
               rules->parts[*part].rule == rule) {
            (*part)++;
        }
        if (found) {
            return rule;
        }
    }
    return BOUNCE_FILTER_NONE;
}

/* The first rule without a pattern from *bare on that holds; or NONE. */
static size_t next_bare(const struct search *search, size_t *bare)
{
    while (*bare < search->rules->bare_count) {
        size_t rule = search->rules->bare[(*bare)++];

        if (holds(search, rule)) {
            return rule;
        }
    }
    return BOUNCE_FILTER_NONE;
}

static void search_begin(struct search *search,
                         const struct bounce_question *question)
{
    search->text = question->text;
    if (search->text.length > BOUNCE_FILTER_TEXT_MAX) {
        search->text.length = BOUNCE_FILTER_TEXT_MAX;
    }
    bounce_facts_take(question, &search->facts);
    bounce_filter_scan(search->rules->filter, search->scratch->state,
                       search->text);
}

size_t bounce_rules_match_all(const struct bounce_rules *rules,
                              struct bounce_scratch *scratch,
                              const struct bounce_question *question,
                              const struct bounce_rule **found, size_t most)
{
    struct search search = {.rules = rules, .scratch = scratch};
    size_t part = 0;
    size_t bare = 0;
    size_t count = 0;
    size_t next;
    size_t next_without;

    search_begin(&search, question);
    next = next_found(&search, &part);
    next_without = next_bare(&search, &bare);
    while (count < most &&
           (next != BOUNCE_FILTER_NONE || next_without != BOUNCE_FILTER_NONE)) {
        if (next < next_without) { /* NONE is greater than all */
            found[count++] = bounce_rules_at(rules, next);
            next =
                count < most ? next_found(&search, &part) : BOUNCE_FILTER_NONE;
        } else {
            found[count++] = bounce_rules_at(rules, next_without);
            next_without = next_bare(&search, &bare);
        }
    }
    return count;
}

/* The place of such a question, or NULL: it is not to be remembered. */
static struct known *known_at(struct bounce_scratch *scratch,
                              const struct bounce_question *question)
{
    uint64_t hash = question->text.length;
    uint64_t word = 0;
    size_t at = 0;

    if (scratch->by_mta || question->text.length == 0 ||
        question->text.length > KNOWN_TEXT) {
        return NULL;
    }
    for (; at + sizeof word <= question->text.length; at += sizeof word) {
        memcpy(&word, question->text.bytes + at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, question->text.bytes + at, question->text.length - at);
    hash = (hash ^ word ^ (unsigned)question->reply_code) *
           UINT64_C(0x9e3779b97f4a7c15);
    return &scratch->known[(hash >> 40) & (KNOWN - 1)];
}

static bool is_known(const struct known *known,
                     const struct bounce_question *question)
{
    return known->length == question->text.length &&
           known->reply_code == question->reply_code &&
           known->stage == question->stage &&
           strcmp(known->enhanced_status, question->enhanced_status) == 0 &&
           memcmp(known->text, question->text.bytes, known->length) == 0;
}

static void remember(struct known *known,
                     const struct bounce_question *question,
                     const struct bounce_rule *rule)
{
    struct text status = text_of(question->enhanced_status);

    if (status.length < sizeof known->enhanced_status) {
        (void)text_copy(status, known->enhanced_status,
                        sizeof known->enhanced_status);
        known->rule = rule;
        known->reply_code = question->reply_code;
        known->stage = question->stage;
        known->length = question->text.length;
        memcpy(known->text, question->text.bytes, known->length);
    }
}

const struct bounce_rule *
bounce_rules_match(const struct bounce_rules *rules,
                   struct bounce_scratch *scratch,
                   const struct bounce_question *question)
{
    struct known *known = known_at(scratch, question);
    const struct bounce_rule *found = NULL;

    if (known != NULL && is_known(known, question)) {
        return known->rule;
    }
    (void)bounce_rules_match_all(rules, scratch, question, &found, 1);
    if (known != NULL) {
        remember(known, question, found);
    }
    return found;
}
