#include "mailbox_path.h"

#include "mailbox_domain.h"

#include <glib.h>
#include <stdint.h>
#include <string.h>

/*
 * A path is first read into cells, one for each byte that counts: comments,
 * blanks and quotes are gone, and what had been quoted is no operator. Then
 * the address is looked for from right to left, since a phrase is known as
 * such only by the bracket on its right.
 */
enum cell_flag {
    CELL_OPERATOR = 0x100, /* one of operators[], not quoted */
    CELL_START = 0x200,    /* first byte of a word */
    CELL_EMPTY = 0x400,    /* the word "": it has no bytes */
};

static const char operators[] = "|%!()<>@,;:\\\".[]";

struct cells {
    uint16_t cell[MAILBOX_PATH_MAX];
    size_t count;
    bool cut;
};

static bool byte_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool byte_is_operator(char byte)
{
    return byte != '\0' && strchr(operators, byte) != NULL;
}

/* Keeps the end, where the domain is: each half is moved once. */
static void cells_put(struct cells *cells, unsigned cell)
{
    const size_t half = MAILBOX_PATH_MAX / 2;

    if (cells->count == MAILBOX_PATH_MAX) {
        memmove(cells->cell, cells->cell + half,
                (MAILBOX_PATH_MAX - half) * sizeof cells->cell[0]);
        cells->count = MAILBOX_PATH_MAX - half;
        cells->cut = true;
    }
    cells->cell[cells->count++] = (uint16_t)cell;
}

/* Returns the position behind the comment that opens at position. */
static size_t scan_comment(struct text text, size_t position)
{
    size_t depth = 0;

    for (; position < text.length; position++) {
        char byte = text.bytes[position];

        if (byte == '\\') {
            position++;
        } else if (byte == '(') {
            depth++;
        } else if (byte == ')' && --depth == 0) {
            return position + 1;
        }
    }
    return text.length;
}

/* The end of an atom, or of what stands in quotes or square brackets. */
static bool word_ends(char byte, char closing)
{
    if (closing != '\0') {
        return byte == closing;
    }
    return byte_is_blank(byte) || byte_is_operator(byte);
}

/* Opens quoted pairs; blanks that are quoted become spaces, as in Postfix. */
static size_t scan_word(struct cells *cells, struct text text, size_t position,
                        char closing)
{
    unsigned start = CELL_START;

    if (closing == ']') {
        cells_put(cells, CELL_START | '[');
        start = 0;
    }
    for (; position < text.length; position++) {
        char byte = text.bytes[position];

        if (byte == '\\') {
            if (++position == text.length) {
                break;
            }
            byte = text.bytes[position];
        } else if (word_ends(byte, closing)) {
            break;
        }
        cells_put(cells,
                  start | (unsigned char)(byte_is_blank(byte) ? ' ' : byte));
        start = 0;
    }
    if (closing == ']') {
        cells_put(cells, ']');
    } else if (start != 0) {
        cells_put(cells, CELL_START | CELL_EMPTY);
    }
    if (closing != '\0' && position < text.length) {
        position++;
    }
    return position;
}

static void scan_path(struct cells *cells, struct text text)
{
    size_t position = 0;

    cells->count = 0;
    cells->cut = false;
    while (position < text.length) {
        char byte = text.bytes[position];

        if (byte_is_blank(byte)) {
            position++;
        } else if (byte == '(') {
            position = scan_comment(text, position);
        } else if (byte == '"') {
            position = scan_word(cells, text, position + 1, '"');
        } else if (byte == '[') {
            position = scan_word(cells, text, position + 1, ']');
        } else if (byte != '\\' && byte_is_operator(byte)) {
            cells_put(cells, CELL_OPERATOR | (unsigned char)byte);
            position++;
        } else {
            position = scan_word(cells, text, position, '\0');
        }
    }
}

struct span {
    size_t start;
    size_t end;
};

struct search {
    const struct cells *cells;
    size_t position;  /* cells before it are still to be looked at */
    size_t right;     /* the address that is being collected ends here */
    bool word_fits;   /* no word stands directly to the right */
    bool in_group;    /* right of it is the ";" of a group */
    unsigned found;   /* addresses */
    unsigned bracket; /* those of them in angle brackets */
    struct span any;
    struct span bracketed;
};

static bool cell_is(const struct search *search, size_t index, const char *set)
{
    unsigned cell = search->cells->cell[index];

    return (cell & CELL_OPERATOR) != 0 && strchr(set, (char)cell) != NULL;
}

/* Ends the address that reaches from start to the right. */
static void search_close(struct search *search, size_t start)
{
    if (start < search->right) {
        search->any.start = start;
        search->any.end = search->right;
        search->found++;
    }
}

/* Goes left until one of set is next. */
static void search_skip(struct search *search, const char *set)
{
    while (search->position > 0 &&
           !cell_is(search, search->position - 1, set)) {
        search->position--;
    }
    search->right = search->position > 0 ? search->position - 1 : 0;
}

static void search_bracket(struct search *search)
{
    size_t end = search->position - 1;

    search_close(search, search->position);
    search->position = end;
    search_skip(search, "<");
    search->right = end;
    search_close(search, search->position);
    if (search->position > 0 && search->position < end) {
        search->bracketed = search->any;
        search->bracket++;
    }
    search_skip(search, ">;,:"); /* over the phrase */
    search->word_fits = true;
}

