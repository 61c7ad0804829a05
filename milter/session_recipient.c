#include "session_recipient.h"

#include "smtp_reply.h"

#include <stdio.h>
#include <string.h>

/*
 * A recipient that the MTA itself refused comes with the mailer "error", a
 * status for its host and the text for its address. A transport that is
 * really named "error" has no status there.
 */
bool recipient_is_refused(const struct recipient_macros *macros)
{
    struct smtp_reply reply;

    if (macros->mailer == NULL || strcmp(macros->mailer, "error") != 0) {
        return false;
    }
    if (macros->host != NULL &&
        enhanced_status_is_valid(text_of(macros->host))) {
        return macros->host[0] != '2';
    }
    smtp_reply_parse(text_of(macros->address), &reply);
    return reply.code >= 400;
}

/* The domains of the setting and the MTA's own name, into ours. */
static void list_local_domains(const struct session *session,
                               const char *ours[SESSION_LOCAL_DOMAINS + 2])
{
    char *const *configured = session->settings->local_domains;
    size_t count = 0;

    if (session->mta_domain[0] != '\0') {
        ours[count++] = session->mta_domain;
    }
    for (size_t i = 0; i < SESSION_LOCAL_DOMAINS && configured[i] != NULL;
         i++) {
        ours[count++] = configured[i];
    }
    ours[count] = NULL;
}

static bool is_ascii(const char *string)
{
    while (*string != '\0' && (unsigned char)*string < 0x80) {
        string++;
    }
    return *string == '\0';
}

/*
 * Of an accepted recipient the MTA's own reading, else ours of what the
 * client typed. Postfix folds the case of domains too, which makes another
 * domain of one with a sharp s: of those we read what was typed.
 */
static struct text mailbox_source(const char *path, bool refused,
                                  const struct recipient_macros *macros)
{
    return !refused && is_ascii(path) && macros->address != NULL &&
                   strchr(macros->address, '@') != NULL
               ? text_of(macros->address)
               : text_of(path);
}

/*
 * Sendmail takes quotes anywhere in a local part, and the next MTA may well
 * forget them: v"ic"tim@example.org is read as "victim"@example.org. Only
 * what is no mailbox as it stands comes here.
 */
static enum mailbox_result parse_as_quoted(struct text path,
                                           const struct mailbox_rules *rules,
                                           struct mailbox *mailbox)
{
    struct text bare = transaction_bare_path(path);
    char form[2 * TRANSACTION_ADDRESS_MAX];
    size_t used = 0;
    size_t at = bare.length;

    while (at > 0 && bare.bytes[at - 1] != '@') {
        at--;
    }
    if (at == 0 || bare.length + 3 > sizeof form) {
        return MAILBOX_INVALID;
    }
    form[used++] = '"';
    for (size_t i = 0; i + 1 < at; i++) {
        if (bare.bytes[i] == '"') {
            continue;
        }
        if (bare.bytes[i] == '\\' && i + 2 < at) {
            form[used++] = bare.bytes[i++];
        }
        form[used++] = bare.bytes[i];
    }
    form[used++] = '"';
    memcpy(form + used, bare.bytes + at - 1, bare.length - (at - 1));
    used += bare.length - (at - 1);
    return mailbox_parse((struct text){form, used}, rules, mailbox);
}

static enum mailbox_result parse(struct text path,
                                 const struct mailbox_rules *rules,
                                 struct mailbox *mailbox)
{
    enum mailbox_result result = mailbox_parse(path, rules, mailbox);

    return result == MAILBOX_INVALID ? parse_as_quoted(path, rules, mailbox)
                                     : result;
}

static enum mailbox_result parse_at_mta(const struct session *session,
                                        const char *local,
                                        const struct mailbox_rules *rules,
                                        struct mailbox *mailbox)
{
    char full[TRANSACTION_ADDRESS_MAX + MAILBOX_DOMAIN_MAX + 2];

    if ((size_t)snprintf(full, sizeof full, "%s@%s", local,
                         session->mta_domain) >= sizeof full) {
        return MAILBOX_INVALID;
    }
    return parse(text_of(full), rules, mailbox);
}

enum mailbox_result recipient_read(const struct session *session,
                                   const char *path, bool refused,
                                   const struct recipient_macros *macros,
                                   struct mailbox *mailbox)
{
    const char *ours[SESSION_LOCAL_DOMAINS + 2];
    struct mailbox_rules rules = session->settings->mailbox_rules;
    enum mailbox_result result;

    list_local_domains(session, ours);
    rules.local_domains = ours;
    result = parse(mailbox_source(path, refused, macros), &rules, mailbox);
    if (result == MAILBOX_LOCAL && session->mta_domain[0] != '\0') {
        char local[MAILBOX_MAX + 1];

        (void)text_copy(text_of(mailbox->address), local, sizeof local);
        result = parse_at_mta(session, local, &rules, mailbox);
    }
    return result;
}

bool recipient_read_delivered(const struct session *session,
                              const struct recipient_macros *macros,
                              const struct mailbox *read,
                              struct mailbox *delivered)
{
    struct mailbox_rules rules = session->settings->mailbox_rules;

    if (macros->address == NULL || macros->address[0] == '\0' ||
        strchr(macros->address, '@') != NULL ||
        session->mta_domain[0] == '\0' ||
        parse_at_mta(session, macros->address, &rules, delivered) !=
            MAILBOX_OK) {
        return false;
    }
    return read == NULL || strcmp(delivered->address, read->address) != 0;
}

bool recipient_is_local(const struct session *session, const char *domain)
{
    char *const *ours = session->settings->local_domains;

    if (session->mta_domain[0] != '\0' &&
        strcmp(domain, session->mta_domain) == 0) {
        return true;
    }
    for (size_t i = 0; ours != NULL && ours[i] != NULL; i++) {
        if (strcmp(domain, ours[i]) == 0) {
            return true;
        }
    }
    return false;
}
