/*
 * A rule file and, behind a NUL, a text. A file that is refused says where and
 * why. Rules of one that is taken are found in the text where PCRE2 alone
 * finds their patterns and their conditions hold, and nowhere else.
 */
#include "bounce_rules.h"
#include "bounce_rules_file.h"
#include "bounce_rules_match.h"
#include "reply_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define RULES_MAX   64
#define PATTERN_MAX 200 /* longer ones only make the compiler work */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

enum found { FOUND, NOT_FOUND, TOO_MANY_STEPS };

static enum found find(const char *pattern, struct text text)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    PCRE2_SIZE offset;
    int fault;
    int result;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_DOTALL | PCRE2_NO_AUTO_CAPTURE, &fault,
                      &offset, NULL);

    require(code != NULL && data != NULL && context != NULL);
    (void)pcre2_set_match_limit(context, 20000);
    result = pcre2_match(code, (PCRE2_SPTR)text.bytes, text.length, 0, 0, data,
                         context);
    pcre2_code_free(code);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    if (result >= 0) {
        return FOUND;
    }
    return result == PCRE2_ERROR_NOMATCH ? NOT_FOUND : TOO_MANY_STEPS;
}

/* As the file has them; the loader has taken them already. */
static void check_found(const char *path,
                        const struct bounce_question *question,
                        const struct bounce_rule *const *found, size_t count)
{
    struct bounce_list list = {0};
    struct bounce_facts facts;
    struct error error;
    FILE *file = fopen(path, "re");
    size_t next = 0;

    require(file != NULL && bounce_rules_read(file, path, &list, &error));
    (void)fclose(file);
    bounce_facts_take(question, &facts);
    for (size_t i = 0; i < list.count; i++) {
        const struct bounce_entry *entry = list.entries[i];
        enum found expected = FOUND;
        bool got = next < count && found[next]->line == entry->rule.line;

        if (!bounce_conditions_hold(&entry->conditions, &facts)) {
            expected = NOT_FOUND;
        } else if (entry->pattern != NULL) {
            expected = find(entry->pattern, question->text);
        }
        require(expected == TOO_MANY_STEPS || got == (expected == FOUND));
        next += got;
    }
    require(next == count);
    bounce_list_clear(&list);
}

static bool has_long_pattern(const struct bounce_rules *rules)
{
    for (size_t i = 0; i < bounce_rules_count(rules); i++) {
        const char *pattern = bounce_rules_at(rules, i)->pattern;

        if (pattern != NULL && strlen(pattern) > PATTERN_MAX) {
            return true;
        }
    }
    return false;
}

static void check_rules(const struct bounce_rules *rules, const char *path,
                        struct text reply)
{
    struct bounce_scratch *scratch = bounce_scratch_new(rules);
    const struct bounce_rule *found[RULES_MAX];
    const struct bounce_rule *first;
    struct bounce_question question = {0};
    struct reply_text text;
    size_t count;

    require(scratch != NULL);
    reply_text_normalise(reply, &text);
    question.text = (struct text){text.bytes, text.length};
    question.reply_code = text.code;
    question.enhanced_status = text.enhanced_status;
    question.remote_mta = text_of("mx.example.org");
    question.stage = BOUNCE_STAGE_RCPT;
    first = bounce_rules_match(rules, scratch, &question);
    count = bounce_rules_match_all(rules, scratch, &question, found, RULES_MAX);
    require((first != NULL) == (count > 0));
    require(first == NULL || first == found[0]);
    check_found(path, &question, found, count);
    bounce_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\0', size);
    size_t length = end == NULL ? size : (size_t)(end - data);
    struct text reply = {(const char *)data + length, size - length};
    int file = memfd_create("rules", MFD_CLOEXEC);
    char path[64];
    struct bounce_rules_source source = {path, false};
    struct error error = {""};
    struct bounce_rules *rules;

    require(file >= 0 && write(file, data, length) == (ssize_t)length);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    rules = bounce_rules_load(&source, 1, &error);
    if (rules == NULL) {
        require(strncmp(error.text, path, strlen(path)) == 0);
    } else if (bounce_rules_count(rules) <= RULES_MAX &&
               !has_long_pattern(rules)) {
        check_rules(rules, path, reply);
    }
    bounce_rules_free(rules);
    (void)close(file);
    return 0;
}
