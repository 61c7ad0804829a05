#include "clock.h"
#include "command_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAVE_MS   1000
#define HEAD_READ 65536 /* bytes that tell one file from another */
#define TEXT_MAX  1024

/* An option counts by its text: "30d" is the same tomorrow. */
static void add_options(const struct import *import, GChecksum *sum)
{
    static const char *const names[] = {"preset",  "format",    "scope",
                                        "reason",  "note",      "expires",
                                        "observe", "bulk-scope"};

    g_checksum_update(sum,
                      (const guchar *)(import->reading.list == STORE_ALLOW
                                           ? "allow"
                                           : "suppress"),
                      -1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = command_value(import->call, names[i]);

        g_checksum_update(sum, (const guchar *)"\n", 1);
        if (value != NULL) {
            g_checksum_update(sum, (const guchar *)value, -1);
        }
    }
}

static void add_file(const struct import *import, GChecksum *sum)
{
    guchar *head = g_malloc(HEAD_READ);
    ssize_t length = pread(import->fd, head, HEAD_READ, 0);

    if (length > 0) {
        g_checksum_update(sum, head, length);
    }
    g_checksum_update(sum, (const guchar *)&import->size, sizeof import->size);
    g_free(head);
}

bool import_position_name(struct import *import)
{
    const char *given = command_value(import->call, "resume");
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    int length = 0;

    add_options(import, sum);
    if (!import->is_input) {
        add_file(import, sum);
    }
    (void)text_copy(text_of(g_checksum_get_string(sum)), import->identity,
                    sizeof import->identity);
    g_checksum_free(sum);
    if (given != NULL) {
        length =
            snprintf(import->position, sizeof import->position, "%s", given);
    } else if (!import->is_input && import->size > 0 && !import->dry_run) {
        length = snprintf(import->position, sizeof import->position,
                          "%s/import-%.16s.position",
                          import->call->settings->state_dir, import->identity);
    }
    if (length >= (int)sizeof import->position) {
        command_complain(import->call, "the path of the position is too long");
        return false;
    }
    return true;
}

static uint64_t number_in(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);

    return json_is_integer(value) && json_integer_value(value) > 0
               ? (uint64_t)json_integer_value(value)
               : 0;
}

static void take_over(struct import *import, const json_t *root)
{
    import->offset = number_in(root, "offset");
    import->line = number_in(root, "line");
    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        import->counts[i] = number_in(root, import_count_names[i]);
        import->rows += import->counts[i];
    }
    import->bulk_for_all = number_in(root, "bulk_for_all");
    if (number_in(root, "expires_us") > 0) {
        import->reading.expires_us = (int64_t)number_in(root, "expires_us");
    }
    command_complain(import->call, "goes on behind line %llu",
                     (unsigned long long)import->line);
}

void import_position_load(struct import *import)
{
    char text[TEXT_MAX];
    json_t *root = NULL;
    const char *identity;
    ssize_t length;
    int fd;

    if (import->position[0] == '\0' || import->dry_run) {
        return;
    }
    fd = open(import->position, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return;
    }
    length = read(fd, text, sizeof text);
    (void)close(fd);
    if (length > 0) {
        root = json_loadb(text, (size_t)length, 0, NULL);
    }
    identity = json_string_value(json_object_get(root, "identity"));
    if (identity != NULL && strcmp(identity, import->identity) == 0) {
        take_over(import, root);
    } else {
        command_complain(import->call,
                         "%s is of another file or other options: from the "
                         "beginning",
                         import->position);
    }
    json_decref(root);
}

static bool write_all(int fd, const char *text, size_t length)
{
    return write(fd, text, length) == (ssize_t)length;
}

static bool save(const struct import *import)
{
    char path[PATH_MAX + 8];
    json_t *root = json_pack(
        "{s:s,s:I,s:I,s:I,s:I}", "identity", import->identity, "offset",
        (json_int_t)import->offset, "line", (json_int_t)import->line,
        "expires_us", (json_int_t)import->reading.expires_us, "bulk_for_all",
        (json_int_t)import->bulk_for_all);
    char *text = NULL;
    bool saved = false;
    int fd;

    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        (void)json_object_set_new(root, import_count_names[i],
                                  json_integer((json_int_t)import->counts[i]));
    }
    text = json_dumps(root, JSON_COMPACT);
    (void)snprintf(path, sizeof path, "%s.new", import->position);
    fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && text != NULL) {
        saved = write_all(fd, text, strlen(text)) &&
                rename(path, import->position) == 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(text);
    json_decref(root);
    return saved;
}

void import_position_save(struct import *import, bool at_once)
{
    int64_t now_ms = clock_monotonic_ms();

    if (import->position[0] == '\0' || import->dry_run || import->offset == 0 ||
        (!at_once && now_ms - import->saved_ms < SAVE_MS)) {
        return;
    }
    import->saved_ms = now_ms;
    /* the next run passes over what is reported: let it be in the file */
    if (import->bad != NULL) {
        (void)fflush(import->bad); /* a fault is told at the end */
    }
    if (!save(import) && !import->told_position) {
        import->told_position = true;
        command_complain(import->call,
                         "%s cannot be written (%s): when it is interrupted, "
                         "it begins again, and passes over what is there",
                         import->position, strerror(errno));
    }
}

void import_position_remove(struct import *import)
{
    if (import->position[0] != '\0' && !import->dry_run) {
        (void)unlink(import->position);
    }
}
