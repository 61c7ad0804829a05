/*
 * mailbox.h - a recipient in its one normal form
 *
 * Source   RFC 5321 4.1.2 (Path, Mailbox), RFC 5322 3.4 for the comments and
 *          display names that MTAs let pass, RFC 6531 for UTF-8, UTS #46 for
 *          domains, RFC 5952 for IPv6 literals; percent and bang paths as
 *          Postfix resolves them.
 * Owner    arguments are borrowed; a struct mailbox has no pointers.
 * Errors   are the result; nothing is logged here.
 * Threads  any.
 *
 * The same function makes the form for writing and for looking up, so that
 * case, quoting, comments, routes, IDN form or a trailing dot never get a
 * recipient past the list. Nothing is folded that may be another mailbox:
 * not "+tag", not dots, not look-alike letters. It is idempotent: the normal
 * form of a normal form is itself.
 */
#ifndef NIXIE_MAILBOX_H
#define NIXIE_MAILBOX_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define MAILBOX_MAX        320 /* bytes of the normal form: 64 + @ + 255 */
#define MAILBOX_DOMAIN_MAX 255 /* octets, RFC 5321 4.5.3.1.2 */

struct mailbox {
    char address[MAILBOX_MAX + 1]; /* "" when longer than MAILBOX_MAX */
    size_t address_length;
    size_t local_length; /* the local part, as it stands in address */
    char domain[MAILBOX_DOMAIN_MAX + 1]; /* A-label or literal; "" if none */
    size_t domain_length;
};

enum mailbox_result {
    MAILBOX_OK,
    MAILBOX_LONG,    /* only domain is set: look up the domain alone */
    MAILBOX_LOCAL,   /* a local part without a domain ("postmaster") */
    MAILBOX_INVALID, /* no mailbox in it: nothing is set */
};

struct mailbox_rules {
    /*
     * Domains of ours, lower-case A-labels, NULL-terminated; may be NULL.
     * In these, and where there is no domain, percent and bang paths
     * (user%domain, domain!user) are resolved; <user@domain@ours> too.
     */
    const char *const *local_domains;
    /*
     * The default is to fold case, in all of Unicode, since Postfix hands over
     * {rcpt_addr} so folded (and with it the sharp s as "ss").
     */
    bool keep_local_case;
    /*
     * Domains in which ann+tag is ann's mailbox; same form, may be NULL. The
     * "+" and what follows it goes, unless nothing would be left.
     */
    const char *const *fold_tag_domains;
};

/*
 * path is an argument of RCPT (with or without brackets), a {rcpt_addr}, or
 * what an operator types. rules may be NULL. Bytes that are not UTF-8 become
 * U+FFFD, one for each, and so does NUL: normal forms are C strings. Blanks
 * become spaces; other control characters stand quoted, never bare. In a
 * domain what no domain has becomes U+FFFD.
 *
 * Of an address of more than MAILBOX_MAX bytes, or a domain of more than
 * MAILBOX_DOMAIN_MAX (then domain is "" too), the result is MAILBOX_LONG.
 */
enum mailbox_result mailbox_parse(struct text path,
                                  const struct mailbox_rules *rules,
                                  struct mailbox *mailbox);

/* The domain alone: "Example.NET.", "[192.0.2.1]". False if it is none. */
bool mailbox_parse_domain(struct text domain,
                          char normal[MAILBOX_DOMAIN_MAX + 1]);

/*
 * A pattern of the lists, in normal form: ann@example.org, @example.org (the
 * domain), @.example.org (every depth below), ann@ (any domain). No rules
 * apply: case is folded, tags stay, and domains of ours are like any other.
 */
enum mailbox_pattern_kind {
    MAILBOX_PATTERN_INVALID,
    MAILBOX_PATTERN_EXACT,
    MAILBOX_PATTERN_DOMAIN,
    MAILBOX_PATTERN_SUBDOMAINS,
    MAILBOX_PATTERN_LOCAL_PART,
};

struct mailbox_pattern {
    enum mailbox_pattern_kind kind;
    char text[MAILBOX_MAX + 3];
    size_t length;
    char domain[MAILBOX_DOMAIN_MAX + 1]; /* without @ and dot; "" if none */
};

/*
 * rules as for mailbox_parse(). With keep_local_case a normal form made under
 * any rules stays as it is: for readers that do not know the settings.
 */
enum mailbox_pattern_kind
mailbox_parse_pattern(struct text text, const struct mailbox_rules *rules,
                      struct mailbox_pattern *pattern);

/*
 * The patterns that a mailbox is looked up under, most telling first: exact,
 * local part, domain, then @.suffix from the longest to the shortest. index
 * counts from 0; false past the last. Of a MAILBOX_LONG only domain forms.
 */
bool mailbox_candidate(const struct mailbox *mailbox, size_t index,
                       struct mailbox_pattern *pattern);
/* How many those are. */
size_t mailbox_candidates(const struct mailbox *mailbox);

#endif
