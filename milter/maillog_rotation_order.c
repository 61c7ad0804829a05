#include "maillog_rotation.h"
#include "maillog_stamp.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define LOOKED_AT 4096 /* bytes of a file in which a stamp is looked for */
/* so far a clock without zone is set back and forth in a year, and more */
#define CLOCK_CHANGE_US (INT64_C(2) * 3600 * 1000000)

/* The stamp of the first line that has one; 0: none. */
static int64_t first_stamp(struct text text, int64_t near_us)
{
    struct maillog_stamp stamp;

    maillog_stamp_init(&stamp, near_us);
    while (text.length > 0) {
        const char *newline = memchr(text.bytes, '\n', text.length);
        struct text line = text;
        int64_t us;
        size_t length =
            newline == NULL ? text.length : (size_t)(newline - text.bytes) + 1;

        if (maillog_stamp_take(&stamp, &line, &us)) {
            return us;
        }
        text.bytes += length;
        text.length -= length;
    }
    return 0;
}

/* 0: it cannot be read, or has none. */
static int64_t begin_of(const struct maillog_rotation_file *file)
{
    char bytes[LOOKED_AT];
    struct error ignored;
    struct maillog_input *input = maillog_rotation_open(file, &ignored);
    size_t got = 0;

    if (input != NULL && maillog_input_read(input, 0, bytes, sizeof bytes, &got,
                                            &ignored) != MAILLOG_INPUT_GOT) {
        got = 0;
    }
    maillog_input_free(input);
    return first_stamp((struct text){bytes, got}, file->modified_us);
}

static int sign_of(int64_t difference)
{
    return (difference > 0) - (difference < 0);
}

/*
 * Which of two is younger: 1 the later one, -1 the earlier, 0 who knows. What
 * is near by the stamps may be so by a change of the clock: times of the files
 * tell, but only then, as copies have others.
 */
static int younger(const struct maillog_rotation_file *earlier,
                   const struct maillog_rotation_file *later)
{
    int64_t begun = later->begun_us - earlier->begun_us;
    int64_t modified = later->modified_us - earlier->modified_us;

    if (earlier->begun_us == 0 || later->begun_us == 0) {
        return 0;
    }
    return begun > CLOCK_CHANGE_US || begun < -CLOCK_CHANGE_US || modified == 0
               ? sign_of(begun)
               : sign_of(modified);
}

static int compare_begins(const void *left, const void *right)
{
    return -younger(left, right);
}

/* They stand as if .1 were the youngest: behind all others of the row. */
void maillog_rotation_order(struct maillog_rotation *rotation)
{
    struct maillog_rotation_file *row = rotation->file;
    size_t count = rotation->count;
    int votes = 0;
    bool mixed = false;

    while (count > 0 && row->odd) {
        row++;
        count--;
    }
    count -= count > 0 && row[count - 1].current;
    for (size_t i = 0; i < count; i++) {
        if (row[i].order != MAILLOG_ROTATION_NUMBER) {
            return;
        }
    }
    for (size_t i = 0; i < count && count > 1; i++) {
        row[i].begun_us = begin_of(&row[i]);
    }
    for (size_t i = 1; i < count; i++) {
        int vote = younger(&row[i - 1], &row[i]);

        mixed = mixed || vote > 0;
        votes += vote;
    }
    if (votes >= 0) {
        return;
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct maillog_rotation_file file = row[i];

        row[i] = row[count - 1 - i];
        row[count - 1 - i] = file;
    }
    if (mixed) { /* days of a month: they begin again at .01 */
        for (size_t i = 0; i < count; i++) {
            row[i].begun_us =
                row[i].begun_us == 0 ? row[i].modified_us : row[i].begun_us;
        }
        qsort(row, count, sizeof *row, compare_begins);
    }
}
