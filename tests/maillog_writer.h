/*
 * maillog_writer.h - writes a log of numbered lines and rotates it at random,
 * in the ways that logrotate(8) does, for tests of what follows it
 *
 * Line n is a function of n. No file is ever deleted.
 */
#ifndef NIXIE_TESTS_MAILLOG_WRITER_H
#define NIXIE_TESTS_MAILLOG_WRITER_H

#include "maillog_folder.h"
#include "text.h"

#include <stdbool.h>

#define WRITER_LINE_MAX 512
#define WRITER_ROTATED  200

struct maillog_writer {
    const struct maillog_folder *folder;
    unsigned seed;
    bool dates;                 /* PATH-1795212000, else PATH.1 */
    bool truncates;             /* copytruncate happens, too */
    int fd;                     /* as the logging daemon holds it */
    bool late;                  /* fd is a file that was renamed already */
    int next;                   /* number of the next line */
    char torn[WRITER_LINE_MAX]; /* of a line that is there in part: the rest */
    /* youngest first */
    char rotated[WRITER_ROTATED][40];
    int rotated_count;
    int rotations;
};

void maillog_writer_open(struct maillog_writer *writer,
                         const struct maillog_folder *folder, unsigned seed);
void maillog_writer_close(struct maillog_writer *writer);

/* Below limit. */
unsigned maillog_writer_random(struct maillog_writer *writer, unsigned limit);

/* Lines, a rotation, a compression, or nothing. */
void maillog_writer_step(struct maillog_writer *writer);
void maillog_writer_add(struct maillog_writer *writer, int count);
/* No torn line, and the daemon writes to PATH. */
void maillog_writer_settle(struct maillog_writer *writer);

void maillog_writer_line(int number, char line[WRITER_LINE_MAX]);
/* -1: it is none. */
int maillog_writer_number(struct text line);

#endif
