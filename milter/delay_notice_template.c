#include "delay_notice_template.h"

#include "beside_program.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef NIXIE_DATADIR
#define NIXIE_DATADIR "/usr/share/nixie"
#endif

#define FOLDER_DEFAULT   "/usr/share/nixie/notices"
#define FOLDER_INSTALLED NIXIE_DATADIR "/notices"
#define FOLDER_BUILT     "/packaging/notices"
#define PATH_SIZE        4096
#define SHOWN_SIZE       48

#define SUBJECT "Subject:"

struct delay_notice_template {
    char *subject; /* behind "Subject: " */
    char *text;
};

static const char *const place_names[DELAY_NOTICE_PLACES] = {
    [DELAY_NOTICE_RECIPIENT] = "recipient",
    [DELAY_NOTICE_REPLY] = "reply",
    [DELAY_NOTICE_ATTEMPTS_LEFT] = "attempts_left",
    [DELAY_NOTICE_NEXT_ATTEMPT_AT] = "next_attempt_at",
    [DELAY_NOTICE_EXPIRES_AT] = "expires_at",
    [DELAY_NOTICE_FIRST_ATTEMPT_AT] = "first_attempt_at",
    [DELAY_NOTICE_ATTEMPT] = "attempt",
    [DELAY_NOTICE_SENDER] = "sender",
    [DELAY_NOTICE_NODE] = "node",
    [DELAY_NOTICE_MESSAGE_ID] = "message_id",
};

/* --- reading ----------------------------------------------------------- */

/* What is behind "%{", up to "}", of one line. False: it is no place. */
static bool find_place(struct text name, enum delay_notice_place *place)
{
    for (size_t i = 0; i < DELAY_NOTICE_PLACES; i++) {
        if (text_is(name, place_names[i])) {
            *place = (enum delay_notice_place)i;
            return true;
        }
    }
    return false;
}

struct reader {
    const char *path;
    size_t line; /* from 1 */
    size_t places;
    struct error *error;
};

static bool refuse(const struct reader *reader, const char *problem)
{
    error_set(reader->error, "%s:%zu: %s", reader->path, reader->line, problem);
    return false;
}

static bool refuse_place(const struct reader *reader, struct text name)
{
    char shown[SHOWN_SIZE];

    error_set(reader->error,
              "%s:%zu: no such placeholder: \"%%{%s}\"; write one of recipient "
              "reply attempts_left next_attempt_at expires_at first_attempt_at "
              "attempt sender node message_id",
              reader->path, reader->line,
              text_escape(name, shown, sizeof shown));
    return false;
}

static bool check_places(struct reader *reader, struct text line)
{
    const char *at = line.bytes;
    const char *end = line.bytes + line.length;

    while ((at = memmem(at, (size_t)(end - at), "%{", 2)) != NULL) {
        const char *name = at + 2;
        const char *close = memchr(name, '}', (size_t)(end - name));
        enum delay_notice_place place;
        struct text found = {name,
                             (size_t)((close != NULL ? close : end) - name)};

        if (close == NULL) {
            return refuse(reader, "\"%{\" without \"}\"; write a placeholder "
                                  "such as %{recipient} on one line");
        }
        if (!find_place(found, &place)) {
            return refuse_place(reader, found);
        }
        if (++reader->places > DELAY_NOTICE_PLACES_MAX) {
            return refuse(reader, "more than 64 placeholders; write fewer");
        }
        at = close + 1;
    }
    return true;
}

static bool check_line(struct reader *reader, struct text line)
{
    for (size_t i = 0; i < line.length; i++) {
        unsigned char byte = (unsigned char)line.bytes[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return refuse(reader, "a control character; remove it");
        }
    }
    if (!g_utf8_validate(line.bytes, (gssize)line.length, NULL)) {
        return refuse(reader, "not UTF-8; save the file in UTF-8");
    }
    return check_places(reader, line);
}

/* The next line without its end (LF or CR LF); false: there is none. */
static bool next_line(struct text *rest, struct text *line)
{
    const char *end;

    if (rest->length == 0) {
        return false;
    }
    end = memchr(rest->bytes, '\n', rest->length);
    line->bytes = rest->bytes;
    line->length = end == NULL ? rest->length : (size_t)(end - rest->bytes);
    rest->bytes += line->length + (end != NULL);
    rest->length -= line->length + (end != NULL);
    if (line->length > 0 && line->bytes[line->length - 1] == '\r') {
        line->length--;
    }
    return true;
}

static bool is_blank(struct text line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (line.bytes[i] != ' ' && line.bytes[i] != '\t') {
            return false;
        }
    }
    return true;
}

/* "Subject: words", and the empty line behind it. */
static bool take_subject(struct reader *reader, struct text *rest,
                         GString *subject)
{
    const size_t word = strlen(SUBJECT);
    struct text line = {"", 0};

    (void)next_line(rest, &line);
    if (line.length < word ||
        g_ascii_strncasecmp(line.bytes, SUBJECT, word) != 0 ||
        is_blank((struct text){line.bytes + word, line.length - word})) {
        return refuse(reader, "the first line must be \"Subject: \" and a "
                              "subject");
    }
    if (line.length - word > DELAY_NOTICE_SUBJECT_MAX) {
        return refuse(reader, "a subject has at most 500 bytes");
    }
    if (!check_line(reader, line)) {
        return false;
    }
    g_string_append_len(subject, line.bytes + word,
                        (gssize)(line.length - word));
    (void)g_strstrip(subject->str);
    reader->line++;
    if (!next_line(rest, &line) || line.length != 0) {
        return refuse(reader, "an empty line must stand between subject and "
                              "text");
    }
    return true;
}

