#include "config.h"

#include "daemon_metrics.h"

#include "clock.h"
#include "event_files.h"
#include "metrics_health.h"
#include "session_report.h"
#include "suppression.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#define COUNT_MS 10000 /* between looks through folders */

/* What takes a folder to be read. */
struct counted {
    int64_t files, unapplied, bytes;
    int64_t descriptors;
};

struct daemon_metrics {
    struct daemon_metrics_parts parts;
    int64_t start_us;

    pthread_mutex_t lock; /* guards the two below, held while they are made */
    int64_t counted_ms;   /* when; 0: never */
    struct counted counted;
};

struct daemon_metrics *
daemon_metrics_new(const struct daemon_metrics_parts *parts)
{
    struct daemon_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL || pthread_mutex_init(&metrics->lock, NULL) != 0) {
        free(metrics);
        return NULL;
    }
    metrics->parts = *parts;
    metrics->start_us = clock_now_us();
    return metrics;
}

void daemon_metrics_free(struct daemon_metrics *metrics)
{
    if (metrics != NULL) {
        (void)pthread_mutex_destroy(&metrics->lock);
        free(metrics);
    }
}

/* --- what is counted now and then -------------------------------------- */

static int64_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", "..", and the one of this look */

    if (folder == NULL) {
        return 0;
    }
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count > 0 ? count : 0;
}

/* A file of ours is applied when all before the next one's first event is. */
static bool is_unapplied(const struct event_files *files, size_t index,
                         const char *instance, int64_t applied_seq)
{
    const struct event_file *file = &files->file[index];
    const struct event_file *next = file + 1;

    return file->kind == EVENT_FILE_EVENTS && index + 1 < files->count &&
           next->kind == EVENT_FILE_EVENTS &&
           strcmp(file->instance, instance) == 0 &&
           strcmp(next->instance, instance) == 0 &&
           next->first_seq - 1 > applied_seq;
}

static void count_files(const struct daemon_metrics_parts *parts,
                        const char *event_log, int64_t applied_seq,
                        struct counted *counted)
{
    struct event_files files;
    struct error ignored;

    if (!event_files_list(event_log, &files, &ignored)) {
        return; /* whoever needs the folder tells */
    }
    for (size_t i = 0; i < files.count; i++) {
        counted->files++;
        counted->bytes += (int64_t)files.file[i].size;
        if (is_unapplied(&files, i, parts->instance, applied_seq)) {
            counted->unapplied++;
        }
    }
    event_files_free(&files);
}

static void count(struct daemon_metrics *metrics, const char *event_log,
                  int64_t applied_seq, struct counted *counted)
{
    const int64_t now_ms = clock_monotonic_ms();

    (void)pthread_mutex_lock(&metrics->lock);
    if (metrics->counted_ms == 0 || now_ms - metrics->counted_ms >= COUNT_MS) {
        metrics->counted = (struct counted){0, 0, 0, count_descriptors()};
        count_files(&metrics->parts, event_log, applied_seq, &metrics->counted);
        metrics->counted_ms = now_ms;
    }
    *counted = metrics->counted;
    (void)pthread_mutex_unlock(&metrics->lock);
}

/* --- each part --------------------------------------------------------- */

static void look_at_log(struct daemon_metrics *metrics, const char *path,
                        struct metrics_look *look)
{
    char *folder = event_files_folder(path);
    struct counted counted;
    struct statvfs space;

    event_log_state(metrics->parts.log, &look->log);
    look->log_writable = look->log.failing ? 0 : 1;
    look->log_last_seq = event_log_last_seq(metrics->parts.log);
    count(metrics, path, look->recorder.applied_seq, &counted);
    look->log_files = counted.files;
    look->log_files_unapplied = counted.unapplied;
    look->log_bytes = counted.bytes;
    look->process_fds = counted.descriptors;
    if (folder != NULL && statvfs(folder, &space) == 0) {
        look->log_free_bytes = (int64_t)(space.f_bavail * space.f_frsize);
    }
    free(folder);
}

