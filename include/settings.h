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

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_FILE "/etc/nixie/nixie.conf"

enum settings_failure { FAILURE_ACCEPT, FAILURE_TEMPFAIL };
enum settings_mode { MODE_ENFORCE, MODE_OBSERVE };

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
    int64_t event_log_retention_s;
    enum settings_failure on_log_failure;
    char *redis;
    char *redis_user;
    char *redis_password_file;
    int redis_timeout_ms;
    char *key_prefix;
    enum settings_failure on_store_failure;
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
};

/* New, or NULL with error. path NULL: all defaults. */
struct settings *settings_load(const char *path, struct error *error);
void settings_free(struct settings *settings);

/* The path of a unix: milter_socket, or NULL for an inet one. */
const char *settings_socket_path(const struct settings *settings);

/*
 * What a reload cannot change: the name of the first key that differs and
 * needs a restart, or NULL.
 */
const char *settings_needs_restart(const struct settings *running,
                                   const struct settings *loaded);

#endif
