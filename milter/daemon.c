#include "config.h"

#include "daemon.h"

#include "client_rate.h"
#include "clock.h"
#include "daemon_change.h"
#include "daemon_privileges.h"
#include "daemon_store.h"
#include "daemon_web.h"
#include "event_log.h"
#include "forgotten.h"
#include "instance.h"
#include "log.h"
#include "maillog.h"
#include "privacy.h"
#include "session.h"
#include "session_event.h"
#include "settings_share.h"
#include "trace_keys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libmilter/mfapi.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define TICK_MS              1000
#define HEARTBEAT_TICKS      60
#define HEARTBEAT_FIRST      5 /* Redis had the time to answer */
#define SOCKET_CHECK_TICKS   5
#define TRACE_TICKS          5
#define TRACE_ROTATION_TICKS 3600
#define IDLE_MTA_SECONDS     3600
#define DRAIN_MS             3000 /* callbacks, then the recorder, at the end */

/* Why it is to end, if not for a signal that we took. */
enum daemon_end {
    END_NOT_YET,
    END_MILTER, /* smfi_main() has returned: libmilter took the signal */
    END_FAULT,  /* it failed, or our socket is gone */
};

struct daemon {
    const char *settings_path;
    const struct settings *fixed; /* borrowed for ever: folders, Redis, … */
    struct settings_share *share; /* what sessions borrow */

    struct instance *instance;
    struct event_log *log;
    struct forgotten *forgotten;
    struct privacy *privacy;
    struct client_rates *rates;
    struct daemon_store *store;
    struct trace_keys *trace_keys;     /* NULL: marks are off */
    bool trace_failing;                /* told */
    struct maillog_messages *messages; /* NULL: no delivery log is followed */
    struct maillog *maillog;
    struct delay_notices *notices;
    struct daemon_change change;
    struct control *control;
    struct metrics metrics; /* what is counted */
    struct daemon_web *web; /* NULL: nobody may ask */

    ino_t socket_inode;
    pthread_t care_thread;
    pthread_mutex_t care_lock; /* guards the two below */
    pthread_cond_t care_ends;
    bool stopping;
    pthread_t main_thread;
    atomic_int end; /* enum daemon_end */
};

/* --- settings that can change ------------------------------------------ */

static void reload(struct daemon *daemon)
{
    struct error error = {""};
    int64_t began_us = clock_now_us(); /* what changes later is not in it */
    struct settings *settings = settings_load(daemon->settings_path, &error);
    const char *key;

    if (settings != NULL && !settings_load_rules(settings, &error)) {
        settings_free(settings);
        settings = NULL;
    }

    if (settings == NULL) {
        metrics_add(&daemon->metrics.reloads_failed, 1);
        log_error("configuration not reloaded, the old one stays: %s",
                  error.text);
        return;
    }
    key = settings_needs_restart(daemon->fixed, settings);
    atomic_store(&daemon->change.restart_for, key);
    if (key != NULL) {
        log_warning("%s has changed: it needs a restart, the rest is in force",
                    key);
    }
    if (!settings_share_replace(daemon->share, settings)) {
        settings_free(settings);
        log_error("configuration not reloaded, the old one stays: out of "
                  "memory");
        return;
    }
    if (daemon->notices != NULL) {
        delay_notices_reload(daemon->notices);
    }
    atomic_store(&daemon->change.loaded_at_us, began_us);
    log_info("configuration reloaded: mode=%s",
             settings->mode == MODE_OBSERVE ? "observe" : "enforce");
}

/* --- once a second ------------------------------------------------------ */

static void beat(struct daemon *daemon)
{
    struct suppression_cache_state cache;
    struct recorder_state state;
    struct event event;

    daemon_store_state(daemon->store, &state);
    event_init(&event, EVENT_HEARTBEAT, clock_now_us());
    event.applied_seq = state.applied_seq;
    event.lag_seconds = state.lag_seconds;
    event.store_state = text_of(
        state.connected && daemon_store_answers(daemon->store) ? "ok" : "down");
    daemon_store_cache_state(daemon->store, &cache);
    event.cache_state = text_of(suppression_cache_status_name(cache.status));
    event.cache_entries = (int64_t)cache.entries;
    event.cache_bytes = (int64_t)cache.bytes;
    event.cache_age_seconds = cache.age_ms / 1000;
    (void)event_log_append(daemon->log, &event);
}

