/*
 * control.h - how the tool asks the daemon of this host to log a change
 *
 * A Unix socket, <state_dir>/control.sock, mode 0600: a request is one JSON
 * line {"type":"suppression_added","suppression_pattern":…, …} with the
 * members of the event, the answer one line {"seq":N,"applied":true} or
 * {"error":"…"}. "applied" tells that Redis has it; false: the log has it and
 * Redis will.
 *
 * A connection may bring more lines, up to CONTROL_TOGETHER, without waiting
 * for answers; these come in order. Behind an error the server hangs up and
 * takes no more of that connection.
 *
 * What comes in thousands comes in a batch, with one answer: control_batch.h.
 *
 * {"type":"about"} asks for nothing to be logged: {"version":"…",
 * "loaded_at":"…","restart_for":"…"}; the last, a key of the configuration
 * that a reload could not change, only when there is one.
 *
 * The server takes root and its own user only, one connection after the
 * other; who brings no whole line for 2 s is hung up on.
 *
 * Threads  the server is a thread of its own that calls handle and applied.
 */
#ifndef NIXIE_CONTROL_H
#define NIXIE_CONTROL_H

#include "error.h"
#include "event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_TOGETHER 500 /* requests of a connection: others wait */
#define CONTROL_PIECE    64  /* of a batch are logged at once */

struct control_answer {
    int64_t seq;
    bool applied;
};

/* What a nixied says of itself. */
#define CONTROL_WORD_MAX 64
struct control_about {
    char version[CONTROL_WORD_MAX];
    int64_t loaded_at_us;               /* its configuration; 0: unknown */
    char restart_for[CONTROL_WORD_MAX]; /* "": no key */
};

struct control_options {
    const char *state_dir;
    /* Logs the event; false with error when it cannot. */
    bool (*handle)(void *context, struct event *event,
                   struct control_answer *answer, struct error *error);
    /*
     * Whether Redis has the event of this seq, after timeout_ms at most; asked
     * for the answers of handle() that say no, when all that came together is
     * logged. NULL: what handle() says goes.
     */
    bool (*applied)(void *context, int64_t seq, int timeout_ms);
    /* NULL: it does not tell. */
    void (*about)(void *context, struct control_about *about);
    void *context;
    /*
     * Of a batch (control_batch.h), up to CONTROL_PIECE: logs them, *done of
     * them, and the last of these has answer->seq. NULL: handle(), for each.
     */
    bool (*handle_all)(void *context, struct event *events, size_t count,
                       size_t *done, struct control_answer *answer,
                       struct error *error);
};

struct control;
struct control *control_start(const struct control_options *options,
                              struct error *error);
void control_stop(struct control *control); /* takes it, or NULL */

enum control_result {
    CONTROL_DONE,
    CONTROL_ABSENT,  /* no nixied on this host, or none listens */
    CONTROL_REFUSED, /* error tells */
    CONTROL_UNKNOWN, /* it was sent, no answer came */
};

/* Sends an event and waits for the answer, at most timeout_ms. */
enum control_result control_send(const char *state_dir,
                                 const struct event *event, int timeout_ms,
                                 struct control_answer *answer,
                                 struct error *error);

/*
 * The same for up to CONTROL_TOGETHER events, in order, and at most timeout_ms
 * for each answer. *done is how many of them are done; what is not DONE goes
 * for the one behind these. Those behind that one: REFUSED, they were not
 * taken; UNKNOWN, they may have been.
 */
enum control_result control_send_all(const char *state_dir,
                                     const struct event *events, size_t count,
                                     int timeout_ms,
                                     struct control_answer *answers,
                                     size_t *done, struct error *error);

/* Whether anybody listens: DONE, ABSENT, or REFUSED (error tells: not us). */
enum control_result control_probe(const char *state_dir, struct error *error);

/* What it says of itself; REFUSED also by a nixied too old to know this. */
enum control_result control_ask_about(const char *state_dir, int timeout_ms,
                                      struct control_about *about,
                                      struct error *error);

#endif
