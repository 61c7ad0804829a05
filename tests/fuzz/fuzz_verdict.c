/*
 * A reply, with a code before it: never hard when it is temporary, nor when it
 * is our own fault; a verdict has a reason, and a rule if one was found.
 */
#include "verdict.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules_text[] =
    "a ignore code=421 mta=*.example.org /busy/\n"
    "b user_unknown /(?:user|recipient|<addr>).{0,20}(?:unknown|not found)/\n"
    "c account_disabled /(?:account|mailbox) (?:is )?(?:disabled|closed)/\n"
    "d mailbox_full:hard status=x.2.2 /full/\n"
    "e spam_content /\\bspam\\b|blocked (?:by|using) <host>/\n"
    "f greylisted code=4 /gr[ae]y ?list/\n"
    "g user_unknown /\347\224\250\346\210\267\344\270\215\345\255\230/\n"
    "h policy_block status=5.7.x\n"
    "i domain_no_mail code=556,521\n";

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static struct bounce_rules *load(void)
{
    int file = memfd_create("rules", MFD_CLOEXEC);
    char path[64];
    struct bounce_rules_source source = {path, false};
    struct error error = {""};
    struct bounce_rules *rules;

    require(file >= 0 && write(file, rules_text, sizeof rules_text - 1) ==
                             (ssize_t)sizeof rules_text - 1);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    rules = bounce_rules_load(&source, 1, &error);
    require(rules != NULL);
    (void)close(file);
    return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bounce_rules *rules = load();
    struct bounce_scratch *scratch = bounce_scratch_new(rules);
    struct verdict_question question = {.remote_mta = text_of("a.example.org")};
    struct verdict verdict;
    const struct reason_facts *facts;
    char rule[VERDICT_RULE_SIZE];

    require(scratch != NULL);
    if (size > 0) { /* 4xx, 5xx or as the reply has it */
        question.reply_code = data[0] < 128 ? 0 : 400 + data[0];
        data++;
        size--;
    }
    question.reply = (struct text){(const char *)data, size};
    verdict_classify(rules, scratch, &question, &verdict);
    facts = reason_facts(verdict.reason);
    if (verdict.failure_type == FAILURE_TYPE_HARD) {
        require(verdict.reply_code / 100 != 4 &&
                verdict.enhanced_status[0] != '4');
        require(facts->blames != REASON_BLAMES_SENDER &&
                facts->blames != REASON_BLAMES_MESSAGE);
    }
    require((verdict.source == VERDICT_RULE) == (verdict.rule != NULL));
    require(strlen(verdict_rule_name(&verdict, rule)) < VERDICT_RULE_SIZE);
    require(verdict.source != VERDICT_NONE ||
            verdict.reason == REASON_UNDETERMINED);
    bounce_scratch_free(scratch);
    bounce_rules_free(rules);
    return 0;
}
