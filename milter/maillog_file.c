#include "maillog_file.h"

#include "maillog_input.h"
#include "maillog_rotation.h"
#include "maillog_split.h"
#include "maillog_trouble.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READS_MAX 64 /* without a line, before others have their turn */

struct maillog_file {
    char *path;
    uint64_t source;
    bool follow, from_start;
    int64_t look_back;

    struct maillog_input *input; /* what is read now, or NULL */
    unsigned generation;
    struct maillog_split *split;
    struct told {
        char text[MAILLOG_POSITION_SIZE];
        size_t prefix_length; /* of it without the offset; 0: to be made */
    } told[2];                /* before and behind the last line, in turns: */
    unsigned last;            /* which is behind it */
    int64_t told_offset;      /* of that; -1: of none */

    /* the end of the file before: all that is known while the input is empty */
    bool has_previous;
    struct maillog_position previous;

    /* where to go on while there is no input */
    bool has_start;
    bool lost; /* that it was not found needs no telling (any more) */
    struct maillog_position start;

    /* the end at the first look: where to begin without a position */
    bool looked, has_end;
    uint64_t end_device, end_inode;
    int64_t end_size;

    int64_t changed_ms;   /* the input was opened, or something read of it */
    int64_t check_ms;     /* no look through the folder before */
    int64_t damaged_size; /* of the input when it could not be inflated */

    struct maillog_trouble trouble;
    uint64_t truncations, lost_files;
};

static void begin_trouble(struct maillog_file *file, int cause,
                          const struct error *error)
{
    maillog_trouble_begin(&file->trouble, file->path, cause, error->text);
}

/* What stands before the offset has changed. */
static void forget_prefixes(struct maillog_file *file)
{
    file->told[0].prefix_length = 0;
    file->told[1].prefix_length = 0;
}

/* Takes input, to be read from offset. */
static void use(struct maillog_file *file, struct maillog_input *input,
                int64_t offset, int64_t now_ms)
{
    int64_t from = offset > file->look_back ? offset - file->look_back : 0;

    maillog_input_free(file->input);
    file->input = input;
    file->generation++;
    maillog_split_look_back(file->split, from, offset);
    if (maillog_input_compressed(input)) {
        maillog_input_skip(input, from);
    }
    forget_prefixes(file);
    file->told_offset = -1;
    file->has_start = false;
    file->lost = false;
    file->changed_ms = now_ms;
    file->check_ms = INT64_MIN;
    file->damaged_size = -1;
    maillog_trouble_end(&file->trouble, file->path);
}

static void tell_position(const struct maillog_file *file,
                          struct maillog_position *position)
{
    maillog_input_position(file->input, maillog_split_offset(file->split),
                           position);
    position->source = file->source;
}

/* Whatever comes in the row after what is read. */
static size_t find_next(const struct maillog_file *file,
                        const struct maillog_rotation *rotation)
{
    struct maillog_position position;
    struct maillog_input *found;
    size_t index;

    tell_position(file, &position);
    if (position.crc_length > 0 || !file->has_previous) {
        return maillog_rotation_after(rotation, &position);
    }
    found = maillog_rotation_find(rotation, &position, &index);
    maillog_input_free(found);
    return maillog_rotation_after(rotation,
                                  found != NULL ? &position : &file->previous);
}

/* Takes input, the next one. */
static void use_next(struct maillog_file *file, struct maillog_input *input,
                     int64_t now_ms)
{
    struct maillog_position position;

    tell_position(file, &position);
    if (position.crc_length > 0) {
        file->previous = position;
        file->has_previous = true;
    }
    use(file, input, 0, now_ms);
}

/* The input is given up; what of it was given stays known. */
static void leave(struct maillog_file *file)
{
    tell_position(file, &file->start);
    file->has_start = true;
    maillog_input_free(file->input);
    file->input = NULL;
    file->generation++;
}

/*
 * Opens the file at index, or the next younger one that can be read. While
 * there is none that can, all are waited for; else those before it are lost.
 */
