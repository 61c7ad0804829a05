/*
 * Whatever the configuration file holds, it is taken with every value in its
 * range, or refused with a line that it has; and the next file is read as if
 * this one had never been.
 */
#include "settings.h"
#include "smtp_reply.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static struct settings *load(const void *data, size_t size, char path[32],
                             struct error *error)
{
    int fd = memfd_create("settings", MFD_CLOEXEC);
    struct settings *settings;

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    must(snprintf(path, 32, "/proc/self/fd/%d", fd) > 0);
    settings = settings_load(path, error);
    must(close(fd) == 0);
    return settings;
}

static void check_domains(char *const *domains)
{
    for (; *domains != NULL; domains++) {
        char normal[MAILBOX_DOMAIN_MAX + 1];

        must(mailbox_parse_domain(text_of(*domains), normal));
        must(strcmp(normal, *domains) == 0);
    }
}

static void check_policies(const struct settings *settings)
{
    for (size_t i = 0; i < REASONS; i++) {
        const struct policy *policy = &settings->policies.of[i];

        must(policy->strikes >= 0 && policy->strikes <= POLICY_STRIKES_MAX);
        must(policy->days >= 1 && policy->days <= POLICY_DAYS_MAX);
        must(policy->strikes == 0 || policy->days <= policy->strikes);
        must(policy->window_s >= 3600 &&
             policy->window_s <= POLICY_WINDOW_MAX_S);
        must(policy->releases >= 1 && policy->releases <= POLICY_RELEASES);
        for (size_t step = 0; step < policy->releases; step++) {
            must(policy->release_s[step] > 0 ||
                 policy->release_s[step] == POLICY_FOR_GOOD);
        }
    }
    must(settings->breaker.domain_failures >= 0);
    must(settings->breaker.all_failures >= 0);
    must(settings->breaker.percent >= 1 && settings->breaker.percent <= 100);
    must(settings->breaker.pause_s >= 1);
    must(settings->rules == NULL);
}

/* Paths, and "journal" where there may be one. */
static void check_files(char *const *files, bool journal)
{
    size_t count = 0;

    for (; files[count] != NULL; count++) {
        must(files[count][0] == '/' ||
             (journal && strcmp(files[count], "journal") == 0));
    }
    must(count <= 16);
}

static void check_maillog(const struct settings *settings)
{
    check_files(settings->bounce_rules, false);
    check_files(settings->maillog, true);
    must(settings->retry_schedule_is_postfix ==
         (settings->retry_schedule_steps == 0));
    must(settings->retry_schedule_steps <= 100);
    for (size_t i = 0; i < settings->retry_schedule_steps; i++) {
        must(settings->retry_schedule_minutes[i] >= 1 &&
             settings->retry_schedule_minutes[i] <= 100000);
    }
    for (char **relay = settings->internal_relays; *relay != NULL; relay++) {
        must(**relay > ' ');
    }
    must(settings->delay_notice_after >= 0 &&
         settings->delay_notice_after <= 1000);
    must(settings->delay_notice_limit >= 1 &&
         settings->delay_notice_limit <= 100000);
    must(strrchr(settings->delay_notice_relay, ':') != NULL);
    must(strlen(settings->delay_notice_language) >= 2);
    must(settings->delay_notice_folder[0] == '/');
}

static void check_values(const struct settings *settings)
{
    must(settings->node[0] != '\0' && settings->user[0] != '\0');
    must(settings->state_dir[0] == '/' && settings->event_log[0] == '/');
    must(settings->redis_timeout_ms >= 1 && settings->redis_timeout_ms <= 1000);
    must(settings->event_log_retention_s >= 3600);
    must((settings->milter_socket_mode & ~0775U & 0777U) == 0);
    must(settings->refusal_code[0] == settings->refusal_enhanced_status[0]);
    must(enhanced_status_is_valid(text_of(settings->refusal_enhanced_status)));
    must(settings->refusal_text[0] > ' ');
    check_domains(settings->local_domains);
    check_domains(settings->fold_tag_domains);
    for (size_t i = 0; i < settings->exempt_count; i++) {
        must(settings->exempt[i].kind != MAILBOX_PATTERN_INVALID);
    }
    check_policies(settings);
    check_maillog(settings);
}

/* "path: ..." or "path:LINE: ...", of a line that is there. */
static void check_error(const char *text, const char *path, const uint8_t *data,
                        size_t size)
{
    size_t length = strlen(path);
    long lines = 1;

    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    must(strncmp(text, path, length) == 0 && text[length] == ':');
    if (text[length + 1] != ' ') {
        char *end;
        long line = strtol(text + length + 1, &end, 10);

        must(line >= 1 && line <= lines && *end == ':');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char next[] = "# one\n\nmode = \"off\"\n";
    struct error error = {""};
    char path[32];
    struct settings *settings = load(data, size, path, &error);

    if (settings != NULL) {
        check_values(settings);
    } else {
        check_error(error.text, path, data, size);
    }
    settings_free(settings);
    must(load(next, sizeof next - 1, path, &error) == NULL);
    must(strncmp(error.text + strlen(path), ":3: mode", 8) == 0);
    return 0;
}
