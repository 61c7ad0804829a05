/*
 * event_follow.h - the lines of the event log as they come, through rotations
 *
 * What nixie tail and nixie top read. They change nothing and keep no place;
 * the recorder and its promises are elsewhere.
 *
 * Owner    path and context are borrowed.
 * Threads  one.
 */
#ifndef NIXIE_EVENT_FOLLOW_H
#define NIXIE_EVENT_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_follow_options {
    const char *path;
    bool rotations; /* go on in the file that follows; else end with one */
    /* Where to begin: at the first file that was written since then, if it is
     * not 0; else lines before the end that _wanted() says yes to, with
     * rotations also in the files before. */
    int64_t since_us;
    long lines;
    /* NULL: yes. line NULL: one that is longer than events are. */
    bool (*wanted)(void *context, const char *line, size_t length);
    void *context;
};

struct event_follow;

/* New, or NULL when out of memory. */
struct event_follow *
event_follow_new(const struct event_follow_options *options);
void event_follow_free(struct event_follow *follow); /* or NULL */

/*
 * The first file; false with errno. ENOENT: _next() finds it once it is there;
 * EINVAL: it is no regular file.
 */
bool event_follow_open(struct event_follow *follow);

enum event_follow_result {
    EVENT_FOLLOW_LINE,
    EVENT_FOLLOW_END,       /* nothing more now */
    EVENT_FOLLOW_TRUNCATED, /* it goes on with the file's beginning */
    EVENT_FOLLOW_ERROR,     /* errno tells */
};

/* Never waits. *line is borrowed until the next call and has no newline. */
enum event_follow_result event_follow_next(struct event_follow *follow,
                                           const char **line, size_t *length);

#endif
