/*
 * mailbox_domain.h - a domain in its one normal form
 *
 * Source   UTS #46 (nontransitional) by libidn2, one label at a time; RFC 5321
 *          4.1.3 for literals, RFC 5952 for IPv6 addresses.
 * Owner    arguments are borrowed.
 * Errors   are the result.
 * Threads  any.
 *
 * Labels are lower-case ASCII; a label that libidn2 refuses stays as it is,
 * with its ASCII letters lowered, so that an odd name is still looked up.
 * Empty labels go, and with them a trailing dot. ASCII bytes that no domain
 * has become U+FFFD, so that they are never read as syntax.
 */
#ifndef NIXIE_MAILBOX_DOMAIN_H
#define NIXIE_MAILBOX_DOMAIN_H

#include "mailbox.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

enum mailbox_domain_result {
    MAILBOX_DOMAIN_OK,
    MAILBOX_DOMAIN_EMPTY,    /* nothing but dots and blanks */
    MAILBOX_DOMAIN_TOO_LONG, /* for MAILBOX_DOMAIN_MAX: normal is "" */
};

struct mailbox_domain {
    char normal[MAILBOX_DOMAIN_MAX + 1];
    size_t length;
    bool odd; /* has bytes that no domain has */
};

/* raw is valid UTF-8 without NUL, as mailbox_path_repair() makes it. */
enum mailbox_domain_result
mailbox_domain_normalise(struct text raw, struct mailbox_domain *domain);

/* The length of the IP literal that text begins with, or 0. */
size_t mailbox_domain_literal_length(struct text text);

#endif