/* Wakes the main thread; the first reason counts. */
static void end(struct daemon *daemon, enum daemon_end why)
{
    int not_yet = END_NOT_YET;

    (void)atomic_compare_exchange_strong(&daemon->end, &not_yet, (int)why);
    (void)pthread_kill(daemon->main_thread, SIGUSR1);
}

/* Somebody removed our socket: the MTA cannot reach us, a new start can. */
static void check_socket(struct daemon *daemon)
{
    const char *path = settings_socket_path(daemon->fixed);
    struct stat status;

    if (path == NULL || daemon->socket_inode == 0 ||
        (stat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
         status.st_ino == daemon->socket_inode)) {
        return;
    }
    log_error("the milter socket is gone: path=%s: stopping, to be started "
              "again",
              path);
    end(daemon, END_FAULT);
}

static void tell_systemd(const char *state)
{
#ifdef HAVE_LIBSYSTEMD
    (void)sd_notify(0, state);
#else
    (void)state;
#endif
}

/* Until the next tick; false: it was the last. */
static bool wait_for_tick(struct daemon *daemon)
{
    const int64_t end_ms = clock_monotonic_ms() + TICK_MS;
    const struct timespec end = {(time_t)(end_ms / 1000),
                                 (long)(end_ms % 1000) * 1000000L};
    bool stopping;
    int status = 0;

    (void)pthread_mutex_lock(&daemon->care_lock);
    while (!daemon->stopping && status != ETIMEDOUT) {
        status = pthread_cond_timedwait(&daemon->care_ends, &daemon->care_lock,
                                        &end);
    }
    stopping = daemon->stopping;
    (void)pthread_mutex_unlock(&daemon->care_lock);
    return !stopping;
}

/* A fault of the keys is told when it begins and when it ends. */
static void tell_trace(struct daemon *daemon, bool failing, const char *why)
{
    if (failing && !daemon->trace_failing) {
        log_warning("trace_keys: %s; %s", why,
                    trace_keys_can_sign(daemon->trace_keys, clock_now_us())
                        ? "those in memory go on"
                        : "mail goes out without a mark");
    } else if (!failing && daemon->trace_failing) {
        log_info("trace_keys: the keys are read again");
    }
    daemon->trace_failing = failing;
}

static void look_at_trace_keys(struct daemon *daemon, bool rotate)
{
    struct error error = {""};
    enum trace_keys_result result;

    if (daemon->trace_keys == NULL) {
        return;
    }
    result = rotate ? trace_keys_rotate_if_due(daemon->trace_keys,
                                               clock_now_us(), &error)
                    : trace_keys_load(daemon->trace_keys, &error);
    tell_trace(daemon, result == TRACE_KEYS_FAILED, error.text);
}

static void *look_after(void *context)
{
    struct daemon *daemon = context;
    struct daemon_files files = {0};

    for (unsigned tick = 1; wait_for_tick(daemon); tick++) {
        daemon_watch_files(&files, clock_monotonic_ms());
        session_event_sum_up(daemon->log, daemon->rates);
        event_log_tick(daemon->log);
        if (tick % HEARTBEAT_TICKS == 0 || tick == HEARTBEAT_FIRST) {
            beat(daemon);
        }
        if (tick % SOCKET_CHECK_TICKS == 0) {
            check_socket(daemon);
        }
        if (tick % TRACE_TICKS == 0) {
            look_at_trace_keys(daemon, tick % TRACE_ROTATION_TICKS == 0);
        }
        tell_systemd("WATCHDOG=1");
    }
    return NULL;
}

