#include "report_mime.h"

#include "report_text.h"

#include <glib.h>
#include <string.h>

/* --- headers of a part ------------------------------------------------- */

static const struct type_row {
    const char *type;
    enum report_part_kind kind;
} types[] = {
    {"multipart/", REPORT_PART_MULTIPART},
    {"text/html", REPORT_PART_HTML},
    {"text/rfc822", REPORT_PART_RETURNED}, /* -headers, -header */
    {"text/", REPORT_PART_TEXT},
    {"message/delivery-status", REPORT_PART_STATUS},
    {"message/global-delivery-status", REPORT_PART_STATUS},
    {"message/delivery-report", REPORT_PART_STATUS},
    {"message/feedback-report", REPORT_PART_FEEDBACK},
    {"message/disposition-notification", REPORT_PART_DISPOSITION},
    {"message/global-disposition-notification", REPORT_PART_DISPOSITION},
    {"message/", REPORT_PART_RETURNED}, /* rfc822, global, partial */
    {"application/rfc822", REPORT_PART_RETURNED},
};

static enum report_part_kind kind_of(struct text content_type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (report_text_begins(content_type, types[i].type)) {
            return types[i].kind;
        }
    }
    /* no type, or one such as "text" or "plain": text is the default */
    return memchr(content_type.bytes, '/', content_type.length) == NULL
               ? REPORT_PART_TEXT
               : REPORT_PART_OTHER;
}

/* The value behind "name =", without quotes; false: there is none. */
static bool parameter(struct text header, const char *name, char *value,
                      size_t size)
{
    struct text rest = header;
    size_t at;

    while ((at = report_text_find(rest, name)) != REPORT_TEXT_NOWHERE) {
        bool alone = at == 0 || strchr("; \t\n", rest.bytes[at - 1]) != NULL;
        const char *end;

        rest = report_text_trim(
            report_text_part(rest, at + strlen(name), rest.length));
        if (!alone || rest.length == 0 || rest.bytes[0] != '=') {
            continue;
        }
        rest = report_text_trim(report_text_part(rest, 1, rest.length));
        if (rest.length > 0 && rest.bytes[0] == '"') {
            rest = report_text_part(rest, 1, rest.length);
            end = memchr(rest.bytes, '"', rest.length);
        } else {
            end = memchr(rest.bytes, ';', rest.length);
        }
        if (end != NULL) {
            rest.length = (size_t)(end - rest.bytes);
        }
        rest = report_text_trim(rest);
        if (rest.length == 0 || rest.length >= size) {
            return false;
        }
        (void)text_copy(rest, value, size);
        return true;
    }
    return false;
}

static void to_lower(char *string)
{
    for (; *string != '\0'; string++) {
        *string = g_ascii_tolower(*string);
    }
}

static enum report_encoding encoding_of(struct text encoding)
{
    encoding = report_text_trim(encoding);
    if (report_text_begins(encoding, "base64")) {
        return REPORT_ENCODING_BASE64;
    }
    if (report_text_begins(encoding, "quoted")) {
        return REPORT_ENCODING_QUOTED;
    }
    return report_text_begins(encoding, "x-uue") ||
                   report_text_begins(encoding, "uue")
               ? REPORT_ENCODING_UUENCODE
               : REPORT_ENCODING_NONE;
}

void report_mime_entity(struct text content_type, struct text encoding,
                        struct report_entity *entity)
{
    memset(entity, 0, sizeof *entity);
    entity->kind = REPORT_PART_TEXT;
    if (content_type.length > 0) {
        content_type = report_text_trim(content_type);
        entity->kind = kind_of(content_type);
        (void)parameter(content_type, "charset", entity->charset,
                        sizeof entity->charset);
        (void)parameter(content_type, "boundary", entity->boundary,
                        sizeof entity->boundary);
        (void)parameter(content_type, "report-type", entity->report_type,
                        sizeof entity->report_type);
        to_lower(entity->charset);
        to_lower(entity->report_type);
    }
    if (encoding.length > 0) {
        entity->encoding = encoding_of(encoding);
    }
}

/* --- structure --------------------------------------------------------- */

struct level {
    char boundary[REPORT_BOUNDARY_MAX + 1];
    size_t length;
};

struct scan {
    struct level levels[REPORT_DEPTH_MAX];
    size_t depth;
    struct report_structure *structure;
    struct report_part *open; /* the part that lines belong to, or NULL */
};

/* Lines up to `end` belong to the part that is open. */
static void end_part(struct scan *scan, const char *end)
{
    if (scan->open != NULL) {
        const char *start = scan->open->content.bytes;

        scan->open->content.length = end > start ? (size_t)(end - start) : 0;
    }
    scan->open = NULL;
}

static bool push(struct scan *scan, const char *boundary)
{
    struct level *level;

    if (boundary[0] == '\0' || scan->depth == REPORT_DEPTH_MAX) {
        return false;
    }
    level = &scan->levels[scan->depth++];
    level->length = strlen(boundary);
    memcpy(level->boundary, boundary, level->length + 1);
    return true;
}

/* Whether a header ends here: at a blank line, or where no field stands. */
static bool ends_header(struct text rest, bool *blank)
{
    struct text line;
    struct report_field field;

    *blank = false;
    if (!report_text_line(&rest, &line)) {
        return true;
    }
    if (report_text_trim(line).length == 0) {
        *blank = true;
        return true;
    }
    if (line.length > 1 && line.bytes[0] == '-' && line.bytes[1] == '-') {
        return true;
    }
    rest = line;
    (void)report_text_field(&rest, &field);
    return field.name.length == 0;
}

