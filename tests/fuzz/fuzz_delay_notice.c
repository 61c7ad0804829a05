/*
 * A template of a delay notice, up to the first NUL, and behind it what
 * strangers say. A refused template names its line; a good one, filled with
 * anything, gives a message of 7 bits whose lines and header are bounded.
 */
#include "delay_notice_policy.h"
#include "delay_notice_template.h"
#include "delay_notice_text.h"

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US INT64_C(1793648581000000)
#define ID     "0f3b6a52-4c11-4d6e-9a07-5d2f6f1c8e10"
#define HEADERS                                                                \
    "MIME-Version Content-Type From To Subject Date Message-ID "               \
    "Auto-Submitted In-Reply-To References "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static bool begins_with_name(const char *line)
{
    char **names = g_strsplit(HEADERS, " ", -1);
    bool found = false;

    for (size_t i = 0; names[i] != NULL; i++) {
        size_t length = strlen(names[i]);

        found = found || (length > 0 && strncmp(line, names[i], length) == 0 &&
                          line[length] == ':');
    }
    g_strfreev(names);
    return found;
}

static void check_message(const struct delay_notice_message *message)
{
    char *text = g_strndup(message->bytes, message->length);
    char **lines = g_strsplit(text, "\r\n", -1);
    bool header = true;

    require(strlen(text) == message->length && g_str_is_ascii(text));
    for (size_t i = 0; lines[i] != NULL; i++) {
        require(strlen(lines[i]) <= 998);
        require(strpbrk(lines[i], "\r\n") == NULL);
        header = header && lines[i][0] != '\0';
        require(!header || lines[i][0] == ' ' || lines[i][0] == '\t' ||
                begins_with_name(lines[i]));
    }
    g_strfreev(lines);
    g_free(text);
}

static void check_notice(const struct delay_notice_template *template,
                         struct text said)
{
    struct delay_notice_message message = {NULL, 0, false};
    struct event event;
    struct mailbox sender;
    const struct delay_notice_facts facts = {&event, &sender,
                                             "mail.example.org", ID, NOW_US};

    event_init(&event, EVENT_DELAY, NOW_US);
    require(delay_notice_takes(text_of("ann@example.org"), &sender));
    event.recipient = said;
    event.original_recipient = text_of("bob@example.net");
    event.message_id = said;
    event.envelope_id = said;
    event.queue_id = said;
    event.remote_mta = said;
    event.enhanced_status = said;
    event.diagnostic = said;
    event.expires_at = said;
    event.next_attempt_at = said;
    require(delay_notice_write(template, &facts, &message));
    check_message(&message);
    require(!message.needs_utf8);
    g_free(message.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\0', size);
    size_t length = end == NULL ? size : (size_t)(end - data);
    size_t said_at = end == NULL ? size : length + 1;
    struct text said = {(const char *)data + said_at, size - said_at};
    struct error error = {""};
    struct delay_notice_template *template;

    if (length > DELAY_NOTICE_TEMPLATE_MAX) {
        return 0;
    }
    template = delay_notice_template_parse(
        "t", (struct text){(const char *)data, length}, &error);
    require((template == NULL) == (error.text[0] != '\0'));
    require(template != NULL || (strncmp(error.text, "t:", 2) == 0 &&
                                 error.text[2] >= '1' && error.text[2] <= '9'));
    if (template != NULL) {
        check_notice(template, said);
    }
    delay_notice_template_free(template);
    return 0;
}
