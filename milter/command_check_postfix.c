#include "command_check_postfix.h"

#include "command_check.h"
#include "postconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_SIZE  4096
#define SENDMAIL_CF "/etc/mail/sendmail.cf"
#define PATH_SIZE   4096
#define WORD_SIZE   256
#define BLANKS      " \t\r\n,"
#define WAIT_MAX_S  10 /* nixied answers from memory */
/* What README recommends. */
#define ATTRIBUTES                                                             \
    "connect_timeout=2s, command_timeout=5s, content_timeout=30s, "            \
    "default_action=accept"

/* --- what postconf prints ---------------------------------------------- */

static const char *const parameters[] = {
    "queue_directory",          "smtpd_milters",
    "non_smtpd_milters",        "milter_default_action",
    "milter_protocol",          "compatibility_level",
    "receive_override_options", "milter_connect_timeout",
    "milter_command_timeout",
};
enum {
    QUEUE_DIRECTORY,
    SMTPD_MILTERS,
    NON_SMTPD_MILTERS,
    DEFAULT_ACTION,
    PROTOCOL,
    COMPATIBILITY,
    OVERRIDE_OPTIONS,
    CONNECT_TIMEOUT,
    COMMAND_TIMEOUT,
    PARAMETERS,
};

struct postfix {
    char values[PARAMETERS][VALUE_SIZE];
    char *services;  /* a line each, as `postconf -M` prints them */
    char *overrides; /* "smtp/inet/name = value", as `postconf -P` does */
};

static struct text trim(struct text text)
{
    while (text.length > 0 && strchr(BLANKS, text.bytes[0]) != NULL) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 &&
           strchr(BLANKS, text.bytes[text.length - 1]) != NULL) {
        text.length--;
    }
    return text;
}

/* The next line, from *rest, which moves behind it; false at the end. */
static bool next_line(const char **rest, struct text *line)
{
    size_t length = strcspn(*rest, "\n");

    if (**rest == '\0') {
        return false;
    }
    *line = (struct text){*rest, length};
    *rest += length + ((*rest)[length] == '\n' ? 1 : 0);
    return true;
}

/* Cuts "name=value" in two, without blanks; false: there is no "=". */
static bool cut_in_two(struct text line, struct text *name, struct text *value)
{
    const char *equals = memchr(line.bytes, '=', line.length);

    if (equals == NULL) {
        return false;
    }
    *name = trim((struct text){line.bytes, (size_t)(equals - line.bytes)});
    *value = trim((struct text){
        equals + 1, line.length - (size_t)(equals + 1 - line.bytes)});
    return true;
}

static void take_values(struct postfix *postfix, const char *output)
{
    const char *rest = output;
    struct text line;
    struct text name;
    struct text value;

    while (next_line(&rest, &line)) {
        if (!cut_in_two(line, &name, &value)) {
            continue;
        }
        for (size_t i = 0; i < PARAMETERS; i++) {
            if (text_is(name, parameters[i])) {
                (void)text_copy(value, postfix->values[i], VALUE_SIZE);
            }
        }
    }
}

static enum postconf_result ask(const char *directory, struct postfix *postfix)
{
    const char *values[PARAMETERS + 2] = {"-x"};
    static const char *const services[] = {"-M", NULL};
    static const char *const overrides[] = {"-Px", NULL};
    enum postconf_result result;
    char *output = NULL;

    memcpy(&values[1], parameters, sizeof parameters);
    result = postconf(directory, values, &output);
    if (result != POSTCONF_DONE) {
        return result;
    }
    take_values(postfix, output);
    free(output);
    result = postconf(directory, services, &postfix->services);
    /* without these, of an old Postfix, the rest can be told */
    if (result == POSTCONF_DONE &&
        postconf(directory, overrides, &postfix->overrides) != POSTCONF_DONE) {
        postfix->overrides = NULL;
    }
    return result;
}

/* --- lists of milters -------------------------------------------------- */