static void search_word(struct search *search)
{
    if (!search->word_fits) { /* two words side by side: two addresses */
        search_close(search, search->position);
        search->right = search->position;
    }
    search->word_fits = false;
    do {
        search->position--;
    } while (search->position > 0 &&
             (search->cells->cell[search->position] & CELL_START) == 0 &&
             (search->cells->cell[search->position - 1] & CELL_OPERATOR) == 0);
}

static void search_operator(struct search *search)
{
    size_t index = search->position - 1;

    if (cell_is(search, index, ">")) {
        search_bracket(search);
        return;
    }
    if (cell_is(search, index, ":") && search->in_group) {
        search_close(search, search->position);
        search_skip(search, ",");
        return;
    }
    if (cell_is(search, index, ",;")) {
        search_close(search, search->position);
        search->right = index;
        search->in_group = search->in_group || cell_is(search, index, ";");
    }
    search->word_fits = true;
    search->position = index;
}

/* False when there is none, or when it is not clear which. */
static bool search_address(const struct cells *cells, struct span *address)
{
    struct search search = {
        .cells = cells,
        .position = cells->count,
        .right = cells->count,
        .word_fits = true,
    };

    while (search.position > 0) {
        if (cells->cell[search.position - 1] & CELL_OPERATOR) {
            search_operator(&search);
        } else {
            search_word(&search);
        }
    }
    search_close(&search, 0);
    if (search.found == 1 || search.bracket == 1) {
        *address = search.bracket == 1 ? search.bracketed : search.any;
        return true;
    }
    return false;
}

static enum mailbox_path_shape cells_shape(const struct cells *cells,
                                           struct span address)
{
    const unsigned at = CELL_OPERATOR | '@';
    size_t count = 0;

    for (size_t i = address.start; i < address.end; i++) {
        count += cells->cell[i] == at;
    }
    if (count == 1 && cells->cell[address.start] == at) {
        return MAILBOX_PATH_DOMAIN;
    }
    if (count == 1 && cells->cell[address.end - 1] == at) {
        return MAILBOX_PATH_LOCAL_PART;
    }
    return MAILBOX_PATH_ADDRESS;
}

static void cells_open(const struct cells *cells, struct span address,
                       struct mailbox_path *path)
{
    char bytes[MAILBOX_PATH_MAX];
    struct text text = {bytes, 0};

    for (size_t i = address.start; i < address.end; i++) {
        if ((cells->cell[i] & CELL_EMPTY) == 0) {
            bytes[text.length++] = (char)(cells->cell[i] & 0xff);
        }
    }
    path->length = mailbox_path_repair(text, path->bytes, sizeof path->bytes);
    path->shape = cells_shape(cells, address);
    path->cut = cells->cut;
}

static struct text text_trim(struct text text)
{
    while (text.length > 0 && byte_is_blank(text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 && byte_is_blank(text.bytes[text.length - 1])) {
        text.length--;
    }
    return text;
}

bool mailbox_path_read(struct text text, struct mailbox_path *path)
{
    struct cells cells;
    struct span address;

    text = text_trim(text);
    if (text.length >= 2 && text.bytes[0] == '<' &&
        text.bytes[text.length - 1] == '>') {
        text.bytes++;
        text.length -= 2;
    }
    /* Postfix cuts the route before it reads quotes and comments */
    scan_path(&cells, mailbox_path_skip_route(text));
    if (!search_address(&cells, &address)) {
        return false;
    }
    cells_open(&cells, address, path);
    return true;
}

struct text mailbox_path_skip_route(struct text text)
{
    size_t i = 1;

    if (text.length == 0 || text.bytes[0] != '@') {
        return text;
    }
    while (i < text.length && text.bytes[i] != ':') {
        struct text rest = {text.bytes + i, text.length - i};
        size_t literal = mailbox_domain_literal_length(rest);

        /* only an IP literal may hold a colon: <@[IPv6:::1]:ann@example> */
        i += literal > 0 ? literal : 1;
    }
    if (i >= text.length) {
        return text;
    }
    text.bytes += i + 1;
    text.length -= i + 1;
    return text;
}

size_t mailbox_path_repair(struct text text, char *bytes, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    const char *from = text.bytes;
    const char *end = from + text.length;
    size_t used = 0;

    while (from < end) {
        gunichar character = (unsigned char)*from;
        size_t length = 1;
        const char *source = from;

        if (character >= 0x80) {
            character = g_utf8_get_char_validated(from, end - from);
            length = character > 0x10ffff
                         ? 1
                         : (size_t)g_unichar_to_utf8(character, NULL);
        }
        from += length;
        if (character == 0 || character > 0x10ffff) {
            source = replacement;
            length = sizeof replacement - 1;
        }
        if (length > size - used) {
            break;
        }
        memcpy(bytes + used, source, length);
        used += length;
    }
    return used;
}

bool mailbox_path_is_atext(char byte)
{
    return byte != '\0' && (g_ascii_isalnum(byte) || (byte & 0x80) != 0 ||
                            strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}
