#include "command_check_system.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS    " \t\r"
#define WORD_SIZE 512

/* Of linux/magic.h, which not every host has whole. */
#define RAM_FS  0x858458f6UL
#define TMP_FS  0x01021994UL
#define NFS_FS  0x6969UL
#define SMB_FS  0x517bUL
#define CIFS_FS 0xff534d42UL
#define SMB2_FS 0xfe534d42UL
#define CEPH_FS 0x00c36400UL

/* --- words -------------------------------------------------------------- */

static bool next_line(struct text *rest, struct text *line)
{
    const char *newline;

    if (rest->length == 0) {
        return false;
    }
    newline = memchr(rest->bytes, '\n', rest->length);
    line->bytes = rest->bytes;
    line->length =
        newline == NULL ? rest->length : (size_t)(newline - rest->bytes);
    rest->bytes += line->length;
    rest->length -= line->length;
    if (rest->length > 0) {
        rest->bytes++;
        rest->length--;
    }
    return true;
}

static bool is_blank(char byte)
{
    return byte != '\0' && strchr(BLANKS, byte) != NULL;
}

/* The next word of a line, without its quotes; false: there is none. */
static bool next_word(struct text *line, char word[WORD_SIZE])
{
    struct text found;
    char quote = '\0';

    while (line->length > 0 && is_blank(line->bytes[0])) {
        line->bytes++;
        line->length--;
    }
    if (line->length == 0) {
        return false;
    }
    if (line->bytes[0] == '"' || line->bytes[0] == '\'') {
        quote = line->bytes[0];
        line->bytes++;
        line->length--;
    }
    found = (struct text){line->bytes, 0};
    while (line->length > 0 && (quote == '\0' ? !is_blank(line->bytes[0])
                                              : line->bytes[0] != quote)) {
        line->bytes++;
        line->length--;
        found.length++;
    }
    if (quote != '\0' && line->length > 0) {
        line->bytes++;
        line->length--;
    }
    (void)text_copy(found, word, WORD_SIZE);
    return true;
}

static bool has(struct text text, const char *word)
{
    return memmem(text.bytes, text.length, word, strlen(word)) != NULL;
}

/* --- logrotate ---------------------------------------------------------- */

/* A file of it, while it is read. */
struct rotation_reader {
    const char *log;
    struct check_rotation all, stanza;
    bool inside, in_script;
    bool named; /* the patterns that stand before this stanza name the log */
};

static const struct directive {
    const char *name;
    size_t flag;
    bool value;
} directives[] = {
    {"compress", offsetof(struct check_rotation, compresses), true},
    {"nocompress", offsetof(struct check_rotation, compresses), false},
    {"copytruncate", offsetof(struct check_rotation, copytruncates), true},
    {"nocopytruncate", offsetof(struct check_rotation, copytruncates), false},
    {"olddir", offsetof(struct check_rotation, moves), true},
    {"noolddir", offsetof(struct check_rotation, moves), false},
    {"extension", offsetof(struct check_rotation, renames), true},
};

static const char *const scripts[] = {"postrotate", "prerotate", "firstaction",
                                      "lastaction", "preremove"};

static void take_directive(struct rotation_reader *reader, const char *word,
                           struct text rest)
{
    struct check_rotation *rotation =
        reader->inside ? &reader->stanza : &reader->all;
    char number[WORD_SIZE];

    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (strcasecmp(word, directives[i].name) == 0) {
            bool *flag = (bool *)((char *)rotation + directives[i].flag);

            *flag = directives[i].value;
        }
    }
    if (strcasecmp(word, "rotate") == 0 && next_word(&rest, number)) {
        rotation->deletes = strtol(number, NULL, 10) >= 0;
    }
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        reader->in_script =
            reader->in_script || strcasecmp(word, scripts[i]) == 0;
    }
}

/* What would tell nixied to stop; HUP for others is their matter. */
static void take_script(struct rotation_reader *reader, struct text line)
{
    static const char *const hangups[] = {"HUP", "kill -1 ", "-s 1 ",
                                          "--signal=1 "};
    struct text rest = line;
    char word[WORD_SIZE];

    if (next_word(&rest, word) && strcmp(word, "endscript") == 0) {
        reader->in_script = false;
        return;
    }
    for (size_t i = 0; i < sizeof hangups / sizeof hangups[0]; i++) {
        if (has(line, "nixie") && has(line, hangups[i])) {
            reader->stanza.hangs_up = true;
        }
    }
}

static void end_stanza(struct rotation_reader *reader,
                       struct check_rotation *found)
{
    if (reader->named) {
        *found = reader->stanza;
        found->found = true;
    }
    reader->inside = false;
    reader->named = false;
}

static void begin_stanza(struct rotation_reader *reader)
{
    reader->inside = true;
    reader->stanza = reader->all;
}

static void take_pattern(struct rotation_reader *reader, char *word)
{
    size_t length = strlen(word);

    if (length > 1 && word[length - 1] == '{') { /* "/var/log/x{" */
        word[length - 1] = '\0';
        begin_stanza(reader);
    }
    reader->named =
        reader->named || fnmatch(word, reader->log, FNM_PATHNAME) == 0;
}

