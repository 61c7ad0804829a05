#include "bounce_rules.h"
#include "command.h"
#include "command_rules.h"
#include "settings.h"
#include "verdict.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for a reply of REPLY_TEXT_INPUT_MAX bytes that are all escaped. */
#define LINE_MAX_BYTES   (1024 * 1024)
#define ALTERNATIVES_MAX 10

struct classify {
    const struct command_call *call;
    struct settings *settings;        /* NULL: --rules stands in for them */
    struct bounce_rules *own_rules;   /* NULL: those of the settings */
    const struct bounce_rules *rules; /* one of the two */
    struct bounce_scratch *scratch;
    bool explain;
    unsigned long long line;
    bool failed; /* a line was no reply */
    struct verdict verdict;
};

/* --- rules ------------------------------------------------------------- */

/* False after a complaint. */
static bool load_rules(struct classify *classify)
{
    const char *value = command_value(classify->call, "rules");
    struct error error = {"out of memory"};

    if (value != NULL) {
        classify->own_rules = command_rules_named(value, &error);
        classify->rules = classify->own_rules;
    } else {
        classify->settings = command_rules_settings(classify->call, &error);
        if (classify->settings != NULL) {
            classify->rules = classify->settings->rules;
        }
    }
    if (classify->rules == NULL) {
        command_complain(classify->call, "%s", error.text);
    }
    return classify->rules != NULL;
}

/* --- input ------------------------------------------------------------- */

struct reply {
    json_t *object; /* NULL: a line of plain text */
    json_t *id;     /* borrowed; NULL: the line's number */
    struct verdict_question question;
};

enum line { LINE_READ, LINE_LONG, LINE_END };

/* A line of any length, of which the first bytes are kept. */
static enum line read_line(FILE *file, char *buffer, size_t *length)
{
    bool is_long = false;
    size_t used = 0;
    int byte;

    while ((byte = getc_unlocked(file)) != EOF && byte != '\n') {
        if (used < LINE_MAX_BYTES) {
            buffer[used++] = (char)byte;
        } else {
            is_long = true;
        }
    }
    if (byte == EOF && used == 0) {
        return LINE_END;
    }
    if (used > 0 && buffer[used - 1] == '\r') {
        used--;
    }
    *length = used;
    return is_long ? LINE_LONG : LINE_READ;
}

static struct text member(const struct reply *reply, const char *name)
{
    const json_t *value = json_object_get(reply->object, name);

    if (!json_is_string(value)) {
        return (struct text){NULL, 0};
    }
    return (struct text){json_string_value(value), json_string_length(value)};
}

/* The line as an object; bytes that are no UTF-8 become U+FFFD. */
static json_t *parse_object(const char *line, size_t length,
                            json_error_t *error)
{
    json_t *object = json_loadb(line, length, JSON_ALLOW_NUL, error);
    gchar *valid;

    if (object == NULL && !g_utf8_validate(line, (gssize)length, NULL)) {
        valid = g_utf8_make_valid(line, (gssize)length);
        object = json_loads(valid, 0, error);
        g_free(valid);
    }
    return object;
}

/* NULL, or what is wrong with the line. */
static const char *take_object(const char *line, size_t length,
                               struct reply *reply, json_error_t *fault)
{
    enum bounce_stage stage;

    reply->object = parse_object(line, length, fault);
    if (reply->object == NULL) {
        return fault->text;
    }
    reply->id = json_object_get(reply->object, "id");
    reply->question.reply = member(reply, "reply");
    if (reply->question.reply.bytes == NULL) {
        return "no member \"reply\" with a string";
    }
    reply->question.enhanced_status = member(reply, "enhanced");
    reply->question.remote_mta = member(reply, "remote_mta");
    reply->question.reply_code =
        (int)json_integer_value(json_object_get(reply->object, "reply_code"));
    if (bounce_stage_parse(member(reply, "smtp_stage"), &stage)) {
        reply->question.stage = stage;
    }
    return NULL;
}