static void rotate(struct daemon *daemon)
{
    struct event_log_state before;
    struct event_log_state after;
    struct error error = {""};

    event_log_state(daemon->log, &before);
    if (!event_log_rotate(daemon->log, &error)) {
        log_error("event log not rotated, the file stays in use: %s",
                  error.text);
        return;
    }
    event_log_state(daemon->log, &after);
    if (after.file_number == before.file_number) {
        log_info("event log not rotated: it holds no event yet");
    } else {
        log_info("event log rotated: file_number=%lld",
                 (long long)after.file_number);
    }
}

/*
 * libmilter waits for the same signals in a thread of its own, but the kernel
 * prefers the main thread. Returns when it is time to stop.
 */
static void take_signals(struct daemon *daemon)
{
    sigset_t signals;
    int number;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigaddset(&signals, SIGUSR2);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGINT);
    while (sigwait(&signals, &number) == 0) {
        if (atomic_load(&daemon->end) != END_NOT_YET) {
            return;
        }
        if (number == SIGUSR2) {
            reload(daemon);
        } else if (number != SIGUSR1) {
            return;
        } else {
            rotate(daemon);
        }
    }
}

static void *run_milter(void *context)
{
    end(context, smfi_main() == MI_SUCCESS ? END_MILTER : END_FAULT);
    return NULL;
}

/* --- start and stop ------------------------------------------------------ */

/*
 * All signals but those that tell of a fault of ours are for one thread each:
 * ours waits for two, libmilter's for the rest.
 */