/*
 * The next item of a list: a word, or what stands between { and }. False at
 * the end.
 */
static bool next_item(struct text *rest, struct text *item)
{
    size_t depth = 0;
    size_t length = 0;

    *rest = trim(*rest);
    if (rest->length == 0) {
        return false;
    }
    while (length < rest->length) {
        char byte = rest->bytes[length];

        if (depth == 0 && strchr(BLANKS, byte) != NULL) {
            break;
        }
        depth += byte == '{' ? 1 : 0;
        depth -= byte == '}' && depth > 0 ? 1 : 0;
        length++;
    }
    *item = (struct text){rest->bytes, length};
    rest->bytes += length;
    rest->length -= length;
    if (length >= 2 && item->bytes[0] == '{' &&
        item->bytes[length - 1] == '}') {
        *item = trim((struct text){item->bytes + 1, length - 2});
    }
    return true;
}

static struct text address_of(struct text milter)
{
    struct text address = {"", 0};

    (void)next_item(&milter, &address);
    return address;
}

/* An attribute of a milter, or the fallback. */
static void attribute_of(struct text milter, const char *name,
                         const char *fallback, char value[WORD_SIZE])
{
    struct text item;
    struct text found_name;
    struct text found;

    (void)text_copy(text_of(fallback), value, WORD_SIZE);
    while (next_item(&milter, &item)) {
        if (cut_in_two(item, &found_name, &found) &&
            text_is(found_name, name)) {
            (void)text_copy(found, value, WORD_SIZE);
        }
    }
}

/* --- where a socket is ------------------------------------------------- */

static bool begins_with(struct text text, const char *word, struct text *rest)
{
    size_t length = strlen(word);

    if (text.length < length || memcmp(text.bytes, word, length) != 0) {
        return false;
    }
    *rest = (struct text){text.bytes + length, text.length - length};
    return true;
}

/*
 * The path of a Unix socket as a process of Postfix reaches it: in a chroot
 * all paths begin in the queue directory, outside only relative ones.
 */
static bool path_of(const struct postfix *postfix, struct text address,
                    bool chrooted, char path[PATH_SIZE])
{
    struct text name;
    bool inside;
    int length;

    if (!begins_with(address, "unix:", &name) &&
        !begins_with(address, "local:", &name)) {
        return false;
    }
    inside = chrooted || name.length == 0 || name.bytes[0] != '/';
    length = snprintf(path, PATH_SIZE, "%s%s%.*s",
                      inside ? postfix->values[QUEUE_DIRECTORY] : "",
                      inside && (name.length == 0 || name.bytes[0] != '/') ? "/"
                                                                           : "",
                      (int)name.length, name.bytes);
    return length > 0 && length < PATH_SIZE;
}

/* "127.0.0.1:8895" of "inet:8895@127.0.0.1"; false: ours is no such. */
static bool our_inet(const struct check *check, char address[WORD_SIZE])
{
    const char *ours = check->settings->milter_socket;
    const char *colon = strchr(ours, ':');
    const char *at = strchr(ours, '@');
    int length;

    if (strncmp(ours, "inet", 4) != 0 || colon == NULL || at == NULL) {
        return false;
    }
    length = snprintf(address, WORD_SIZE, "inet:%s:%.*s", at + 1,
                      (int)(at - colon - 1), colon + 1);
    return length > 0 && length < WORD_SIZE;
}

static const char *our_path(const struct check *check)
{
    const char *ours = check->settings->milter_socket;
    const char *colon = strchr(ours, ':');

    return strncmp(ours, "inet", 4) == 0 ? NULL
           : colon == NULL               ? ours
                                         : colon + 1;
}

static bool is_ours(const struct check *check, const struct postfix *postfix,
                    struct text address, bool chrooted)
{
    const char *ours = our_path(check);
    char inet[WORD_SIZE];
    char path[PATH_SIZE];

