#include "command_check.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX     1024
#define ACCOUNT_SIZE 4096
#define PATH_SIZE    4096
#define LINE_WIDTH   78

static const struct result_name {
    const char *line; /* for people, as wide as the others */
    const char *word; /* for programs */
} result_names[] = {
    [CHECK_OK] = {"ok  ", "ok"},     [CHECK_NOTE] = {"note", "note"},
    [CHECK_WARN] = {"warn", "warn"}, [CHECK_FAIL] = {"FAIL", "fail"},
    [CHECK_SKIP] = {"skip", "skip"},
};

/* What was looked at, each once: for the last lines. */
static void remember(struct check *check, const char *name)
{
    size_t used = strlen(check->looked);
    size_t length = strlen(name);

    for (const char *at = strstr(check->looked, name); at != NULL;
         at = strstr(at + 1, name)) {
        if ((at == check->looked || at[-1] == ' ') &&
            (at[length] == ',' || at[length] == '\0')) {
            return;
        }
    }
    (void)snprintf(check->looked + used, sizeof check->looked - used, "%s%s",
                   used == 0 ? "" : ", ", name);
}

void command_check_report(struct check *check, enum check_result result,
                          const char *name, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    if (result == CHECK_FAIL) {
        check->failed = true;
    }
    check->counts[result]++;
    remember(check, name);
    if (check->quiet && result == CHECK_OK) {
        return;
    }
    if (check->call->json) {
        json_t *object = json_object();

        command_json_set(object, "check", text_of(name));
        command_json_set(object, "result", text_of(result_names[result].word));
        command_json_set(object, "text", text_of(text));
        command_json_print(object);
    } else {
        (void)printf("%s  %s: ", result_names[result].line, name);
        command_put(text_of(text));
        (void)fputc('\n', stdout);
    }
    (void)fflush(stdout); /* a check may take seconds: show the one before */
}

bool command_check_account(const char *name, struct check_account *account)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[ACCOUNT_SIZE];

    if (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 ||
        found == NULL) {
        return false;
    }
    account->uid = entry.pw_uid;
    account->group_count = CHECK_GROUPS_MAX;
    if (getgrouplist(name, entry.pw_gid, account->groups,
                     &account->group_count) < 0) {
        account->group_count = CHECK_GROUPS_MAX; /* the first of many */
    }
    return true;
}

bool command_check_may(const struct check_account *account,
                       const struct stat *status, unsigned what)
{
    unsigned mode = (unsigned)status->st_mode;

    if (account->uid == 0) {
        return true;
    }
    if (status->st_uid == account->uid) {
        return ((mode >> 6) & what) == what;
    }
    for (int i = 0; i < account->group_count; i++) {
        if (account->groups[i] == status->st_gid) {
            return ((mode >> 3) & what) == what;
        }
    }
    return (mode & what) == what;
}

bool command_check_barrier(const struct check_account *account,
                           const char *path, char *folder, size_t size)
{
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);
        struct stat status;

        (void)text_copy((struct text){path, length}, folder, size);
        if (stat(folder, &status) == 0 &&
            !command_check_may(account, &status, 01)) {
            return true;
        }
    }
    return false;
}

bool command_check_readable(const struct check *check, const char *path)
{
    struct check_account account;
    struct stat status;
    char folder[PATH_SIZE];

    return stat(path, &status) != 0 ||
           !command_check_account(check->settings->user, &account) ||
           (command_check_may(&account, &status, 04) &&
            !command_check_barrier(&account, path, folder, sizeof folder));
}

bool command_check_same(const char *one, const char *other)
{
    struct stat first;
    struct stat second;

    return strcmp(one, other) == 0 ||
           (stat(one, &first) == 0 && stat(other, &second) == 0 &&
            first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

/* "looked at: …", in lines that fit a terminal. */
static void put_looked(const char *looked)
{
    size_t column = (size_t)printf("looked at:");

    while (*looked != '\0') {
        size_t length = strcspn(looked, ",");

        length += looked[length] == ',' ? 1 : 0;
        if (column + 1 + length > LINE_WIDTH) {
            (void)fputs("\n   ", stdout);
            column = 3;
        }
        column += 1 + length;
        (void)printf(" %.*s", (int)length, looked);
        looked += length + strspn(looked + length, " ");
    }
    (void)fputc('\n', stdout);
}

static void put_count(unsigned count, const char *one, const char *many,
                      bool *first)
{
    if (count > 0) {
        (void)printf("%s%u %s", *first ? "" : ", ", count,
                     count == 1 ? one : many);
        *first = false;
    }
}

/* The last lines, for people. */
static void conclude(const struct check *check)
{
    const unsigned *counts = check->counts;
    bool first = true;

    if (check->call->json) {
        return;
    }
    put_looked(check->looked);
    if (counts[CHECK_FAIL] == 0 && counts[CHECK_WARN] == 0) {
        (void)fputs("all is well", stdout);
        first = false;
    }
    put_count(counts[CHECK_FAIL], "thing is wrong", "things are wrong", &first);
    put_count(counts[CHECK_WARN], "is doubtful", "are doubtful", &first);
    put_count(counts[CHECK_NOTE], "remark", "remarks", &first);
    put_count(counts[CHECK_SKIP], "was not looked at", "were not looked at",
              &first);
    (void)fputc('\n', stdout);
}

enum command_status command_check(const struct command_call *call)
{
    struct check check = {
        .call = call,
        .quiet = !call->json && command_value(call, "verbose") == NULL,
    };
    const char *path = call->settings_path;
    struct error error = {""};
    struct settings *settings = settings_load(path, &error);

    if (settings == NULL) {
        command_check_report(&check, CHECK_FAIL, "configuration", "%s%s",
                             error.text, command_remedy(error.text));
        conclude(&check);
        return COMMAND_NO; /* of what, if that is not known? */
    }
    if (path == NULL) {
        command_check_report(&check, CHECK_OK, "configuration",
                             SETTINGS_FILE " is not there: all defaults");
    } else {
        command_check_report(&check, CHECK_OK, "configuration", "%s", path);
    }
    check.settings = settings;
    command_check_host(&check);
    command_check_store(&check);
    command_check_sendmail(&check, NULL);
    command_check_postfix(&check, command_value(call, "postfix"));
    command_check_outcome(&check, settings, command_value(call, "postfix"));
    command_check_system(&check, "");
    command_check_nixied(&check);
    conclude(&check);
    settings_free(settings);
    return check.failed ? COMMAND_NO : COMMAND_OK;
}
