/*
 * scope.h - mail that has lists, a mode and policies of its own
 *
 * A section scope of the configuration names mail by where it comes from. Its
 * conditions are all needed, of one any value; a condition asks for what it
 * names, so what is unknown fits none. The first scope that fits is it.
 *
 * Lists      those of the scope are asked before those for all (suppression.h).
 * Mode       the scope's, else that of all.
 * Policies   the scope's, each filled up from those of all. Who cannot be
 *            reached is so for everybody: that goes by the scope's policy to
 *            the list for all. Who does not want the mail, a complaint or
 *            unsubscribe, goes to the list of the scope.
 *
 * Owner      a scope belongs to its settings; what is found is borrowed.
 * Threads    any.
 */
#ifndef NIXIE_SCOPE_H
#define NIXIE_SCOPE_H

#include "client_network.h"
#include "mailbox.h"
#include "policy.h"
#include "settings.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCOPES_MAX 256

struct scope {
    char name[STORE_SCOPE_MAX + 1];
    uint32_t code;    /* in marks: trace_scope_code() */
    char **listeners; /* NULL-terminated, empty: any; so with all four */
    char **auth_users;
    struct client_network *clients;
    size_t client_count;
    struct mailbox_pattern *senders;
    size_t sender_count;
    enum settings_mode mode;
    struct policies policies;
};

/* Where a message comes from; what is unknown is NULL. */
struct scope_question {
    const char *listener;
    const char *auth_user;
    const char *client_ip;
    const char *sender; /* without brackets; "" is the null reverse-path */
};

/* NULL: it is in none. */
const struct scope *scope_choose(const struct settings *settings,
                                 const struct scope_question *question);

/* By its name, or its code in a mark; NULL: no such is configured. */
const struct scope *scope_find(const struct settings *settings,
                               struct text name);
const struct scope *scope_of_code(const struct settings *settings,
                                  uint32_t code);

/* scope may be NULL. */
enum settings_mode scope_mode(const struct settings *settings,
                              const struct scope *scope);

/* Those that go for mail of this scope: of all, when it has no such name. */
const struct policies *scope_policies(const struct settings *settings,
                                      struct text name);

#endif