    if (ours != NULL) {
        return path_of(postfix, address, chrooted, path) &&
               command_check_same(path, ours);
    }
    return our_inet(check, inet) &&
           (text_is(address, inet) ||
            (strncmp(inet, "inet:127.0.0.1:", 15) == 0 && address.length > 15 &&
             memcmp(address.bytes, "inet:localhost:", 15) == 0 &&
             address.length == strlen(inet) &&
             memcmp(address.bytes + 15, inet + 15, address.length - 15) == 0));
}

/* What to write in main.cf: a relative path serves inside a chroot and out. */
static void advise(const struct check *check, const struct postfix *postfix,
                   char advice[PATH_SIZE])
{
    const char *queue = postfix->values[QUEUE_DIRECTORY];
    const char *ours = our_path(check);
    size_t length = strlen(queue);
    const char *socket_name = ours == NULL ? "" : ours;
    char inet[WORD_SIZE] = "";

    if (ours == NULL) {
        (void)our_inet(check, inet);
    } else if (length > 0 && strncmp(ours, queue, length) == 0 &&
               ours[length] == '/') {
        socket_name = ours + length + 1;
    }
    (void)snprintf(advice, PATH_SIZE, "{ %s%s, " ATTRIBUTES " }",
                   ours == NULL ? inet : "unix:", socket_name);
}

/* --- services ---------------------------------------------------------- */

struct service {
    char name[WORD_SIZE];
    char command[WORD_SIZE];
    bool chrooted;
    bool overrides; /* it has its own list of milters, or none */
};

/* "smtp inet n - y - - smtpd -o …": the columns of master(5). */
static bool parse_service(const struct postfix *postfix, struct text line,
                          const char *parameter, struct service *service)
{
    enum { NAME, CHROOT = 4, COMMAND = 7 };
    struct text rest = line;
    struct text word;
    struct text name;
    struct text value;
    int column = 0;

    memset(service, 0, sizeof *service);
    for (; next_item(&rest, &word); column++) {
        if (column == NAME) {
            (void)text_copy(word, service->name, sizeof service->name);
        } else if (column == CHROOT) {
            service->chrooted =
                text_is(word, "y") ||
                (text_is(word, "-") &&
                 strtol(postfix->values[COMPATIBILITY], NULL, 10) < 1);
        } else if (column == COMMAND) {
            (void)text_copy(word, service->command, sizeof service->command);
        } else if (column > COMMAND && cut_in_two(word, &name, &value) &&
                   text_is(name, parameter)) {
            service->overrides = true;
        }
    }
    return column > COMMAND;
}

/* One of the two lists of milters, and whose it is. */
static const struct side {
    int parameter;
    const char *command;
    enum check_result when_missing;
    const char *what;
} sides[] = {
    {SMTPD_MILTERS, "smtpd", CHECK_FAIL, "mail by SMTP passes unseen"},
    {NON_SMTPD_MILTERS, "cleanup", CHECK_WARN,
     "mail by sendmail(1) passes unseen"},
};

/*
 * The trap: in a chroot unix:/run/nixie/milter.sock is another file. A path
 * relative to the queue directory is the same one everywhere.
 */
static void report_trap(struct check *check, const struct postfix *postfix,
                        const struct side *side, const struct service *service,
                        struct text address)
{
    const char *queue = postfix->values[QUEUE_DIRECTORY];
    const char *name = parameters[side->parameter];
    char advice[PATH_SIZE];
    char path[PATH_SIZE];

    if (!path_of(postfix, address, service->chrooted, path)) {
        return;
    }
    advise(check, postfix, advice);
    if (strstr(advice, "unix:/") == NULL) {
        command_check_report(
            check, CHECK_FAIL, "postfix chroot",
            "%s of service %s (%s) takes %.*s for %s, but nixied listens on "
            "%s: write %s = %s",
            service->command, service->name,
            service->chrooted ? "chrooted" : "not chrooted",
            (int)address.length, address.bytes, path, our_path(check), name,
            advice);
        return;
    }
    command_check_report(
        check, CHECK_FAIL, "postfix chroot",
        "%s of service %s (%s) takes %.*s for %s, but nixied listens on %s: "
        "set milter_socket = \"unix:%s/nixie/milter.sock\", and in main.cf "
        "%s = { unix:nixie/milter.sock, " ATTRIBUTES " }",
        service->command, service->name,
        service->chrooted ? "chrooted" : "not chrooted", (int)address.length,
        address.bytes, path, our_path(check), queue, name);
}

