#include "delay_notice_status.h"

#include "clock.h"
#include "mailbox.h"
#include "smtp_reply.h"

#include <glib.h>
#include <gmime/gmime.h>
#include <string.h>

#define LINE_WIDTH   76
#define WORD_MAX     400  /* of a line of 998, RFC 5322 2.1.1 */
#define ADDRESS_MAX  1024 /* original_recipient is not parsed, only bounded */
#define HOST_MAX     255
#define ENVELOPE_MAX 100 /* RFC 3461 4.4 */
#define ID_MAX       512
#define US_PER_S     INT64_C(1000000)

/* --- what strangers wrote ---------------------------------------------- */

/* Letters seem to stand in another order behind these (UAX #9). */
static bool turns(gunichar character)
{
    return (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069) ||
           character == 0x200e || character == 0x200f || character == 0x061c;
}

static gunichar harmless(gunichar character)
{
    switch (g_unichar_type(character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
        return ' ';
    default:
        return turns(character) ? ' ' : character;
    }
}

char *delay_notice_clean(struct text text, size_t most)
{
    GString *clean = g_string_new("");
    size_t at = 0;

    while (at < text.length) {
        gunichar character = g_utf8_get_char_validated(
            text.bytes + at, (gssize)(text.length - at));
        char bytes[6];
        size_t size;

        if (text.bytes[at] == '\0' || character >= 0x110000) {
            character = 0xfffd;
            at++;
        } else {
            at += (size_t)g_unichar_to_utf8(character, NULL);
        }
        size = (size_t)g_unichar_to_utf8(harmless(character), bytes);
        if (clean->len + size > most) {
            break;
        }
        g_string_append_len(clean, bytes, (gssize)size);
    }
    (void)g_strstrip(clean->str);
    if (clean->str[0] == '\0') {
        (void)g_string_free(clean, TRUE);
        return NULL;
    }
    return g_string_free(clean, FALSE);
}

/* The same for fields that hold ASCII alone. */
static char *clean_ascii(struct text text, size_t most)
{
    char *clean = delay_notice_clean(text, most);
    size_t length = 0;

    for (size_t i = 0; clean != NULL && clean[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)clean[i];

        if (byte >> 6 != 2) { /* the first byte of a character */
            clean[length++] = byte < 0x80 ? clean[i] : '?';
        }
    }
    if (clean != NULL) {
        clean[length] = '\0';
    }
    return clean;
}

/* A name of a host, or nothing: never a blank, never two fields of one. */
static char *clean_name(struct text text)
{
    char *clean = clean_ascii(text, HOST_MAX);

    if (clean != NULL && strpbrk(clean, " ()<>;\"\\") != NULL) {
        g_free(clean);
        return NULL;
    }
    return clean;
}

char *delay_notice_domain(const char *node)
{
    char domain[MAILBOX_DOMAIN_MAX + 1];

    return g_strdup(mailbox_parse_domain(text_of(node), domain) &&
                            strchr(domain, '[') == NULL &&
                            g_str_is_ascii(domain)
                        ? domain
                        : "localhost");
}

char *delay_notice_message_id(struct text message_id)
{
    char *id;

    for (size_t i = 0; i < message_id.length; i++) {
        if (message_id.bytes[i] <= ' ' || message_id.bytes[i] >= 0x7f ||
            message_id.bytes[i] == '<' || message_id.bytes[i] == '>') {
            return NULL; /* cut or made up: better none than another */
        }
    }
    id = message_id.length <= ID_MAX ? delay_notice_clean(message_id, ID_MAX)
                                     : NULL;
    return id;
}

/* --- fields ------------------------------------------------------------ */

/*
 * "name: words", in lines of 76 where blanks allow it, and never one over the
 * 998 of RFC 5322. A line that begins with a blank is never blank otherwise.
 */
static void add(GString *fields, const char *name, const char *value)
{
    size_t column = strlen(name) + 1;
    gchar **words = g_strsplit(value, " ", -1);

    g_string_append_printf(fields, "%s:", name);
    for (size_t i = 0; words[i] != NULL; i++) {
        const char *word = words[i];

        while (*word != '\0') {
            size_t size = strlen(word);

            if (size > WORD_MAX) {
                size = WORD_MAX;
                while (size > 1 && ((unsigned char)word[size] >> 6) == 2) {
                    size--;
                }
            }
            if (column + 1 + size > LINE_WIDTH && column > strlen(name) + 1) {
                g_string_append(fields, "\n   ");
                column = 3;
            }
            g_string_append_c(fields, ' ');
            g_string_append_len(fields, word, (gssize)size);
            column += 1 + size;
            word += size;
        }
    }
    g_string_append_c(fields, '\n');
    g_strfreev(words);
}

static void add_typed(GString *fields, const char *name, const char *type,
                      char *value)
{
    if (value != NULL) {
        char *typed = g_strdup_printf("%s; %s", type, value);

        add(fields, name, typed);
        g_free(typed);
    }
    g_free(value);
}

static void add_date(GString *fields, const char *name, int64_t at_us)
{
    GDateTime *date = g_date_time_new_from_unix_utc(at_us / US_PER_S);

    if (date != NULL) {
        char *text = g_mime_utils_header_format_date(date);

        add(fields, name, text);
        g_free(text);
        g_date_time_unref(date);
    }
}

/* An address is "utf-8" only where it needs to be. */
static bool add_address(GString *fields, const char *name, char *address)
{
    bool global = address != NULL && !g_str_is_ascii(address);

    add_typed(fields, name, global ? "utf-8" : "rfc822", address);
    return global;
}

static void add_message(GString *fields, const struct event *event,
                        const char *domain)
{
    char *envelope_id = clean_ascii(event->envelope_id, ENVELOPE_MAX);
    char *queue_id = clean_name(event->queue_id);

    if (envelope_id != NULL) {
        add(fields, "Original-Envelope-Id", envelope_id);
    }
    add_typed(fields, "Reporting-MTA", "dns", g_strdup(domain));
    if (queue_id != NULL) {
        add(fields, "X-Nixie-Queue-ID", queue_id);
    }
    if (event->queue_seconds >= 0 &&
        event->queue_seconds <= event->timestamp_us / US_PER_S) {
        add_date(fields, "Arrival-Date",
                 event->timestamp_us - event->queue_seconds * US_PER_S);
    }
    g_free(queue_id);
    g_free(envelope_id);
}

static bool add_recipients(GString *fields, const struct event *event)
{
    bool aliased = event->final_recipient.length > 0;
    char *final = delay_notice_clean(
        aliased ? event->final_recipient : event->recipient, ADDRESS_MAX);
    char *original = delay_notice_clean(event->original_recipient.length > 0
                                            ? event->original_recipient
                                            : event->recipient,
                                        ADDRESS_MAX);
    bool global = false;

    if (original != NULL && final != NULL && strcmp(original, final) != 0) {
        global = add_address(fields, "Original-Recipient", original);
    } else {
        g_free(original);
    }
    return add_address(fields, "Final-Recipient", final) || global;
}

/* "4.x.x": a delay has no other class, whatever a soft_bounce logged. */
static void add_status(GString *fields, const struct event *event)
{
    char status[ENHANCED_STATUS_SIZE] = "4.0.0";

    if (event->enhanced_status.bytes != NULL &&
        enhanced_status_is_valid(event->enhanced_status)) {
        (void)text_copy(event->enhanced_status, status, sizeof status);
        status[0] = '4';
    }
    add(fields, "Status", status);
}

char *delay_notice_status(const struct event *event, const char *domain,
                          bool *global)
{
    GString *fields = g_string_new("");
    int64_t expires_us;

    add_message(fields, event, domain);
    g_string_append_c(fields, '\n');
    *global = add_recipients(fields, event);
    add(fields, "Action", "delayed");
    add_status(fields, event);
    add_typed(fields, "Remote-MTA", "dns", clean_name(event->remote_mta));
    /* without a reply it is what our MTA had to say */
    add_typed(fields, "Diagnostic-Code",
              event->reply_code >= 200 ? "smtp" : "X-local",
              clean_ascii(event->diagnostic, EVENT_DIAGNOSTIC_MAX));
    add_date(fields, "Last-Attempt-Date", event->timestamp_us);
    if (event->expires_at.bytes != NULL &&
        clock_parse(event->expires_at.bytes, event->expires_at.length,
                    &expires_us)) {
        add_date(fields, "Will-Retry-Until", expires_us);
    }
    return g_string_free(fields, FALSE);
}