static struct maillog_input *open_from(struct maillog_file *file,
                                       const struct maillog_rotation *rotation,
                                       size_t index)
{
    struct error error;
    int cause = 0;

    for (size_t i = index; i < rotation->count; i++) {
        struct maillog_input *input =
            maillog_rotation_open(&rotation->file[i], &error);

        if (input != NULL) {
            for (; index < i; index++) {
                maillog_trouble_passed(rotation->file[index].path);
                file->lost_files++;
            }
            return input;
        }
        cause = errno;
        if (cause == ENOENT || cause == ESTALE) {
            return NULL; /* they move just now: look again */
        }
    }
    if (cause != 0) {
        begin_trouble(file, cause, &error);
    }
    return NULL;
}

static void tell_lost(struct maillog_file *file)
{
    if (!file->lost) {
        file->lost = true;
        file->lost_files++;
        maillog_trouble_lost(file->path, file->start.inode, file->start.offset);
    }
}

/* The row as it is now; false: it cannot be seen, or was seen just before. */
static bool list_row(struct maillog_file *file, int64_t now_ms,
                     struct maillog_rotation *rotation)
{
    struct error error;

    if (now_ms < file->check_ms) {
        return false;
    }
    file->check_ms = now_ms + MAILLOG_FILE_CHECK_MS;
    if (!maillog_rotation_list(file->path, rotation, &error)) {
        begin_trouble(file, errno, &error);
        return false;
    }
    return true;
}

/*
 * An empty current file is not gone to: while nothing is known of it, it could
 * be filled and moved out of the way unseen.
 */
static struct maillog_input *
open_behind_start(struct maillog_file *file,
                  const struct maillog_rotation *rotation)
{
    size_t index = maillog_rotation_after(rotation, &file->start);

    tell_lost(file);
    if (index < rotation->count && rotation->file[index].current &&
        rotation->file[index].size == 0) {
        return NULL;
    }
    return open_from(file, rotation, index);
}

/* At the start position, or as near behind it as there is anything. */
static bool resume(struct maillog_file *file, int64_t now_ms)
{
    struct maillog_rotation rotation;
    struct maillog_input *input;
    struct error error;
    int64_t offset = file->start.offset;
    size_t index = 0;

    if (!list_row(file, now_ms, &rotation)) {
        return false;
    }
    if (rotation.count == 0) {
        error_set(&error, "not there");
        begin_trouble(file, ENOENT, &error);
        return false;
    }
    input = maillog_rotation_find(&rotation, &file->start, &index);
    if (input == NULL) {
        input = open_behind_start(file, &rotation);
        offset = 0;
    }
    maillog_rotation_free(&rotation);
    if (input != NULL) {
        file->previous = file->start;
        file->has_previous = true;
        use(file, input, offset, now_ms);
    }
    return input != NULL;
}

/* The size that the path's file has when nothing of it was read before. */
static void look_first(struct maillog_file *file)
{
    struct stat status;

    if (file->looked || file->from_start) {
        return;
    }
    file->has_end = stat(file->path, &status) == 0;
    file->looked = file->has_end || errno == ENOENT;
    if (file->has_end) {
        file->end_device = (uint64_t)status.st_dev;
        file->end_inode = (uint64_t)status.st_ino;
        file->end_size = status.st_size;
    }
}

static bool open_path(struct maillog_file *file, int64_t now_ms)
{
    struct maillog_input *input;
    struct error error;
    int64_t offset = 0;

    look_first(file);
    input = maillog_input_open(file->path, true, &error);
    if (input == NULL) {
        begin_trouble(file, errno, &error);
        return false;
    }
    if (file->has_end && !maillog_input_compressed(input) &&
        maillog_input_is(input, file->end_device, file->end_inode)) {
        offset = maillog_input_line_begin(input, file->end_size);
    }
    use(file, input, offset, now_ms);
    return true;
}

static bool open_input(struct maillog_file *file, int64_t now_ms)
{
    return file->has_start ? resume(file, now_ms) : open_path(file, now_ms);
}

/* PATH is there, and is another file than the one that is read. */
static bool is_replaced(const struct maillog_file *file)
{
    struct stat status;

    return stat(file->path, &status) == 0 &&
           !maillog_input_is(file->input, (uint64_t)status.st_dev,
                             (uint64_t)status.st_ino);
}

