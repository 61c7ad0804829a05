/*
 * settings.h - the configuration file, read and checked
 *
 * Each key, its default and its range are in nixie.conf(5). Named settings
 * because config.h is what configure makes.
 *
 * Owner    settings_load() gives a new one; its strings live with it. It is
 *          read-only then, so threads share it.
 * Errors   name file and line, and what to write instead.
 */
#ifndef NIXIE_SETTINGS_H
#define NIXIE_SETTINGS_H

#include "error.h"
#include "event_log.h"
#include "mailbox.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_FILE "/etc/nixie/nixie.conf"

/* FAILURE_CACHED: of the store alone, whose last known list is enforced. */
enum settings_failure { FAILURE_ACCEPT, FAILURE_TEMPFAIL, FAILURE_CACHED };
enum settings_mode { MODE_ENFORCE, MODE_OBSERVE };

/* How much of an address an event has: privacy.h. */
enum settings_privacy { PRIVACY_FULL, PRIVACY_HASH, PRIVACY_DOMAIN };

/* Whose failures in the delivery log may count. */
enum settings_trust { TRUST_SEEN, TRUST_ALL };

/* Which refusals are taken from the delivery log. */
enum settings_rejections {
    REJECTIONS_NONE,
    REJECTIONS_SENDMAIL,
    REJECTIONS_ALL,
};

struct bounce_rules;
struct client_network;
struct scope;

struct settings {
    char *node;
    char *user;
    char *milter_socket;
    char *milter_socket_group;
    bool milter_socket_group_is_default;
    unsigned milter_socket_mode;
    bool allow_remote_mta;
    char *state_dir;
    char *event_log;
    enum event_log_sync event_log_sync;
    enum event_log_format event_log_format;
    int64_t event_log_retention_s;
    enum settings_privacy privacy;
    enum settings_failure on_log_failure;
    int64_t client_event_rate; /* a second; 0: no limit */
    char *redis;
    char *redis_user;
    char *redis_password_file;
    int redis_timeout_ms;
    char *key_prefix;
    enum settings_failure on_store_failure;
    size_t suppression_cache_memory; /* bytes; 0: no cache */
    enum settings_mode mode;
    char *refusal; /* as configured; checked */
    char refusal_code[4];
    char refusal_enhanced_status[12];
    const char *refusal_text; /* in refusal, behind the codes */
    bool fold_local_case;
    char **local_domains; /* A-labels, NULL-terminated */
    char **fold_tag_domains;
    struct mailbox_rules mailbox_rules; /* of the three above */
    struct mailbox_pattern *exempt;
    size_t exempt_count;
    char **bounce_rules; /* paths, NULL-terminated */
    bool bounce_rules_is_default;
    char *bounce_rules_place;   /* "FILE:LINE" that names them, or NULL */
    struct bounce_rules *rules; /* NULL until settings_load_rules() */
    struct policies policies;
    struct policy_breaker breaker;
    struct scope *scopes; /* in order: the first that fits is it */
    size_t scope_count;
    char *trace_keys; /* a path; "": no marks */
    struct client_network *outgoing_clients;
    size_t outgoing_client_count;
    char **maillog; /* paths, or "journal" alone; NULL-terminated */
    enum settings_trust maillog_trust;
    enum settings_rejections maillog_rejections;
    char **internal_relays; /* as configured; NULL-terminated */
    bool retry_schedule_is_postfix;
    int64_t *retry_schedule_minutes; /* NULL if it is Postfix's */
    size_t retry_schedule_steps;
    int64_t delay_notice_after; /* attempts; 0: no notices */
    char *delay_notice_relay;   /* HOST:PORT, IPv6 in brackets */
    char *delay_notice_language;
    char *delay_notice_folder;
    int64_t delay_notice_limit; /* an hour */
    char *metrics;              /* HOST:PORT of the HTTP listener; "": none */
};

/* New, or NULL with error. path NULL: all defaults. */
struct settings *settings_load(const char *path, struct error *error);
void settings_free(struct settings *settings);

/*
 * Compiles the files of bounce_rules, in order, into rules, which belongs to
 * settings. The default files may be missing, those of any other list may
 * not. False with error; rules stays as it was.
 */
bool settings_load_rules(struct settings *settings, struct error *error);

/* The path of a unix: milter_socket, or NULL for an inet one. */
const char *settings_socket_path(const struct settings *settings);

/*
 * What a reload cannot change: the name of the first key that differs and
 * needs a restart, or NULL.
 */
const char *settings_needs_restart(const struct settings *running,
                                   const struct settings *loaded);

#endif