static void look_at_store(const struct daemon_metrics_parts *parts,
                          struct metrics_look *look)
{
    const int64_t last_seq = event_log_last_seq(parts->log);

    daemon_store_state(parts->store, &look->recorder);
    look->recorder_connected = look->recorder.connected ? 1 : 0;
    look->recorder_behind = last_seq > look->recorder.applied_seq
                                ? last_seq - look->recorder.applied_seq
                                : 0;
    look->lookups = suppression_counts(daemon_store_list(parts->store));
    look->lookups_available = daemon_store_answers(parts->store) ? 1 : 0;
}

static void look_at_maillog(const struct daemon_metrics_parts *parts,
                            const struct settings *settings,
                            struct metrics_look *look)
{
    look->has_maillog = parts->maillog != NULL;
    if (!look->has_maillog) {
        return;
    }
    maillog_state(parts->maillog, &look->maillog);
    for (size_t i = 0; i < METRICS_MAILLOGS && settings->maillog[i] != NULL;
         i++) {
        const char *path = settings->maillog[i];

        look->maillogs[i] = (struct metrics_maillog){
            .path = path,
            .behind_bytes = maillog_behind(parts->maillog, i),
            .readable = path[0] != '/' || access(path, R_OK) == 0 ? 1 : 0,
        };
        look->maillog_count++;
    }
}

static int64_t us_of(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + (int64_t)time->tv_usec;
}

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";
    char *end = line;
    long pages;

    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(file);
    }
    (void)strtol(line, &end, 10);
    pages = strtol(end, NULL, 10); /* of the second number */
    return (int64_t)pages * (int64_t)sysconf(_SC_PAGESIZE);
}

static void look_at_process(struct metrics_look *look)
{
    struct rusage usage;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        look->process_cpu_us = us_of(&usage.ru_utime) + us_of(&usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        look->process_max_fds = (int64_t)limit.rlim_cur;
    }
    look->process_memory_bytes = resident_bytes();
}

/* Texts in look are borrowed from settings. */
static void look_at_all(struct daemon_metrics *metrics,
                        const struct settings *settings,
                        struct metrics_look *look)
{
    const struct daemon_metrics_parts *parts = &metrics->parts;

    memset(look, 0, sizeof *look);
    look->counts = parts->counts;
    look->version = PACKAGE_VERSION;
    look->node = settings->node;
    look->instance = parts->instance;
    look->observing = settings->mode == MODE_OBSERVE ? 1 : 0;
    look_at_store(parts, look);
    look_at_log(metrics, settings->event_log, look);
    look_at_maillog(parts, settings, look);
    look->trace_keys_usable =
        parts->trace_keys != NULL &&
                trace_keys_can_sign(parts->trace_keys, clock_now_us())
            ? 1
            : 0;
    look->report_bytes = (int64_t)session_report_bytes();
    look->process_start_us = metrics->start_us;
    look_at_process(look);
}

/* --- answers ----------------------------------------------------------- */

void daemon_metrics_answer(void *context, const struct web_request *request,
                           struct web_reply *reply)
{
    struct daemon_metrics *metrics = context;
    const struct settings *settings =
        settings_share_borrow(metrics->parts.settings);
    struct metrics_look look;

    (void)request;
    look_at_all(metrics, settings, &look);
    reply->body = metrics_text(&look, &reply->length);
    if (reply->body != NULL) {
        reply->status = 200;
        reply->content_type = METRICS_CONTENT_TYPE;
    }
    settings_share_return(metrics->parts.settings, settings);
}

void daemon_metrics_answer_health(void *context,
                                  const struct web_request *request,
                                  struct web_reply *reply)
{
    struct daemon_metrics *metrics = context;
    const struct settings *settings =
        settings_share_borrow(metrics->parts.settings);
    struct metrics_look look;
    bool healthy;

    (void)request;
    look_at_all(metrics, settings, &look);
    reply->body = metrics_health(&look, &healthy, &reply->length);
    if (reply->body != NULL) {
        reply->status = healthy ? 200 : 503;
    }
    settings_share_return(metrics->parts.settings, settings);
}