static bool is_quiet(const struct maillog_file *file, int64_t now_ms)
{
    return now_ms - file->changed_ms >= MAILLOG_FILE_QUIET_MS;
}

/* Nothing will be added to what is read: next comes after it. */
static bool is_finished(const struct maillog_file *file,
                        const struct maillog_rotation_file *next,
                        int64_t now_ms)
{
    return !next->current || maillog_input_compressed(file->input) ||
           (next->size > 0 && is_quiet(file, now_ms));
}

/* The end of a file that nobody writes to any more. */
static void tell_unfinished_line(const struct maillog_file *file)
{
    int64_t length =
        maillog_split_read_to(file->split) - maillog_split_offset(file->split);

    if (length > 0) {
        maillog_trouble_unfinished(file->path, length);
    }
}

/* True: there is something to read, here or in the next file. */
static bool open_next(struct maillog_file *file,
                      const struct maillog_rotation *rotation, int64_t now_ms)
{
    struct maillog_input *input;
    size_t next = find_next(file, rotation);

    if (next >= rotation->count ||
        !is_finished(file, &rotation->file[next], now_ms)) {
        return false;
    }
    if (!maillog_input_compressed(file->input) &&
        maillog_input_behind(file->input, maillog_split_read_to(file->split)) >
            0) {
        return true; /* just now */
    }
    input = open_from(file, rotation, next);
    if (input != NULL) {
        tell_unfinished_line(file);
        use_next(file, input, now_ms);
    }
    return input != NULL;
}

/* At the end of the input: on to the next file, when that is due. */
static bool move_on(struct maillog_file *file, int64_t now_ms)
{
    struct maillog_rotation rotation;
    bool moved;

    if (!is_replaced(file)) {
        file->check_ms = INT64_MIN;
        return false;
    }
    if (!list_row(file, now_ms, &rotation)) {
        return false;
    }
    moved = open_next(file, &rotation, now_ms);
    maillog_rotation_free(&rotation);
    return moved;
}

/* Its old content may live on in a copy: it is looked for as after a start. */
static void note_truncation(struct maillog_file *file)
{
    file->truncations++;
    maillog_trouble_truncated(file->path, maillog_split_offset(file->split));
    leave(file);
    file->lost = true; /* no need to tell, if there is none */
    file->check_ms = INT64_MIN;
}

/* What is read has no more to give: on to the next, whatever it is. */
static bool pass_by(struct maillog_file *file, int64_t now_ms)
{
    struct maillog_rotation rotation;
    struct maillog_input *input;

    if (!list_row(file, now_ms, &rotation)) {
        return false;
    }
    input = open_from(file, &rotation, find_next(file, &rotation));
    maillog_rotation_free(&rotation);
    if (input != NULL) {
        use_next(file, input, now_ms);
    }
    return input != NULL;
}

/* A compressed file that ends before the position: it cannot be its file. */
static bool pass_short(struct maillog_file *file, int64_t now_ms)
{
    if (!file->lost) {
        tell_position(file, &file->start);
        tell_lost(file);
    }
    return pass_by(file, now_ms);
}

/* Perhaps it is being written: then it will be longer soon. */
static bool pass_damaged(struct maillog_file *file, const struct error *error,
                         int64_t now_ms)
{
    struct stat status;

    if (fstat(maillog_input_descriptor(file->input), &status) != 0) {
        return false;
    }
    if (file->damaged_size < 0) {
        file->damaged_size = status.st_size;
        file->changed_ms = now_ms;
        file->check_ms = now_ms + MAILLOG_FILE_QUIET_MS;
        return false;
    }
    if (file->damaged_size != status.st_size) {
        leave(file);
        file->check_ms = INT64_MIN;
        return true;
    }
    if (!is_quiet(file, now_ms)) {
        return false;
    }
    if (!file->lost) {
        file->lost = true;
        file->lost_files++;
        begin_trouble(file, EBADMSG, error);
    }
    return pass_by(file, now_ms);
}