void daemon_block_signals(void)
{
    sigset_t signals;

    (void)sigfillset(&signals);
    (void)sigdelset(&signals, SIGSEGV);
    (void)sigdelset(&signals, SIGBUS);
    (void)sigdelset(&signals, SIGFPE);
    (void)sigdelset(&signals, SIGILL);
    (void)sigdelset(&signals, SIGABRT);
    (void)pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

static bool start_privacy(struct daemon *daemon, struct error *error)
{
    const struct settings *settings = daemon->fixed;
    struct privacy_options options = {
        .mode = settings->privacy,
        .state_dir = settings->state_dir,
        .rules = &settings->mailbox_rules,
    };

    daemon->forgotten = forgotten_open(options.state_dir, options.rules, error);
    if (daemon->forgotten == NULL) {
        return false;
    }
    options.forgotten = daemon->forgotten;
    daemon->privacy = privacy_new(&options, error);
    return daemon->privacy != NULL;
}

static bool start_log(struct daemon *daemon, struct error *error)
{
    const struct settings *settings = daemon->fixed;
    struct event_log_options options = {
        .path = settings->event_log,
        .node = settings->node,
        .version = PACKAGE_VERSION,
        .sync = settings->event_log_sync,
        .appended = metrics_event,
        .context = &daemon->metrics,
        .format = settings->event_log_format,
        .veil = privacy_veil,
        .veil_context = daemon->privacy,
    };

    _Static_assert(PRIVACY_ROOM <= EVENT_LOG_ROOM, "it writes no more");
    daemon->instance = instance_open(settings->state_dir, error);
    if (daemon->instance == NULL) {
        return false;
    }
    daemon->rates = client_rates_new();
    if (daemon->rates == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    daemon->log = event_log_new(&options, daemon->instance, error);
    return daemon->log != NULL;
}

static bool start_store(struct daemon *daemon, struct error *error)
{
    const struct daemon_store_options options = {
        .settings = daemon->share,
        .log = daemon->log,
        .instance = instance_id(daemon->instance),
        .forgotten = daemon->forgotten,
        .pseudonyms = privacy_key(daemon->privacy),
    };
    daemon->store = daemon_store_start(&options, error);
    if (daemon->store == NULL) {
        return false;
    }
    daemon->change.log = daemon->log;
    daemon->change.store = daemon->store;
    daemon->change.forgotten = daemon->forgotten;
    daemon->control =
        daemon_change_start(&daemon->change, daemon->fixed->state_dir, error);
    return daemon->control != NULL;
}

static bool start_trace(struct daemon *daemon, struct error *error)
{
    const struct trace_keys_place place = {
        .path = daemon->fixed->trace_keys,
        .owner = geteuid(),
        .group = getegid(),
    };

    if (place.path[0] == '\0') {
        return true;
    }
    daemon->trace_keys = trace_keys_new(&place);
    if (daemon->trace_keys == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    look_at_trace_keys(daemon, true);
    return true;
}

static bool start_maillog(struct daemon *daemon, struct error *error)
{
    struct maillog_options options = {
        .settings = daemon->share,
        .log = daemon->log,
        .list = daemon_store_list(daemon->store),
        .unclassified = daemon_store_unclassified(daemon->store),
    };
    const struct delay_notice_options notices = {
        .settings = daemon->share,
        .list = daemon_store_list(daemon->store),
    };

    if (daemon->fixed->maillog[0] == NULL) {
        return true;
    }
    daemon->messages = maillog_messages_new();
    if (daemon->messages == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    maillog_messages_pseudonyms(daemon->messages, privacy_key(daemon->privacy));
    daemon->notices = delay_notices_start(&notices, error);
    if (daemon->notices == NULL) {
        return false;
    }
    options.messages = daemon->messages;
    options.notices = daemon->notices;
    daemon->maillog = maillog_start(&options, error);
    return daemon->maillog != NULL;
}

static bool start_web(struct daemon *daemon, struct error *error)
{
    const struct daemon_metrics_parts parts = {
        .counts = &daemon->metrics,
        .settings = daemon->share,
        .log = daemon->log,
        .store = daemon->store,
        .maillog = daemon->maillog,
        .trace_keys = daemon->trace_keys,
        .instance = instance_id(daemon->instance),
    };
    const char *listen = daemon->fixed->metrics;

    if (listen[0] == '\0') {
        return true;
    }
    daemon->web = daemon_web_start(listen, &parts, error);
    return daemon->web != NULL;
}

static bool start_thread(pthread_t *thread, void *(*body)(void *),
                         struct daemon *daemon, struct error *error)
{
    int cause = pthread_create(thread, NULL, body, daemon);

    if (cause != 0) {
        errno = cause;
        error_set_errno(error, "cannot start a thread");
    }
    return cause == 0;
}

static bool open_socket(struct daemon *daemon, struct error *error)
{
    const struct settings *settings = daemon->fixed;
    const char *path = settings_socket_path(settings);
    mode_t old_mask = umask((mode_t)(~settings->milter_socket_mode & 0777));
    struct stat status;
    bool opened;

    if (path != NULL && daemon_socket_is_in_use(path)) {
        error_set(error,
                  "milter_socket = \"%s\": another program answers there; "
                  "stop it, or give this nixied another socket",
                  settings->milter_socket);
        (void)umask(old_mask);
        return false;
    }
    errno = 0;
    opened = smfi_setconn(settings->milter_socket) == MI_SUCCESS &&
             smfi_settimeout(IDLE_MTA_SECONDS) == MI_SUCCESS &&
             smfi_opensocket(true) == MI_SUCCESS;
    (void)umask(old_mask);
    if (!opened) {
        daemon_socket_fault(settings, errno, error);
        return false;
    }
    if (!daemon_open_socket_to_mta(settings, error)) {
        return false;
    }
    if (path != NULL && stat(path, &status) == 0) {
        daemon->socket_inode = status.st_ino;
    }
    return true;
}

static void wait_for_callbacks(void)
{
    const struct timespec pause = {0, 10 * 1000000L};
    const int64_t end_ms = clock_monotonic_ms() + DRAIN_MS;

    while (session_callbacks_running() > 0 && clock_monotonic_ms() < end_ms) {
        (void)nanosleep(&pause, NULL);
    }
}

static bool start(struct daemon *daemon, struct session_services *services,
                  struct error *error)
{
    if (!daemon_drop_privileges(daemon->fixed, error)) {
        return false;
    }
    (void)umask(0027);
    daemon_raise_limits();
    if (!start_privacy(daemon, error) || !start_log(daemon, error) ||
        !start_store(daemon, error) || !start_trace(daemon, error) ||
        !start_maillog(daemon, error) || !start_web(daemon, error)) {
        return false;
    }
    *services = (struct session_services){
        .log = daemon->log,
        .list = daemon_store_list(daemon->store),
        .settings = daemon->share,
        .messages = daemon->messages,
        .rates = daemon->rates,
        .unclassified = daemon_store_unclassified(daemon->store),
        .trace_keys = daemon->trace_keys,
        .metrics = &daemon->metrics,
    };
    return session_register(services, error) && open_socket(daemon, error) &&
           start_thread(&daemon->care_thread, look_after, daemon, error);
}

static bool init_locks(struct daemon *daemon)
{
    pthread_condattr_t monotonic;

    return pthread_condattr_init(&monotonic) == 0 &&
           pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&daemon->care_ends, &monotonic) == 0 &&
           pthread_mutex_init(&daemon->care_lock, NULL) == 0;
}

/*
 * Nothing is freed that a callback may still use: libmilter leaves them
 * running.
 */
static void stop(struct daemon *daemon, bool started)
{
    wait_for_callbacks();
    if (started) {
        (void)pthread_mutex_lock(&daemon->care_lock);
        daemon->stopping = true;
        (void)pthread_cond_signal(&daemon->care_ends);
        (void)pthread_mutex_unlock(&daemon->care_lock);
        (void)pthread_join(daemon->care_thread, NULL);
        session_event_sum_up(daemon->log, daemon->rates);
    }
    daemon_web_stop(daemon->web); /* it asks all others */
    control_stop(daemon->control);
    maillog_stop(daemon->maillog);
    delay_notices_stop(daemon->notices);
    daemon_store_stop(daemon->store, DRAIN_MS);
    if (daemon->log != NULL) {
        event_log_tick(daemon->log);
    }
}

/*
 * Nobody connects any more. libmilter is not told: it would take seconds, and
 * a connection that it accepts meanwhile can lock it up for ever. What its
 * threads still do is cut off by the end of the process, and the log has
 * every event before the MTA has its answer.
 */
static void close_socket(const struct daemon *daemon)
{
    const char *path = settings_socket_path(daemon->fixed);
    struct stat status;

    if (path != NULL && stat(path, &status) == 0 &&
        status.st_ino == daemon->socket_inode) {
        (void)unlink(path);
    }
}

/* The exit status. */
static int serve(struct daemon *daemon)
{
    struct error error = {""};
    pthread_t milter_thread;

    if (!start_thread(&milter_thread, run_milter, daemon, &error)) {
        log_error("%s", error.text);
        return EXIT_FAILURE;
    }
    (void)pthread_detach(milter_thread); /* nobody waits for libmilter */
    tell_systemd("READY=1");
    take_signals(daemon);
    tell_systemd("STOPPING=1");
    close_socket(daemon);
    return atomic_load(&daemon->end) == END_FAULT ? EXIT_FAILURE : EXIT_SUCCESS;
}

int daemon_run(const char *settings_path, struct settings *settings)
{
    /* for ever: libmilter may leave callbacks running behind smfi_main() */
    struct daemon *daemon = calloc(1, sizeof *daemon);
    struct session_services *services = calloc(1, sizeof *services);
    struct error error = {""};
    int status = EXIT_FAILURE;
    bool started;

    if (daemon == NULL || services == NULL) {
        log_error("out of memory");
        return EXIT_FAILURE;
    }
    daemon->main_thread = pthread_self();
    daemon->settings_path = settings_path;
    atomic_store(&daemon->change.loaded_at_us, clock_now_us());
    daemon->share = settings_share_new(settings);
    if (daemon->share != NULL) {
        daemon->fixed = settings_share_borrow(daemon->share);
    }
    started = daemon->fixed != NULL && init_locks(daemon) &&
              start(daemon, services, &error);
    if (!started) {
        log_error("%s", error.text[0] != '\0' ? error.text : "out of memory");
    } else {
        log_info("nixied %s started: node=%s instance=%s socket=%s mode=%s",
                 PACKAGE_VERSION, settings->node, instance_id(daemon->instance),
                 settings->milter_socket,
                 settings->mode == MODE_OBSERVE ? "observe" : "enforce");
        status = serve(daemon);
    }
    stop(daemon, started);
    log_info("nixied stopped");
    _exit(status);
}