/* A parameter on a line of its own that should have been folded. */
static void take_unfolded(struct text *rest, struct report_entity *entity)
{
    struct text more = *rest;
    struct text line;

    if (report_text_line(&more, &line) &&
        parameter(line, "boundary", entity->boundary,
                  sizeof entity->boundary)) {
        *rest = more;
    }
}

/* Reads the header of a part, and leaves *rest behind it. */
static struct text part_header(struct text *rest, struct report_entity *entity)
{
    struct text type = {NULL, 0};
    struct text encoding = {NULL, 0};
    struct text head = *rest;
    struct report_field field;
    bool blank;

    while (!ends_header(*rest, &blank)) {
        (void)report_text_field(rest, &field);
        if (report_text_equals(field.name, "content-type")) {
            type = field.value;
        } else if (report_text_equals(field.name,
                                      "content-transfer-encoding")) {
            encoding = field.value;
        }
    }
    report_mime_entity(type, encoding, entity);
    if (entity->kind == REPORT_PART_MULTIPART && entity->boundary[0] == '\0' &&
        !blank) {
        take_unfolded(rest, entity);
        (void)ends_header(*rest, &blank);
    }
    head.length -= rest->length;
    if (blank) {
        struct text line;

        (void)report_text_line(rest, &line);
    }
    return head;
}

static void begin_part(struct scan *scan, struct text *rest)
{
    struct report_structure *structure = scan->structure;
    struct report_entity entity;
    struct report_part *part;
    struct text head = part_header(rest, &entity);

    if (entity.kind == REPORT_PART_MULTIPART && push(scan, entity.boundary)) {
        return;
    }
    if (structure->count == REPORT_PARTS_MAX) {
        return;
    }
    part = &structure->parts[structure->count++];
    part->kind = entity.kind;
    part->encoding = entity.encoding;
    memcpy(part->charset, entity.charset, sizeof part->charset);
    part->head = head;
    part->content = (struct text){rest->bytes, 0};
    scan->open = part;
}

enum delimiter { DELIMITER_NONE, DELIMITER_NEXT, DELIMITER_LAST };

/* Whether line delimits a level, which becomes the innermost. */
static enum delimiter find_delimiter(struct scan *scan, struct text line)
{
    for (size_t i = scan->depth; i > 0; i--) {
        const struct level *level = &scan->levels[i - 1];
        struct text behind;

        if (line.length < level->length + 2 ||
            memcmp(line.bytes + 2, level->boundary, level->length) != 0) {
            continue;
        }
        behind = report_text_trim(
            report_text_part(line, level->length + 2, line.length));
        if (behind.length == 0) {
            scan->depth = i;
            return DELIMITER_NEXT;
        }
        if (text_is(behind, "--")) {
            scan->depth = i - 1;
            return DELIMITER_LAST;
        }
    }
    return DELIMITER_NONE;
}

static void scan_lines(struct scan *scan, struct text rest)
{
    struct text line;
    const char *end = rest.bytes;

    while (scan->depth > 0 && report_text_line(&rest, &line)) {
        enum delimiter delimiter;

        if (line.length < 3 || line.bytes[0] != '-' || line.bytes[1] != '-') {
            continue;
        }
        delimiter = find_delimiter(scan, line);
        if (delimiter == DELIMITER_NONE) {
            continue;
        }
        end_part(scan, line.bytes);
        if (delimiter == DELIMITER_NEXT) {
            begin_part(scan, &rest);
        }
    }
    end = rest.bytes + rest.length;
    end_part(scan, end);
}

/*
 * A line "--something" with "Content-" below it, near the start of the body:
 * the boundary, if the header does not tell it or tells another.
 */
static bool guess_boundary(struct text body, char *boundary, size_t size,
                           size_t lines)
{
    struct text rest = body;
    struct text line;

    while (lines-- > 0 && report_text_line(&rest, &line)) {
        struct text name = report_text_trim(line);

        if (report_text_begins(name, "--") && name.length > 4 &&
            name.length - 2 < size && report_text_begins(rest, "content-")) {
            (void)text_copy(report_text_part(name, 2, name.length), boundary,
                            size);
            return true;
        }
    }
    return false;
}

static void one_part(const struct report_entity *top, struct text body,
                     struct report_structure *structure)
{
    struct report_part *part = &structure->parts[0];

    structure->count = 1;
    structure->multipart = false;
    part->kind =
        top->kind == REPORT_PART_MULTIPART ? REPORT_PART_TEXT : top->kind;
    part->encoding = top->encoding;
    memcpy(part->charset, top->charset, sizeof part->charset);
    part->head = (struct text){NULL, 0};
    part->content = body;
}

#define GUESS_LINES_MULTIPART 100
#define GUESS_LINES_TEXT      4

void report_mime_scan(const struct report_entity *top, struct text body,
                      struct report_structure *structure)
{
    struct scan scan;
    char boundary[REPORT_BOUNDARY_MAX + 1];
    bool multipart = top->kind == REPORT_PART_MULTIPART;

    scan.depth = 0;
    scan.open = NULL;
    scan.structure = structure;
    structure->count = 0;
    structure->multipart = true;
    structure->guessed = false;
    if (multipart && push(&scan, top->boundary)) {
        scan_lines(&scan, body);
    }
    if (structure->count == 0 &&
        guess_boundary(body, boundary, sizeof boundary,
                       multipart ? GUESS_LINES_MULTIPART : GUESS_LINES_TEXT)) {
        structure->guessed = true;
        scan.depth = 0;
        (void)push(&scan, boundary);
        scan_lines(&scan, body);
    }
    if (structure->count == 0) {
        one_part(top, body, structure);
    }
}