static bool is_object(const char *line, size_t length)
{
    size_t blanks = 0;

    while (blanks < length && (line[blanks] == ' ' || line[blanks] == '\t')) {
        blanks++;
    }
    return blanks < length && line[blanks] == '{';
}

/* --- output ------------------------------------------------------------ */

static json_t *id_of(const struct classify *classify, const struct reply *reply)
{
    return reply->id == NULL ? json_integer((json_int_t)classify->line)
                             : json_incref(reply->id);
}

static void set_verdict(json_t *object, const struct verdict *verdict)
{
    char rule[VERDICT_RULE_SIZE];

    command_json_set(object, "reason", text_of(reason_name(verdict->reason)));
    command_json_set(object, "type",
                     text_of(failure_type_name(verdict->failure_type)));
    if (verdict->enhanced_status[0] != '\0') {
        command_json_set(object, "status", text_of(verdict->enhanced_status));
    }
    command_json_set(object, "rule", text_of(verdict_rule_name(verdict, rule)));
}

/* The fallback as if there were no rule, and the rules that hold besides. */
struct explanation {
    struct verdict fallback;
    size_t count;
    const struct bounce_rule *rules[ALTERNATIVES_MAX + 1]; /* [0] won */
};

static void explain(const struct classify *classify, const struct reply *reply,
                    struct explanation *explanation)
{
    struct bounce_question question =
        verdict_bounce_question(&reply->question, &classify->verdict);

    explanation->fallback = classify->verdict;
    verdict_fall_back(&explanation->fallback);
    explanation->count =
        bounce_rules_match_all(classify->rules, classify->scratch, &question,
                               explanation->rules, ALTERNATIVES_MAX + 1);
}

static void set_explanation(const struct classify *classify, json_t *object,
                            const struct explanation *explanation)
{
    struct verdict verdict = classify->verdict;
    json_t *alternatives = json_array();
    json_t *fallback = json_object();

    command_json_set(object, "text",
                     (struct text){verdict.text.bytes, verdict.text.length});
    set_verdict(fallback, &explanation->fallback);
    (void)json_object_set_new(object, "fallback", fallback);
    for (size_t i = 1; i < explanation->count; i++) {
        json_t *alternative = json_object();

        verdict_apply(&verdict, explanation->rules[i]);
        set_verdict(alternative, &verdict);
        (void)json_array_append_new(alternatives, alternative);
    }
    (void)json_object_set_new(object, "alternatives", alternatives);
}

static void print_verdict(const char *label, const struct verdict *verdict)
{
    char name[VERDICT_RULE_SIZE];

    (void)printf("  %-9s %s, %s, by %s", label, reason_name(verdict->reason),
                 failure_type_name(verdict->failure_type),
                 verdict_rule_name(verdict, name));
    if (verdict->rule != NULL) {
        (void)printf(" (%s:%u)", verdict->rule->path, verdict->rule->line);
    }
    (void)puts("");
}

static void print_id(const struct classify *classify, const struct reply *reply)
{
    if (json_is_string(reply->id)) {
        command_put((struct text){json_string_value(reply->id),
                                  json_string_length(reply->id)});
    } else {
        (void)printf("line %llu", classify->line);
    }
    (void)puts("");
}

static void print_explanation(const struct classify *classify,
                              const struct reply *reply,
                              const struct explanation *explanation)
{
    struct verdict verdict = classify->verdict;

    print_id(classify, reply);
    (void)fputs("  text      ", stdout);
    command_put((struct text){verdict.text.bytes, verdict.text.length});
    (void)puts(verdict.text.cut ? " (cut)" : "");
    if (verdict.reply_code != 0) {
        (void)printf("  code      %d\n", verdict.reply_code);
    }
    if (verdict.enhanced_status[0] != '\0') {
        (void)printf("  status    %s\n", verdict.enhanced_status);
    }
    print_verdict("verdict", &verdict);
    (void)printf("  meaning   %s\n", reason_facts(verdict.reason)->meaning);
    if (verdict.source == VERDICT_RULE) {
        print_verdict("fallback", &explanation->fallback);
    }
    for (size_t i = 1; i < explanation->count; i++) {
        verdict_apply(&verdict, explanation->rules[i]);
        print_verdict("also", &verdict);
    }
}

