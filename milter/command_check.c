#include "command_check.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX     1024
#define ACCOUNT_SIZE 4096
#define PATH_SIZE    4096

static const struct result_name {
    const char *line; /* for people, as wide as the others */
    const char *word; /* for programs */
} result_names[] = {
    [CHECK_OK] = {"ok  ", "ok"},     [CHECK_NOTE] = {"note", "note"},
    [CHECK_WARN] = {"warn", "warn"}, [CHECK_FAIL] = {"FAIL", "fail"},
    [CHECK_SKIP] = {"skip", "skip"},
};

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

enum command_status command_check(const struct command_call *call)
{
    struct check check = {.call = call};
    const char *path = call->settings_path;
    struct error error = {""};
    struct settings *settings = settings_load(path, &error);

    if (settings == NULL) {
        command_check_report(&check, CHECK_FAIL, "configuration", "%s%s",
                             error.text, command_remedy(error.text));
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
    settings_free(settings);
    return check.failed ? COMMAND_NO : COMMAND_OK;
}