/* Whether each service that uses the list reaches our socket. */
static void check_services(struct check *check, const struct postfix *postfix,
                           const struct side *side, struct text address)
{
    const char *rest = postfix->services;
    unsigned good = 0;
    struct text line;

    while (our_path(check) != NULL && next_line(&rest, &line)) {
        struct service service;

        if (!parse_service(postfix, line, parameters[side->parameter],
                           &service) ||
            strcmp(service.command, side->command) != 0 || service.overrides) {
            continue;
        }
        if (is_ours(check, postfix, address, service.chrooted)) {
            good++;
        } else {
            report_trap(check, postfix, side, &service, address);
        }
    }
    if (good > 0) {
        command_check_report(check, CHECK_OK, "postfix chroot",
                             "%s reaches %s, in %u %s", side->command,
                             our_path(check), good,
                             good == 1 ? "service" : "services");
    }
}

/* "30s", "5m", "1h", or seconds. */
static long seconds_of(const char *value)
{
    char *unit;
    long number = strtol(value, &unit, 10);

    return *unit == 'm'   ? number * 60
           : *unit == 'h' ? number * 3600
           : *unit == 'd' ? number * 86400
                          : number;
}

/* Told once: the other list is mostly the same. */
static void check_patience(struct check *check, const struct postfix *postfix,
                           const char *name, struct text milter)
{
    char connecting[WORD_SIZE];
    char command[WORD_SIZE];
    char advice[PATH_SIZE];

    attribute_of(milter, "connect_timeout", postfix->values[CONNECT_TIMEOUT],
                 connecting);
    attribute_of(milter, "command_timeout", postfix->values[COMMAND_TIMEOUT],
                 command);
    if (strcmp(name, parameters[SMTPD_MILTERS]) != 0 ||
        (seconds_of(connecting) <= WAIT_MAX_S &&
         seconds_of(command) <= WAIT_MAX_S)) {
        return;
    }
    advise(check, postfix, advice);
    command_check_report(check, CHECK_NOTE, name,
                         "a nixied that hangs holds up each client for "
                         "connect_timeout=%s and command_timeout=%s: write "
                         "%s = %s",
                         connecting, command, name, advice);
}

static bool is_one_of(struct text word, const char *const *words)
{
    while (*words != NULL && !text_is(word, *words)) {
        words++;
    }
    return *words != NULL;
}

/* With a word that it does not know Postfix takes no mail at all. */
static bool check_words(struct check *check, const struct postfix *postfix,
                        const char *name, struct text milter)
{
    static const char *const options[] = {"connect_timeout", "command_timeout",
                                          "content_timeout", "default_action",
                                          "protocol",        NULL};
    static const char *const actions[] = {"accept",     "reject",   "tempfail",
                                          "quarantine", "shutdown", NULL};
    char advice[PATH_SIZE];
    struct text item;
    struct text option;
    struct text value;

    (void)next_item(&milter, &item); /* where it listens */
    while (next_item(&milter, &item)) {
        if (!cut_in_two(item, &option, &value) ||
            (is_one_of(option, options) &&
             (!text_is(option, "default_action") ||
              is_one_of(value, actions)))) {
            continue;
        }
        advise(check, postfix, advice);
        command_check_report(check, CHECK_FAIL, name,
                             "Postfix does not know %.*s and takes no mail: "
                             "write %s = %s",
                             (int)item.length, item.bytes, name, advice);
        return false;
    }
    return true;
}

