/*
 * The first byte of the input chooses the rules, the rest is a path. Holds
 * that a normal form is its own normal form, that lengths and bounds are true,
 * and that each candidate is a pattern that reads as itself.
 */
#include "mailbox.h"

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ours[] = {
    "relay", "local", "example.com", "[192.0.2.1]", "xn--bcher-kva.example",
    NULL};

enum rules_flag { WITH_LOCAL_DOMAINS = 1, KEEP_CASE = 2, FOLD_TAGS = 4 };

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_strings(enum mailbox_result result,
                          const struct mailbox *mailbox)
{
    require(strlen(mailbox->address) == mailbox->address_length);
    require(strlen(mailbox->domain) == mailbox->domain_length);
    require(mailbox->address_length <= MAILBOX_MAX);
    require(mailbox->domain_length <= MAILBOX_DOMAIN_MAX);
    require(mailbox->local_length <= mailbox->address_length);
    require(g_utf8_validate(mailbox->address, -1, NULL));
    require(g_utf8_validate(mailbox->domain, -1, NULL));
    switch (result) {
    case MAILBOX_OK:
        require(mailbox->domain_length > 0 && mailbox->local_length > 0);
        require(mailbox->address[mailbox->local_length] == '@');
        require(strcmp(mailbox->address + mailbox->local_length + 1,
                       mailbox->domain) == 0);
        break;
    case MAILBOX_LOCAL:
        require(mailbox->domain_length == 0 && mailbox->local_length > 0);
        require(mailbox->local_length == mailbox->address_length);
        break;
    case MAILBOX_LONG:
        require(mailbox->address_length == 0);
        break;
    case MAILBOX_INVALID:
        require(mailbox->address_length == 0 && mailbox->domain_length == 0);
        break;
    }
}

static void check_idempotent(enum mailbox_result result,
                             const struct mailbox *mailbox,
                             const struct mailbox_rules *rules)
{
    struct mailbox again;

    if (result != MAILBOX_OK && result != MAILBOX_LOCAL) {
        return;
    }
    require(mailbox_parse(text_of(mailbox->address), rules, &again) == result);
    require(strcmp(again.address, mailbox->address) == 0);
    require(strcmp(again.domain, mailbox->domain) == 0);
    require(again.local_length == mailbox->local_length);
}

static void check_pattern(const struct mailbox_pattern *pattern)
{
    struct mailbox_pattern again;

    require(strlen(pattern->text) == pattern->length);
    require(mailbox_parse_pattern(text_of(pattern->text), NULL, &again) ==
            pattern->kind);
    require(strcmp(again.text, pattern->text) == 0);
    require(strcmp(again.domain, pattern->domain) == 0);
}

static void check_candidates(const struct mailbox *mailbox)
{
    struct mailbox_pattern pattern;
    size_t index = 0;

    while (mailbox_candidate(mailbox, index, &pattern)) {
        require(pattern.kind != MAILBOX_PATTERN_INVALID);
        check_pattern(&pattern);
        index++;
        require(index <= MAILBOX_DOMAIN_MAX);
    }
    require((mailbox->address_length == 0 && mailbox->domain_length == 0) ||
            index > 0);
}

static void check_texts(struct text text)
{
    struct mailbox_pattern pattern;
    char domain[MAILBOX_DOMAIN_MAX + 1];
    char again[MAILBOX_DOMAIN_MAX + 1];

    if (mailbox_parse_pattern(text, NULL, &pattern) != MAILBOX_PATTERN_INVALID) {
        check_pattern(&pattern);
    }
    if (mailbox_parse_domain(text, domain)) {
        require(mailbox_parse_domain(text_of(domain), again));
        require(strcmp(domain, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mailbox_rules rules = {.local_domains = NULL};
    struct mailbox mailbox;
    struct text path;
    enum mailbox_result result;

    if (size == 0) {
        return 0;
    }
    rules.local_domains = data[0] & WITH_LOCAL_DOMAINS ? ours : NULL;
    rules.keep_local_case = (data[0] & KEEP_CASE) != 0;
    rules.fold_tag_domains = data[0] & FOLD_TAGS ? ours : NULL;
    path.bytes = (const char *)data + 1;
    path.length = size - 1;
    result = mailbox_parse(path, &rules, &mailbox);
    check_strings(result, &mailbox);
    check_idempotent(result, &mailbox, &rules);
    if (!rules.keep_local_case) {
        check_idempotent(result, &mailbox, NULL);
        check_candidates(&mailbox);
    }
    check_texts(path);
    return 0;
}