static void print_reply(struct classify *classify, const struct reply *reply)
{
    struct explanation explanation;
    json_t *object;

    if (classify->explain) {
        explain(classify, reply, &explanation);
    }
    if (classify->explain && !classify->call->json) {
        print_explanation(classify, reply, &explanation);
        return;
    }
    object = json_object();
    (void)json_object_set_new(object, "id", id_of(classify, reply));
    set_verdict(object, &classify->verdict);
    if (classify->explain) {
        set_explanation(classify, object, &explanation);
    }
    command_json_print(object);
}

static void print_fault(struct classify *classify, const struct reply *reply,
                        const char *fault)
{
    json_t *object;

    classify->failed = true;
    if (classify->explain && !classify->call->json) {
        print_id(classify, reply);
        (void)fputs("  error     ", stdout);
        command_put(text_of(fault));
        (void)puts("");
        return;
    }
    object = json_object();
    (void)json_object_set_new(object, "id", id_of(classify, reply));
    command_json_set(object, "error", text_of(fault));
    command_json_print(object);
}

/* --- the stream -------------------------------------------------------- */

static void classify_line(struct classify *classify, const char *line,
                          size_t length, bool is_long)
{
    struct reply reply = {.question.reply = {line, length}};
    const char *fault = NULL;
    json_error_t error;

    if (is_object(line, length)) {
        fault = is_long ? "the object is longer than 1 MiB"
                        : take_object(line, length, &reply, &error);
    }
    if (fault == NULL) {
        verdict_classify(classify->rules, classify->scratch, &reply.question,
                         &classify->verdict);
        print_reply(classify, &reply);
    } else {
        print_fault(classify, &reply, fault);
    }
    json_decref(reply.object);
}

/* False after a complaint. */
static bool classify_stream(struct classify *classify, FILE *file,
                            const char *name)
{
    char *buffer = malloc(LINE_MAX_BYTES);
    enum line result;
    size_t length;
    bool read;

    if (buffer == NULL) {
        command_complain(classify->call, "out of memory");
        return false;
    }
    while ((result = read_line(file, buffer, &length)) != LINE_END &&
           !ferror(stdout)) {
        classify->line++;
        classify_line(classify, buffer, length, result == LINE_LONG);
    }
    read = !ferror(file);
    if (!read) {
        command_complain(classify->call, "read %s: %s", name, strerror(errno));
    }
    free(buffer);
    return read;
}

static bool classify_input(struct classify *classify)
{
    const struct command_call *call = classify->call;
    const char *path = call->argument_count == 0 ? "-" : call->arguments[0];
    FILE *file = stdin;
    bool done;

    if (strcmp(path, "-") != 0) {
        file = fopen(path, "re");
    }
    if (file == NULL) {
        command_complain(call, "open %s: %s", path, strerror(errno));
        return false;
    }
    done = classify_stream(classify, file, path);
    if (file != stdin) {
        (void)fclose(file);
    }
    return done;
}

enum command_status command_classify(const struct command_call *call)
{
    struct classify classify = {.call = call};
    bool done = false;

    classify.explain = command_value(call, "explain") != NULL;
    if (load_rules(&classify)) {
        classify.scratch = bounce_scratch_new(classify.rules);
        if (classify.scratch == NULL) {
            command_complain(call, "out of memory");
        } else {
            done = classify_input(&classify);
        }
    }
    bounce_scratch_free(classify.scratch);
    bounce_rules_free(classify.own_rules);
    settings_free(classify.settings);
    if (!done) {
        return COMMAND_FAULT;
    }
    return classify.failed ? COMMAND_NO : COMMAND_OK;
}
