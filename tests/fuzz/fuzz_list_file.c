/*
 * A file of list entries, in any form. The rows stand in the order of their
 * lines and the file is read to its end; a row has fields or a fault; what it
 * says becomes an entry, or a fault.
 */
#include "list_entry.h"
#include "list_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static void read_entry(const struct list_row *row)
{
    static struct settings *settings;
    struct list_reading reading = {.list = STORE_SUPPRESS};
    struct list_buffers buffers;
    struct list_entry entry;
    struct event event;
    struct error error;

    if (settings == NULL) {
        settings = settings_load(NULL, &error);
        require(settings != NULL);
    }
    reading.settings = settings;
    reading.columns.count = LIST_FIELDS_MAX;
    for (size_t i = 0; i < LIST_FIELDS_MAX; i++) {
        reading.columns.members[i] =
            (enum list_member)((i + LIST_PATTERN) % LIST_MEMBERS);
    }
    list_entry_read(&reading, row, &entry);
    require(entry.fault[0] != '\0' || entry.key.length > 0);
    if (entry.fault[0] == '\0' &&
        list_entry_event(&reading, &entry, false, "me", &buffers, &event)) {
        require(event.suppression_pattern.length > 0);
    }
    list_entry_clear(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("list", MFD_CLOEXEC);
    struct list_file *file = list_file_new(fd, LIST_FORM_ANY);
    struct list_row row;
    struct error error;
    uint64_t line = 0;

    require(fd >= 0 && file != NULL);
    require(write(fd, data, size) == (ssize_t)size);
    require(lseek(fd, 0, SEEK_SET) == 0);
    while (list_file_next(file, &row, &error) == LIST_FILE_ROW) {
        require(row.line >= line && row.count <= LIST_FIELDS_MAX);
        require(row.count > 0 || row.fault != NULL);
        line = row.line;
        read_entry(&row);
    }
    require(list_file_offset(file) == size);
    list_file_free(file);
    (void)close(fd);
    return 0;
}
