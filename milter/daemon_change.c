#include "config.h"

#include "daemon_change.h"

#include "clock.h"
#include "mailbox.h"
#include "pseudonym.h"
#include "text.h"

/* Later events have its pseudonym before this one is in the log. */
static bool forget(struct daemon_change *change, struct event *event,
                   struct mailbox *mailbox, char name[PSEUDONYM_SIZE],
                   struct error *error)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};

    if (mailbox_parse(event->recipient, &as_it_is, mailbox) != MAILBOX_OK ||
        !forgotten_add(change->forgotten, mailbox, name, error)) {
        return false;
    }
    event->recipient_domain = text_of(mailbox->domain);
    event->pseudonym = text_of(name);
    return true;
}

static bool change_list(void *context, struct event *event,
                        struct control_answer *answer, struct error *error)
{
    struct daemon_change *change = context;
    char name[PSEUDONYM_SIZE];
    struct mailbox mailbox;

    if (event->type == EVENT_RECIPIENT_FORGOTTEN &&
        !forget(change, event, &mailbox, name, error)) {
        return false;
    }
    event->timestamp_us = clock_now_us();
    event->origin = text_of("command");
    switch (event_log_append(change->log, event)) {
    case EVENT_LOG_WRITTEN:
        answer->seq = event->seq;
        return true;
    case EVENT_LOG_HELD: /* it will be written, if we live to see room */
        return true;
    case EVENT_LOG_LOST:
        break;
    }
    error_set(error, "the event log cannot be written; free space in its "
                     "folder and try again");
    return false;
}

/* What the log could not take is not done, and what follows neither. */
static bool change_lists(void *context, struct event *events, size_t count,
                         size_t *done, struct control_answer *answer,
                         struct error *error)
{
    struct daemon_change *change = context;

    for (size_t i = 0; i < count; i++) {
        if (events[i].type == EVENT_RECIPIENT_FORGOTTEN) {
            error_set(error, "recipient_forgotten does not come in a batch");
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        events[i].timestamp_us = clock_now_us();
        events[i].origin = text_of("command");
    }
    if (event_log_append_all(change->log, events, count) != EVENT_LOG_LOST) {
        *done = count;
        answer->seq = events[count - 1].seq;
        answer->applied = false;
        return true;
    }
    for (*done = 0; *done < count && events[*done].seq > 0; (*done)++) {
        answer->seq = events[*done].seq;
    }
    error_set(error, "the event log cannot be written; free space in its "
                     "folder and try again");
    return false;
}

static bool change_applied(void *context, int64_t seq, int timeout_ms)
{
    struct daemon_change *change = context;

    return daemon_store_wait(change->store, seq, timeout_ms);
}

static void tell_about(void *context, struct control_about *about)
{
    struct daemon_change *change = context;

    (void)text_copy(text_of(PACKAGE_VERSION), about->version,
                    sizeof about->version);
    (void)text_copy(text_of(atomic_load(&change->restart_for)),
                    about->restart_for, sizeof about->restart_for);
    about->loaded_at_us = atomic_load(&change->loaded_at_us);
}

struct control *daemon_change_start(struct daemon_change *change,
                                    const char *state_dir, struct error *error)
{
    const struct control_options options = {
        .state_dir = state_dir,
        .handle = change_list,
        .applied = change_applied,
        .about = tell_about,
        .context = change,
        .handle_all = change_lists,
    };

    return control_start(&options, error);
}
