#include "clock.h"
#include "command_import.h"

#include <string.h>
#include <unistd.h>

#define BAD_SHOWN   20 /* on standard error; --bad has all */
#define PROGRESS_MS 250
#define SHOWN_MAX   160

const char *const import_count_names[IMPORT_COUNTS] = {
    [IMPORT_ADDED] = "added",         [IMPORT_UPDATED] = "updated",
    [IMPORT_UNCHANGED] = "unchanged", [IMPORT_DUPLICATE] = "duplicates",
    [IMPORT_PAST] = "past",           [IMPORT_BAD] = "bad",
};

void import_tell_row(struct import *import, uint64_t line, const char *what,
                     struct text typed)
{
    char shown[SHOWN_MAX] = "";
    FILE *to = import->bad;

    if (typed.length > 0) {
        (void)text_escape(typed, shown, sizeof shown);
    }
    if (to == NULL) {
        if (import->bad_shown++ >= BAD_SHOWN) {
            return;
        }
        import_progress_end(import);
        to = stderr;
    }
    (void)fprintf(to, "line %llu: %s%s%s\n", (unsigned long long)line, what,
                  shown[0] == '\0' ? "" : ": ", shown);
}

static void show_left(const struct import *import, int64_t passed_ms)
{
    uint64_t passed = import->offset - import->begun_offset;
    char left[COMMAND_DURATION_SIZE];

    if (import->size <= import->offset || passed == 0) {
        return;
    }
    command_duration((int64_t)((double)(import->size - import->offset) /
                               (double)passed * (double)passed_ms / 1000.0),
                     left);
    (void)fprintf(stderr, ", %u%%, %s left",
                  (unsigned)(import->offset * 100 / import->size), left);
}

/* Nothing for short work, nor where nobody looks. */
void import_progress(struct import *import)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t passed_ms = now_ms - import->begun_ms;

    if (now_ms - import->shown_ms < PROGRESS_MS || passed_ms < PROGRESS_MS ||
        isatty(STDERR_FILENO) != 1) {
        return;
    }
    import->shown_ms = now_ms;
    (void)fprintf(
        stderr, "\r\033[K%llu rows, %llu a second",
        (unsigned long long)import->rows,
        (unsigned long long)(import->new_rows * 1000 / (uint64_t)passed_ms));
    show_left(import, passed_ms);
}

void import_progress_end(struct import *import)
{
    if (import->shown_ms != 0) {
        (void)fputs("\r\033[K", stderr);
    }
    import->shown_ms = 0;
}

static void tell_json(const struct import *import)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "dry_run", json_boolean(import->dry_run));
    (void)json_object_set_new(object, "rows",
                              json_integer((json_int_t)import->rows));
    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        (void)json_object_set_new(object, import_count_names[i],
                                  json_integer((json_int_t)import->counts[i]));
    }
    (void)json_object_set_new(object, "logged",
                              json_integer((json_int_t)import->logged_only));
    (void)json_object_set_new(object, "bulk_for_all",
                              json_integer((json_int_t)import->bulk_for_all));
    (void)json_object_set_new(
        object, "preset",
        json_string(list_preset_name(import->reading.columns.preset)));
    command_json_print(object);
}

static void tell_people(const struct import *import)
{
    int64_t passed_ms = clock_monotonic_ms() - import->begun_ms;

    (void)printf("%s%llu rows:", import->dry_run ? "would be, of " : "",
                 (unsigned long long)import->rows);
    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        (void)printf("%s %llu %s", i == 0 ? "" : ",",
                     (unsigned long long)import->counts[i],
                     import_count_names[i]);
    }
    if (import->reading.columns.preset != LIST_PRESET_NONE) {
        (void)printf(" (columns of %s)",
                     list_preset_name(import->reading.columns.preset));
    }
    (void)puts("");
    if (passed_ms > 1000) {
        (void)printf("%llu rows a second\n",
                     (unsigned long long)(import->new_rows * 1000 /
                                          (uint64_t)passed_ms));
    }
}

/* An opt-out from newsletters must not stop a password reset. */
static void tell_bulk(const struct import *import)
{
    command_complain(
        import->call,
        "warning: rows=%llu are non_transactional, about bulk mail alone, and "
        "%s all mail: have a section scope \"NAME\" for bulk mail in "
        "nixie.conf(5) and give --bulk-scope NAME%s",
        (unsigned long long)import->bulk_for_all,
        import->dry_run ? "would stop" : "now stop",
        import->dry_run ? ""
                        : "; nixie suppress release --since 2000-01-01 "
                          "--origin sparkpost takes all of SparkPost's back");
}

void import_tell(struct import *import)
{
    import_progress_end(import);
    if (import->bad == NULL && import->bad_shown > BAD_SHOWN) {
        (void)fprintf(stderr, "and %llu more: --bad FILE takes all\n",
                      (unsigned long long)(import->bad_shown - BAD_SHOWN));
    }
    if (import->call->json) {
        tell_json(import);
    } else {
        tell_people(import);
    }
    if (import->rows == 0 && list_file_offset(import->file) == 0 &&
        import->error.text[0] == '\0') {
        command_complain(import->call,
                         "there is no row in it: is %s the "
                         "right file?",
                         import->is_input ? "standard input" : "this");
    }
    if (import->bulk_for_all > 0) {
        tell_bulk(import);
    }
    if (import->logged_only > 0) {
        command_complain(import->call,
                         "Redis has not got entries=%llu yet: nixied has "
                         "logged them and will apply them",
                         (unsigned long long)import->logged_only);
    }
}