static void take_line(struct rotation_reader *reader, struct text line,
                      struct check_rotation *found)
{
    struct text rest = line;
    char word[WORD_SIZE];

    if (reader->in_script) {
        take_script(reader, line);
        return;
    }
    while (next_word(&rest, word) && word[0] != '#') {
        if (strcmp(word, "{") == 0) {
            begin_stanza(reader);
        } else if (strcmp(word, "}") == 0) {
            end_stanza(reader, found);
        } else if (!reader->inside && word[0] == '/') {
            take_pattern(reader, word);
        } else {
            take_directive(reader, word, rest);
            break;
        }
    }
}

void command_check_rotation(struct text file, const char *log,
                            struct check_rotation *rotation)
{
    struct rotation_reader reader = {.log = log, .all = *rotation};
    struct check_rotation found = {.found = false};
    struct text line;

    while (next_line(&file, &line)) {
        take_line(&reader, line, &found);
    }
    *rotation = found.found ? found : reader.all;
}

/* --- systemd ------------------------------------------------------------ */

/* The value of "Name=value" on a line; false: it is another. */
static bool value_of(struct text line, const char *name, struct text *value)
{
    size_t length = strlen(name);

    if (line.length <= length || memcmp(line.bytes, name, length) != 0 ||
        line.bytes[length] != '=') {
        return false;
    }
    *value = (struct text){line.bytes + length + 1, line.length - length - 1};
    return true;
}

static bool is_this_host(const char *word)
{
    return strcmp(word, "localhost") == 0 || strncmp(word, "127.", 4) == 0 ||
           strncmp(word, "::1", 3) == 0;
}

bool command_check_unit_is_shut(struct text unit)
{
    bool denied = false;
    bool others = false;
    struct text line;
    struct text value;
    char word[WORD_SIZE];

    while (next_line(&unit, &line)) {
        if (value_of(line, "IPAddressDeny", &value)) {
            denied = false; /* an empty one takes back those before */
            while (next_word(&value, word)) {
                denied = true;
            }
        } else if (value_of(line, "IPAddressAllow", &value)) {
            others = others && value.length > 0;
            while (next_word(&value, word)) {
                others = others || !is_this_host(word);
            }
        }
    }
    return denied && !others;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0' || length == 1);
}

/* Folders that systemd makes, and lets the service write. */
static bool is_made(struct text line, const char *path)
{
    static const struct made {
        const char *name, *above;
    } made[] = {
        {"RuntimeDirectory", "/run/"},
        {"StateDirectory", "/var/lib/"},
        {"LogsDirectory", "/var/log/"},
        {"CacheDirectory", "/var/cache/"},
    };
    struct text value;
    char word[WORD_SIZE];

    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        size_t above = strlen(made[i].above);

        if (!value_of(line, made[i].name, &value) ||
            strncmp(path, made[i].above, above) != 0) {
            continue;
        }
        while (next_word(&value, word)) {
            word[strcspn(word, ":")] = '\0';
            if (is_below(path + above, word)) {
                return true;
            }
        }
    }
    return false;
}

bool command_check_unit_writes(struct text unit, const char *path)
{
    bool strict = false;
    bool listed = false;
    struct text line;
    struct text value;
    char word[WORD_SIZE];

    while (next_line(&unit, &line)) {
        if (value_of(line, "ProtectSystem", &value)) {
            strict = next_word(&value, word) && strcmp(word, "strict") == 0;
        } else if (value_of(line, "ReadWritePaths", &value)) {
            while (next_word(&value, word)) {
                listed = listed || is_below(path, word + strspn(word, "-+"));
            }
        }
        listed = listed || is_made(line, path);
    }
    return !strict || listed;
}

/* --- rsyslog ------------------------------------------------------------ */

bool command_check_rsyslog_repeats(struct text file, bool before)
{
    struct text line;
    char word[WORD_SIZE];

    while (next_line(&file, &line)) {
        if (next_word(&line, word) &&
            strcasecmp(word, "$RepeatedMsgReduction") == 0 &&
            next_word(&line, word)) {
            before = strcasecmp(word, "on") == 0;
        }
    }
    return before;
}

/* --- file systems, logs -------------------------------------------------- */

const char *command_check_file_system(unsigned long type)
{
    static const struct row {
        unsigned long type;
        const char *name;
    } rows[] = {
        {RAM_FS, "ramfs"}, {TMP_FS, "tmpfs"}, {NFS_FS, "NFS"},
        {SMB_FS, "SMB"},   {CIFS_FS, "CIFS"}, {SMB2_FS, "SMB"},
        {CEPH_FS, "Ceph"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((type & 0xffffffffUL) == rows[i].type) {
            return rows[i].name;
        }
    }
    return NULL;
}

bool command_check_log_has(struct text log, const char *const *programs)
{
    for (size_t i = 0; programs[i] != NULL; i++) {
        if (has(log, programs[i])) {
            return true;
        }
    }
    return false;
}
