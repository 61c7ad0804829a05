#include "clock.h"
#include "command.h"
#include "command_rules.h"
#include "event_id.h"
#include "event_json.h"
#include "maillog_follow.h"
#include "maillog_message.h"
#include "maillog_reader.h"
#include "maillog_schedule.h"
#include "outcome.h"
#include "settings_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_INSTANCE "0000000000000000" /* these events are in no log */
/* What is written at once; a pipe takes no more. */
#define OUTPUT_SIZE ((size_t)64 * 1024)
/* Who reads old logs waits for no message; memory is better kept small. */
#define MESSAGE_BYTES ((size_t)4 * 1024 * 1024)

struct maillog_run {
    const struct command_call *call;
    struct settings_share *share;
    const struct settings *settings; /* borrowed from share */
    struct maillog_follow *follow;
    struct maillog_messages *messages;
    struct outcome_judge *judge;
    struct maillog_reader *reader;
    struct maillog_schedule schedule;
    bool has_schedule;
    struct event_id_source *ids;
    int64_t seq;
    size_t used; /* of output */
    char output[OUTPUT_SIZE];
};

/* False: nobody reads it any more. */
static bool write_out(struct maillog_run *run)
{
    size_t used = run->used;

    run->used = 0;
    return fwrite(run->output, 1, used, stdout) == used &&
           command_output_flows();
}

static bool print_event(void *context, struct event *event)
{
    struct maillog_run *run = context;

    if (event->type == EVENT_MARK) { /* of use to who goes on later */
        return true;
    }
    event->seq = ++run->seq;
    event->node = text_of(run->settings->node);
    event->instance = text_of(NO_INSTANCE);
    event_id_make(run->ids, event->timestamp_us, event->event_id);
    run->used += event_json_encode(event, run->output + run->used);
    return run->used <= OUTPUT_SIZE - EVENT_LINE_MAX || write_out(run);
}

/*
 * Postfix's own times, those of the configuration, or Postfix's defaults. Most
 * lines need none, and asking Postfix takes as long as reading a lot of them.
 */
static void make_schedule(void *context)
{
    struct maillog_run *run = context;
    struct error error;

    if (run->has_schedule) {
        return;
    }
    run->has_schedule = true;
    (void)write_out(run); /* nobody waits for what is there */
    if (run->settings->retry_schedule_is_postfix) {
        if (!maillog_schedule_ask_postfix(&run->schedule, &error)) {
            command_complain(run->call,
                             "%s: Postfix's own defaults are taken for when "
                             "mail is tried again; with Postfix set "
                             "MAIL_CONFIG to the folder of main.cf, with "
                             "Sendmail retry_schedule = {10}, the minutes "
                             "between its queue runs",
                             error.text);
        }
    } else {
        maillog_schedule_take_minutes(&run->schedule,
                                      run->settings->retry_schedule_minutes,
                                      run->settings->retry_schedule_steps);
    }
}

static bool open_sources(struct maillog_run *run, struct error *error)
{
    const struct command_call *call = run->call;
    const char **sources =
        calloc((size_t)call->argument_count + 2, sizeof *sources);
    const struct maillog_follow_options options = {
        .sources = sources,
        .from_start = true,
    };

    if (sources == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    sources[0] = "-";
    for (int i = 0; i < call->argument_count; i++) {
        sources[i] = call->arguments[i];
    }
    run->follow = maillog_follow_new(&options, error);
    free(sources);
    return run->follow != NULL;
}

static bool make_parts(struct maillog_run *run, struct error *error)
{
    const struct outcome_judge_options judged = {.settings = run->share};
    struct maillog_reader_options read = {
        .settings = run->share,
        .schedule = &run->schedule,
        .take = print_event,
        .need_schedule = make_schedule,
        .context = run,
    };

    run->ids = event_id_source_new();
    run->messages = maillog_messages_new();
    run->judge = outcome_judge_new(&judged);
    if (run->ids == NULL || run->messages == NULL || run->judge == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    maillog_messages_limit(run->messages, MESSAGE_BYTES);
    read.messages = run->messages;
    read.judge = run->judge;
    run->reader = maillog_reader_new(&read);
    if (run->reader == NULL) {
        error_set(error, "out of memory");
    }
    return run->reader != NULL;
}

static bool prepare(struct maillog_run *run, struct error *error)
{
    struct settings *settings = command_rules_settings(run->call, error);

    if (settings == NULL) {
        return false;
    }
    if (command_value(run->call, "trust") != NULL) {
        settings->maillog_trust = TRUST_ALL;
    }
    run->share = settings_share_new(settings);
    if (run->share == NULL) {
        settings_free(settings);
        error_set(error, "out of memory");
        return false;
    }
    run->settings = settings_share_borrow(run->share);
    maillog_schedule_init(&run->schedule);
    return make_parts(run, error) && open_sources(run, error);
}

/* What is there is read on; before it waits for more it tells what it has. */
static void read_lines(struct maillog_run *run)
{
    struct maillog_line line;
    bool going = true;

    /* run->output is the buffer: stdio's own would make three writes of one */
    (void)setvbuf(stdout, NULL, _IONBF, 0);
    while (going) {
        switch (
            maillog_follow_next(run->follow, run->used > 0 ? 0 : 1000, &line)) {
        case MAILLOG_FOLLOW_LINE:
            going = maillog_reader_line(run->reader, &line);
            break;
        case MAILLOG_FOLLOW_IDLE:
            going = run->used == 0 || write_out(run);
            break;
        case MAILLOG_FOLLOW_END:
            (void)maillog_reader_release(run->reader, true);
            going = false;
            break;
        }
    }
    (void)write_out(run);
}

/* What was wrong with a file is told where it was found. */
static enum command_status status_of(const struct maillog_run *run)
{
    struct maillog_follow_state state;

    maillog_follow_state(run->follow, &state);
    return state.lost_files > 0 ? COMMAND_FAULT : COMMAND_OK;
}

static void release(struct maillog_run *run)
{
    if (run == NULL) {
        return;
    }
    maillog_reader_free(run->reader);
    maillog_follow_free(run->follow);
    outcome_judge_free(run->judge);
    maillog_messages_free(run->messages);
    event_id_source_free(run->ids);
    if (run->settings != NULL) {
        settings_share_return(run->share, run->settings);
    }
    settings_share_free(run->share);
    free(run);
}

enum command_status command_maillog(const struct command_call *call)
{
    struct maillog_run *run = calloc(1, sizeof *run);
    struct error error = {"out of memory"};
    enum command_status status = COMMAND_OK;

    if (run != NULL) {
        run->call = call;
    }
    if (run != NULL && prepare(run, &error)) {
        read_lines(run);
        status = status_of(run);
    } else {
        command_complain(call, "%s", error.text);
        status = COMMAND_FAULT;
    }
    release(run);
    return status;
}