static bool take_text(struct reader *reader, struct text *rest, GString *text)
{
    struct text line;
    bool blank = true;

    while (next_line(rest, &line)) {
        reader->line++;
        if (!check_line(reader, line)) {
            return false;
        }
        blank = blank && is_blank(line);
        g_string_append_len(text, line.bytes, (gssize)line.length);
        g_string_append_c(text, '\n');
    }
    return !blank || refuse(reader, "there is no text; write one below the "
                                    "empty line");
}

struct delay_notice_template *delay_notice_template_parse(const char *path,
                                                          struct text text,
                                                          struct error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it first */
    struct reader reader = {.path = path, .line = 1, .error = error};
    struct delay_notice_template *template = NULL;
    GString *subject = g_string_new("");
    GString *prose = g_string_new("");

    if (text.length >= 3 && memcmp(text.bytes, mark, 3) == 0) {
        text.bytes += 3;
        text.length -= 3;
    }
    if (take_subject(&reader, &text, subject) &&
        take_text(&reader, &text, prose)) {
        template = g_new0(struct delay_notice_template, 1);
        template->subject = g_string_free(subject, FALSE);
        template->text = g_string_free(prose, FALSE);
        return template;
    }
    (void)g_string_free(subject, TRUE);
    (void)g_string_free(prose, TRUE);
    return NULL;
}

void delay_notice_template_free(struct delay_notice_template *template)
{
    if (template != NULL) {
        g_free(template->subject);
        g_free(template->text);
        g_free(template);
    }
}

/* --- where it is ------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Only what nobody configured may be elsewhere. */
static const char *find_folder(const char *configured, char buffer[PATH_SIZE])
{
    if (strcmp(configured, FOLDER_DEFAULT) != 0 || is_folder(configured)) {
        return configured;
    }
    if (is_folder(FOLDER_INSTALLED)) {
        return FOLDER_INSTALLED;
    }
    return beside_program(FOLDER_BUILT, buffer, PATH_SIZE) && is_folder(buffer)
               ? buffer
               : configured;
}

static const char advice[] =
    "write it as nixie.conf(5) says, or change delay_notice_folder and "
    "delay_notice_language";

/* At most DELAY_NOTICE_TEMPLATE_MAX bytes of a regular file; else NULL. */
static char *read_file(const char *path, size_t *length, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    char *bytes = NULL;
    ssize_t got = 0;

    if (fd < 0 || fstat(fd, &status) != 0) {
        char cause[128];

        error_set(error, "%s:1: %s; %s", path,
                  strerror_r(errno, cause, sizeof cause), advice);
        goto out;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s:1: no regular file; %s", path, advice);
        goto out;
    }
    bytes = g_malloc(DELAY_NOTICE_TEMPLATE_MAX + 1);
    for (*length = 0; *length <= DELAY_NOTICE_TEMPLATE_MAX;
         *length += (size_t)got) {
        got =
            read(fd, bytes + *length, DELAY_NOTICE_TEMPLATE_MAX + 1 - *length);
        if (got <= 0) {
            break;
        }
    }
    if (got < 0 || *length > DELAY_NOTICE_TEMPLATE_MAX) {
        error_set(error, "%s:1: %s; %s", path,
                  got < 0 ? "cannot be read" : "longer than 16384 bytes",
                  advice);
        g_free(bytes);
        bytes = NULL;
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return bytes;
}

struct delay_notice_template *
delay_notice_template_load(const struct settings *settings, struct error *error)
{
    struct delay_notice_template *template = NULL;
    char folder[PATH_SIZE];
    char *path = g_strdup_printf(
        "%s/delay.%s.txt", find_folder(settings->delay_notice_folder, folder),
        settings->delay_notice_language);
    size_t length;
    char *bytes = read_file(path, &length, error);

    if (bytes != NULL) {
        template = delay_notice_template_parse(
            path, (struct text){bytes, length}, error);
    }
    g_free(bytes);
    g_free(path);
    return template;
}

/* --- filling ----------------------------------------------------------- */

static char *fill(const char *text, const struct delay_notice_values *values)
{
    GString *filled = g_string_new("");
    const char *at;

    while ((at = strstr(text, "%{")) != NULL) {
        const char *name = at + 2;
        size_t length = strcspn(name, "}");
        enum delay_notice_place place;

        g_string_append_len(filled, text, at - text);
        if (find_place((struct text){name, length}, &place)) {
            const char *value = values->of[place];

            g_string_append(filled, value == NULL ? "-" : value);
        }
        text = name + length + 1; /* a template has no open place */
    }
    g_string_append(filled, text);
    return g_string_free(filled, FALSE);
}

void delay_notice_template_fill(const struct delay_notice_template *template,
                                const struct delay_notice_values *values,
                                struct delay_notice_prose *prose)
{
    prose->subject = fill(template->subject, values);
    prose->text = fill(template->text, values);
}