static void check_milter(struct check *check, const struct postfix *postfix,
                         const char *name, struct text milter)
{
    char action[WORD_SIZE];
    char protocol[WORD_SIZE];

    if (!check_words(check, postfix, name, milter)) {
        return;
    }
    attribute_of(milter, "default_action", "", action);
    attribute_of(milter, "protocol", postfix->values[PROTOCOL], protocol);
    if (strcmp(action, "accept") == 0) {
        command_check_report(check, CHECK_OK, name,
                             "names nixie, with default_action=accept");
    } else if (action[0] != '\0') {
        command_check_report(check, CHECK_WARN, name,
                             "default_action=%s: without nixied mail is not "
                             "accepted; if that is not meant, write "
                             "default_action=accept",
                             action);
    } else if (strcmp(postfix->values[DEFAULT_ACTION], "accept") == 0) {
        command_check_report(check, CHECK_OK, name,
                             "names nixie, with milter_default_action = "
                             "accept");
    } else {
        char advice[PATH_SIZE];

        advise(check, postfix, advice);
        command_check_report(check, CHECK_FAIL, name,
                             "without nixied Postfix does %s: write %s = %s",
                             postfix->values[DEFAULT_ACTION], name, advice);
    }
    if (strtol(protocol, NULL, 10) < 6) {
        command_check_report(check, CHECK_FAIL, name,
                             "milter protocol %s tells too little: write "
                             "protocol=6, or postconf -X milter_protocol; "
                             "postfix reload",
                             protocol);
    }
    check_patience(check, postfix, name, milter);
}

/* Ours in the list: as some process reads it, chrooted or not. */
static bool find_ours(const struct check *check, const struct postfix *postfix,
                      struct text list, struct text *milter, unsigned *place)
{
    *place = 0;
    while (next_item(&list, milter)) {
        struct text address = address_of(*milter);

        (*place)++;
        if (is_ours(check, postfix, address, false) ||
            is_ours(check, postfix, address, true)) {
            return true;
        }
    }
    return false;
}

/*
 * The first chrooted service that could not reach our socket, whatever is
 * written in main.cf; "" when there is none.
 */
static void find_shut_in(const struct check *check,
                         const struct postfix *postfix, struct service *service)
{
    const char *rest = postfix->services;
    char advice[PATH_SIZE];
    struct text line;

    advise(check, postfix, advice);
    while (strstr(advice, "unix:/") != NULL && next_line(&rest, &line)) {
        for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
            if (parse_service(postfix, line, parameters[sides[i].parameter],
                              service) &&
                strcmp(service->command, sides[i].command) == 0 &&
                service->chrooted) {
                return;
            }
        }
    }
    memset(service, 0, sizeof *service);
}

static void report_queue(struct check *check, const struct postfix *postfix,
                         const struct side *side, const char *command)
{
    const char *queue = postfix->values[QUEUE_DIRECTORY];
    const char *name = parameters[side->parameter];

    command_check_report(
        check, side->when_missing, name,
        "does not name nixie, %s; %s is chrooted and cannot reach %s: install "
        "-d -o %s -g postfix -m 2750 %s/nixie, set milter_socket = "
        "\"unix:%s/nixie/milter.sock\", and in main.cf %s = { "
        "unix:nixie/milter.sock, " ATTRIBUTES " }",
        side->what, command, check->settings->milter_socket,
        check->settings->user, queue, queue, name);
}

/* --- services that go their own way ------------------------------------- */

static const char *const overridden[] = {
    "smtpd_milters",
    "non_smtpd_milters",
    "receive_override_options",
};

/* "submission/inet/smtpd_milters" in two; false: none of these parameters. */
static bool cut_override(struct text name, struct text *service,
                         const char **parameter)
{
    const char *slash = memrchr(name.bytes, '/', name.length);
    struct text last;

    if (slash == NULL) {
        return false;
    }
    *service = (struct text){name.bytes, (size_t)(slash - name.bytes)};
    last = (struct text){slash + 1, name.length - service->length - 1};
    for (size_t i = 0; i < sizeof overridden / sizeof overridden[0]; i++) {
        if (text_is(last, overridden[i])) {
            *parameter = overridden[i];
            return true;
        }
    }
    return false;
}

