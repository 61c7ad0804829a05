#include "maillog_writer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_DATE 1795212000

unsigned maillog_writer_random(struct maillog_writer *writer, unsigned limit)
{
    writer->seed = writer->seed * 1664525U + 1013904223U;
    return (writer->seed >> 8) % limit;
}

void maillog_writer_line(int number, char line[WRITER_LINE_MAX])
{
    unsigned filler = (unsigned)number * 2654435761U % 300;
    int length = snprintf(line, WRITER_LINE_MAX, "line %d ", number);

    assert_true(length > 0);
    memset(line + length, 'a' + number % 26, filler);
    line[(unsigned)length + filler] = '\0';
}

int maillog_writer_number(struct text line)
{
    char copy[WRITER_LINE_MAX], wanted[WRITER_LINE_MAX];
    int number;

    if (line.length >= sizeof copy || line.length < 6) {
        return -1;
    }
    (void)text_copy(line, copy, sizeof copy);
    number = (int)strtol(copy + 5, NULL, 10);
    maillog_writer_line(number, wanted);
    return strcmp(copy, wanted) == 0 ? number : -1;
}

static void open_log(struct maillog_writer *writer)
{
    writer->fd = open(writer->folder->log,
                      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    assert_true(writer->fd >= 0);
    writer->late = false;
}

void maillog_writer_open(struct maillog_writer *writer,
                         const struct maillog_folder *folder, unsigned seed)
{
    memset(writer, 0, sizeof *writer);
    writer->folder = folder;
    writer->seed = seed;
    open_log(writer);
}

void maillog_writer_close(struct maillog_writer *writer)
{
    (void)close(writer->fd);
}

static void write_text(struct maillog_writer *writer, const char *text)
{
    size_t length = strlen(text);

    assert_int_equal(write(writer->fd, text, length), (ssize_t)length);
}

static void mend(struct maillog_writer *writer)
{
    write_text(writer, writer->torn);
    writer->torn[0] = '\0';
}

void maillog_writer_add(struct maillog_writer *writer, int count)
{
    for (int i = 0; i < count; i++) {
        char line[WRITER_LINE_MAX];
        size_t length;

        mend(writer);
        maillog_writer_line(writer->next++, line);
        length = strlen(line);
        line[length] = '\n';
        line[++length] = '\0';
        if (maillog_writer_random(writer, 10) == 0) {
            size_t cut = maillog_writer_random(writer, (unsigned)length);

            (void)snprintf(writer->torn, sizeof writer->torn, "%s", line + cut);
            line[cut] = '\0';
        }
        write_text(writer, line);
    }
}

void maillog_writer_settle(struct maillog_writer *writer)
{
    mend(writer);
    if (writer->late) {
        (void)close(writer->fd);
        open_log(writer);
    }
}

/* ".1" becomes free, or a new date. */
static void shift(struct maillog_writer *writer)
{
    int count = writer->rotated_count++;

    assert_true(count + 1 < WRITER_ROTATED);
    for (int i = count; i > 0; i--) {
        char *name = writer->rotated[i];

        memcpy(name, writer->rotated[i - 1], sizeof writer->rotated[i]);
        if (!writer->dates) {
            const char *tail = strchr(name + 1, '.');
            char old[40];

            (void)snprintf(old, sizeof old, "%s", name);
            (void)snprintf(name, sizeof writer->rotated[i], ".%d%.8s", i + 1,
                           tail == NULL ? "" : old + (tail - name));
            maillog_folder_rename(writer->folder, old, name);
        }
    }
    if (writer->dates) {
        (void)snprintf(writer->rotated[0], sizeof writer->rotated[0], "-%d",
                       FIRST_DATE + writer->rotations);
    } else {
        (void)snprintf(writer->rotated[0], sizeof writer->rotated[0], ".1");
    }
    writer->rotations++;
}

static void rotate(struct maillog_writer *writer)
{
    maillog_writer_settle(writer);
    shift(writer);
    maillog_folder_rename(writer->folder, "", writer->rotated[0]);
    writer->late = true;
    if (maillog_writer_random(writer, 2) == 0) { /* logrotate's `create` */
        maillog_folder_append(writer->folder, "", "");
    }
    if (maillog_writer_random(writer, 2) == 0) {
        maillog_writer_settle(writer);
    }
}

static void copy_and_truncate(struct maillog_writer *writer)
{
    maillog_writer_settle(writer);
    shift(writer);
    maillog_folder_copy(writer->folder, "", writer->rotated[0]);
    maillog_folder_truncate(writer->folder, "", 0);
}

static void compress(struct maillog_writer *writer)
{
    static const struct {
        const char *program, *suffix;
    } ways[] = {
        {"gzip", ".gz"}, {"xz", ".xz"}, {"zstd", ".zst"}, {"bzip2", ".bz2"}};
    unsigned way = maillog_writer_random(writer, 4);
    int first = writer->late ? 1 : 0;
    char *name;

    if (writer->rotated_count <= first) {
        return;
    }
    name =
        writer->rotated[(unsigned)first +
                        maillog_writer_random(
                            writer, (unsigned)(writer->rotated_count - first))];
    if (strpbrk(name + 1, ".") == NULL) {
        size_t length = strlen(name);

        maillog_folder_compress(writer->folder, ways[way].program, name);
        (void)snprintf(name + length, sizeof writer->rotated[0] - length, "%s",
                       ways[way].suffix);
    }
}

void maillog_writer_step(struct maillog_writer *writer)
{
    unsigned what = maillog_writer_random(writer, 100);

    if (what < 60) {
        maillog_writer_add(writer, (int)maillog_writer_random(writer, 20));
    } else if (what < 70) {
        maillog_writer_settle(writer);
    } else if (what < 80) {
        if (writer->rotated_count < WRITER_ROTATED - 1) {
            rotate(writer);
        }
    } else if (what < 85) {
        if (writer->truncates && writer->rotated_count < WRITER_ROTATED - 1) {
            copy_and_truncate(writer);
        }
    } else {
        compress(writer);
    }
}