/* Positions of the first lines tell of what is before them. */
static void tell(struct maillog_file *file, int64_t offset, struct told *told)
{
    struct maillog_position position;

    if (told->prefix_length == 0 || offset < MAILLOG_HEAD) {
        maillog_input_position(file->input, offset, &position);
        position.source = file->source;
        told->prefix_length =
            maillog_position_format_prefix(&position, told->text);
    }
    (void)maillog_position_put_offset(told->text, told->prefix_length, offset);
    if (offset < MAILLOG_HEAD) {
        told->prefix_length = 0;
    }
}

static void give(struct maillog_file *file,
                 const struct maillog_split_line *found,
                 struct maillog_line *line)
{
    line->text = found->text;
    line->cut = found->cut;
    line->told = found->told;
    line->timestamp_us = 0;
    line->program = text_of(NULL);
    line->pid = 0;
    if (found->begin != file->told_offset) {
        tell(file, found->begin, &file->told[file->last]);
    }
    line->before = file->told[file->last].text;
    file->last ^= 1;
    tell(file, found->end, &file->told[file->last]);
    file->told_offset = found->end;
    line->position = file->told[file->last].text;
}

static enum maillog_input_result read_more(struct maillog_file *file,
                                           int64_t now_ms, struct error *error)
{
    size_t size, got;
    char *room = maillog_split_room(file->split, &size);
    enum maillog_input_result result =
        maillog_input_read(file->input, maillog_split_read_to(file->split),
                           room, size, &got, error);

    if (result == MAILLOG_INPUT_END && maillog_split_read_to(file->split) <
                                           maillog_split_offset(file->split)) {
        return maillog_input_compressed(file->input) ? MAILLOG_INPUT_SHORT
                                                     : MAILLOG_INPUT_TRUNCATED;
    }
    if (result == MAILLOG_INPUT_GOT) {
        maillog_split_fill(file->split, got);
        file->changed_ms = now_ms;
        forget_prefixes(file); /* the file's time has changed */
        maillog_trouble_end(&file->trouble, file->path);
    }
    return result;
}

/* Without follow: what stands behind the last newline is a line, too. */
static enum maillog_source_result finish(struct maillog_file *file,
                                         struct maillog_line *line)
{
    struct maillog_split_line found;

    if (!maillog_split_rest(file->split, &found)) {
        return MAILLOG_SOURCE_END;
    }
    give(file, &found, line);
    return MAILLOG_SOURCE_LINE;
}

static enum maillog_source_result stop_reading(struct maillog_file *file,
                                               enum maillog_input_result result,
                                               const struct error *error,
                                               struct maillog_line *line)
{
    if (result == MAILLOG_INPUT_TRUNCATED || result == MAILLOG_INPUT_SHORT) {
        file->truncations++;
    } else if (result == MAILLOG_INPUT_ERROR && file->trouble.cause == 0) {
        file->lost_files++;
        begin_trouble(file, EIO, error);
    }
    if (result == MAILLOG_INPUT_ERROR) {
        return MAILLOG_SOURCE_END; /* what is behind the last newline is torn */
    }
    return finish(file, line);
}

/* False: there is nothing to read now. */
static bool handle(struct maillog_file *file, enum maillog_input_result result,
                   const struct error *error, int64_t now_ms)
{
    switch (result) {
    case MAILLOG_INPUT_GOT:
    case MAILLOG_INPUT_SKIPPED:
        return true;
    case MAILLOG_INPUT_END:
        return move_on(file, now_ms);
    case MAILLOG_INPUT_SHORT:
        return pass_short(file, now_ms);
    case MAILLOG_INPUT_TRUNCATED:
        note_truncation(file);
        return true;
    case MAILLOG_INPUT_ERROR:
        if (maillog_input_compressed(file->input)) {
            return pass_damaged(file, error, now_ms);
        }
        begin_trouble(file, EIO, error);
        file->check_ms = INT64_MIN;
        return false;
    }
    return false;
}