static bool holds_no_milters(struct text value)
{
    return memmem(value.bytes, value.length, "no_milters", 10) != NULL;
}

/* In master.cf -o takes nixie from a service, which main.cf does not show. */
static void check_overrides(struct check *check, const struct postfix *postfix)
{
    const char *rest = postfix->overrides == NULL ? "" : postfix->overrides;
    struct text line;
    struct text name;
    struct text value;
    struct text service;
    struct text milter;
    const char *parameter;
    unsigned place;

    while (next_line(&rest, &line)) {
        if (!cut_in_two(line, &name, &value) ||
            !cut_override(name, &service, &parameter)) {
            continue;
        }
        if (strcmp(parameter, parameters[OVERRIDE_OPTIONS]) == 0
                ? !holds_no_milters(value)
                : find_ours(check, postfix, value, &milter, &place)) {
            continue;
        }
        command_check_report(
            check, CHECK_WARN, "master.cf",
            "%.*s has -o %s=%.*s: its mail passes nixie by; unless it is what "
            "a content filter hands back, postconf -PX %.*s/%s; postfix reload",
            (int)service.length, service.bytes, parameter, (int)value.length,
            value.bytes, (int)service.length, service.bytes, parameter);
    }
    if (holds_no_milters(text_of(postfix->values[OVERRIDE_OPTIONS]))) {
        command_check_report(check, CHECK_FAIL, "receive_override_options",
                             "no_milters in main.cf turns nixie off for all "
                             "mail: postconf -X receive_override_options; "
                             "postfix reload");
    }
}

static void check_side(struct check *check, const struct postfix *postfix,
                       const struct side *side)
{
    const char *name = parameters[side->parameter];
    char advice[PATH_SIZE];
    struct service service;
    struct text milter;
    unsigned place;

    if (!find_ours(check, postfix, text_of(postfix->values[side->parameter]),
                   &milter, &place)) {
        find_shut_in(check, postfix, &service);
        if (service.command[0] != '\0') {
            report_queue(check, postfix, side, service.command);
            return;
        }
        advise(check, postfix, advice);
        command_check_report(check, side->when_missing, name,
                             "does not name %s, %s: write %s = %s",
                             check->settings->milter_socket, side->what, name,
                             advice);
        return;
    }
    check_milter(check, postfix, name, milter);
    if (place > 1) {
        command_check_report(
            check, CHECK_WARN, name,
            "nixie is number %u, and does not hear of recipients "
            "that those before it refuse: write it first in "
            "%s",
            place, name);
    }
    check_services(check, postfix, side, address_of(milter));
}

void command_check_postfix(struct check *check, const char *directory)
{
    struct postfix *postfix = calloc(1, sizeof *postfix);
    enum postconf_result result;

    if (directory == NULL) { /* as Postfix's own programs do */
        directory = getenv("MAIL_CONFIG");
    }
    result = postfix == NULL ? POSTCONF_FAILED : ask(directory, postfix);
    switch (result) {
    case POSTCONF_ABSENT:
        if (access(SENDMAIL_CF, F_OK) == 0) {
            break;
        }
        command_check_report(check, CHECK_SKIP, "postfix",
                             "there is none on this host");
        break;
    case POSTCONF_FAILED:
        command_check_report(check, directory == NULL ? CHECK_SKIP : CHECK_FAIL,
                             "postfix",
                             "postconf gives no answer: is there "
                             "a main.cf in %s?",
                             directory == NULL ? "its folder" : directory);
        break;
    case POSTCONF_DONE:
        check_overrides(check, postfix);
        command_check_postfix_detail(check, directory);
        for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
            check_side(check, postfix, &sides[i]);
        }
        break;
    }
    if (postfix != NULL) {
        free(postfix->services);
        free(postfix->overrides);
    }
    free(postfix);
}