enum maillog_source_result maillog_file_next(struct maillog_file *file,
                                             int64_t now_ms,
                                             struct maillog_line *line)
{
    for (int reads = 0; reads < READS_MAX; reads++) {
        struct maillog_split_line found;
        enum maillog_input_result result;
        struct error error;

        if (file->input == NULL && !open_input(file, now_ms)) {
            return MAILLOG_SOURCE_NOTHING;
        }
        if (maillog_split_next(file->split, &found)) {
            give(file, &found, line);
            return MAILLOG_SOURCE_LINE;
        }
        result = read_more(file, now_ms, &error);
        if (!file->follow && result != MAILLOG_INPUT_GOT &&
            result != MAILLOG_INPUT_SKIPPED) {
            return stop_reading(file, result, &error, line);
        }
        if (!handle(file, result, &error, now_ms)) {
            return MAILLOG_SOURCE_NOTHING;
        }
    }
    return MAILLOG_SOURCE_AGAIN;
}

struct maillog_file *
maillog_file_new(const struct maillog_file_options *options,
                 struct error *error)
{
    struct maillog_file *file = calloc(1, sizeof *file);
    struct maillog_input *input;

    if (file != NULL) {
        file->path = strdup(options->path);
        file->split = maillog_split_new();
    }
    if (file == NULL || file->path == NULL || file->split == NULL) {
        error_set(error, "out of memory");
        maillog_file_free(file);
        return NULL;
    }
    file->source = maillog_position_source(options->path);
    file->follow = options->follow;
    file->from_start = options->from_start;
    file->look_back = options->look_back;
    file->check_ms = INT64_MIN;
    if (!file->follow) {
        struct error cause;
        char path[MAILLOG_PATH_SIZE];

        input = maillog_input_open(file->path, true, &cause);
        if (input == NULL) {
            error_set(error, "%s: %s", maillog_trouble_path(file->path, path),
                      cause.text);
            maillog_file_free(file);
            return NULL;
        }
        use(file, input, 0, 0);
    }
    return file;
}

void maillog_file_free(struct maillog_file *file)
{
    if (file == NULL) {
        return;
    }
    maillog_input_free(file->input);
    maillog_split_free(file->split);
    free(file->path);
    free(file);
}

void maillog_file_resume(struct maillog_file *file,
                         const struct maillog_position *position)
{
    if (file->follow) {
        file->start = *position;
        file->has_start = true;
    } else if (maillog_input_begins(file->input, position)) {
        maillog_split_begin(file->split, position->offset);
        maillog_input_skip(file->input, position->offset);
    }
}

bool maillog_file_position(const struct maillog_file *file,
                           char text[MAILLOG_POSITION_SIZE])
{
    struct maillog_position position;

    if (file->input != NULL) {
        tell_position(file, &position);
        if (position.crc_length == 0 && file->has_previous) {
            position = file->previous; /* that will be found */
        }
    } else if (file->has_start) {
        position = file->start;
    } else {
        return false;
    }
    (void)maillog_position_format(&position, text);
    return true;
}

int64_t maillog_file_wake_ms(const struct maillog_file *file)
{
    return file->input == NULL || file->check_ms == INT64_MIN ? INT64_MAX
                                                              : file->check_ms;
}

int maillog_file_descriptor(const struct maillog_file *file,
                            unsigned *generation)
{
    *generation = file->generation;
    return file->input == NULL ? -1 : maillog_input_descriptor(file->input);
}

/* What waits in younger files. */
static int64_t behind_later(const struct maillog_file *file)
{
    struct maillog_rotation rotation;
    struct error ignored;
    int64_t sum = 0;

    if (!maillog_rotation_list(file->path, &rotation, &ignored)) {
        return 0;
    }
    for (size_t i = find_next(file, &rotation); i < rotation.count; i++) {
        sum += rotation.file[i].size;
    }
    maillog_rotation_free(&rotation);
    return sum;
}

void maillog_file_state(const struct maillog_file *file,
                        struct maillog_follow_state *state)
{
    state->truncations += file->truncations;
    state->lost_files += file->lost_files;
    if (file->input == NULL) {
        return;
    }
    state->behind_bytes +=
        maillog_input_behind(file->input, maillog_split_offset(file->split));
    if (file->follow && is_replaced(file)) {
        state->behind_bytes += behind_later(file);
    }
}
