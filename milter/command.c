#include "command.h"

#include "clock.h"
#include "command_store.h"
#include "scope.h"
#include "text_near.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <glib.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_MAX     400 /* bytes of an argument in a complaint */
#define COMPLAINT_MAX 2048

const struct command_option command_common_options[] = {
    {"json", 0, NULL, "JSON, an object a line"},
    {"help", 'h', NULL, "this"},
    {NULL, 0, NULL, NULL},
};

const char *command_value(const struct command_call *call, const char *name)
{
    size_t count = command_option_count(call->command->options);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(call->command->options[i].name, name) == 0) {
            return call->values[i];
        }
    }
    return NULL;
}

const char *command_remedy(const char *fault)
{
    bool denied = strstr(fault, strerror(EACCES)) != NULL ||
                  strstr(fault, strerror(EPERM)) != NULL;

    return denied && geteuid() != 0 && strstr(fault, "sudo") == NULL
               ? "; try it with sudo"
               : "";
}

void command_complain(const struct command_call *call, const char *format, ...)
{
    char complaint[COMPLAINT_MAX];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(complaint, sizeof complaint, format, arguments) < 0) {
        complaint[0] = '\0';
    }
    va_end(arguments);
    (void)fflush(stdout);
    (void)fprintf(stderr, "nixie %s: %s%s\n", call->command->name, complaint,
                  command_remedy(complaint));
}

/* --- arguments --------------------------------------------------------- */

static const char *guess_option(const struct command_call *call,
                                const char *typed,
                                char question[TEXT_NEAR_SIZE])
{
    struct text_near near =
        text_near_new((struct text){typed, strcspn(typed, "=")});

    for (size_t i = 0; call->command->options[i].name != NULL; i++) {
        text_near_offer(&near, text_of(call->command->options[i].name));
    }
    for (size_t i = 0; command_common_options[i].name != NULL; i++) {
        text_near_offer(&near, text_of(command_common_options[i].name));
    }
    return text_near_ask(&near, question);
}

static enum command_status complain_option(const struct command_call *call,
                                           int found, const char *word)
{
    char shown[SHOWN_MAX];
    char question[TEXT_NEAR_SIZE] = "";

    if (found != ':' && strncmp(word, "--", 2) == 0) {
        (void)guess_option(call, word + 2, question);
    }
    command_complain(call, "%s \"%s\"; \"nixie help %s\" tells more%s",
                     found == ':' ? "a value is missing behind"
                                  : "no such option",
                     text_escape(text_of(word), shown, sizeof shown),
                     call->command->name, question);
    return COMMAND_FAULT;
}

static enum command_status take_options(struct command_call *call, int argc,
                                        char **argv)
{
    const struct command_option *rows = call->command->options;
    int count = (int)command_option_count(rows);
    struct command_option_table table;
    int found;

    command_option_make(":", rows, command_common_options, &table);
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, table.letters, table.options,
                                NULL)) != -1) {
        int row = command_option_row(&table, found);

        if (row < 0) {
            return complain_option(call, found, argv[optind - 1]);
        }
        if (row < count) {
            call->values[row] = optarg == NULL ? "" : optarg;
        } else if (found == 'h') {
            return COMMAND_NO;
        } else {
            call->json = true;
        }
    }
    return COMMAND_OK;
}

enum command_status command_parse(struct command_call *call, int argc,
                                  char **argv)
{
    const struct command *command = call->command;
    enum command_status status = take_options(call, argc, argv);

    if (status != COMMAND_OK) {
        return status;
    }
    call->arguments = argv + optind;
    call->argument_count = argc - optind;
    if (call->argument_count < command->arguments_min ||
        call->argument_count > command->arguments_max) {
        command_complain(call, "%s; usage: nixie %s%s%s",
                         call->argument_count < command->arguments_min
                             ? "an argument is missing"
                             : "too many arguments",
                         command->name,
                         command->arguments[0] == '\0' ? "" : " ",
                         command->arguments);
        return COMMAND_FAULT;
    }
    return COMMAND_OK;
}

/* --- output ------------------------------------------------------------ */

static bool is_harmless(gunichar character)
{
    GUnicodeType type = g_unichar_type(character);

    return g_unichar_isprint(character) && type != G_UNICODE_LINE_SEPARATOR &&
           type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

void command_put(struct text text)
{
    const char *position = text.bytes;
    const char *end = position + text.length;

    while (position < end) {
        gunichar character =
            g_utf8_get_char_validated(position, end - position);
        size_t length = 1;

        /* (gunichar)-1 and -2: no UTF-8, or cut off */
        if (character < 0x110000) {
            length = (size_t)g_utf8_skip[(unsigned char)*position];
        }
        if (character < 0x110000 && is_harmless(character)) {
            (void)fwrite(position, 1, length, stdout);
        } else {
            for (size_t i = 0; i < length; i++) {
                (void)printf("\\x%02x", (unsigned char)position[i]);
            }
        }
        position += length;
    }
}

void command_duration(int64_t seconds, char text[COMMAND_DURATION_SIZE])
{
    static const struct unit {
        int64_t seconds;
        char name;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;

    while (units[i].seconds > 1 && seconds < units[i].seconds) {
        i++;
    }
    if (units[i].seconds == 1) {
        (void)snprintf(text, COMMAND_DURATION_SIZE, "%llds",
                       (long long)seconds);
        return;
    }
    (void)snprintf(
        text, COMMAND_DURATION_SIZE, "%lld%c %lld%c",
        (long long)(seconds / units[i].seconds), units[i].name,
        (long long)(seconds % units[i].seconds / units[i + 1].seconds),
        units[i + 1].name);
}

/* New, in *length bytes of UTF-8; *exact tells whether nothing changed. */
static char *make_valid(struct text text, size_t *length, bool *exact)
{
    GString *valid = g_string_sized_new(text.length);
    const char *position = text.bytes;
    const char *end = position + text.length;
    char *bytes;

    *exact = true;
    while (position < end) {
        const char *bad;

        (void)g_utf8_validate(position, end - position, &bad);
        g_string_append_len(valid, position, bad - position);
        position = bad;
        if (position < end) { /* NUL too, which not every reader takes */
            g_string_append(valid, "\xef\xbf\xbd");
            position++;
            *exact = false;
        }
    }
    *length = valid->len;
    bytes = g_string_free(valid, FALSE);
    return bytes;
}

json_t *command_json_text(struct text text)
{
    size_t length;
    bool exact;
    char *valid = make_valid(text, &length, &exact);
    json_t *value = json_stringn(valid, length);

    g_free(valid);
    return value;
}

void command_json_set(json_t *object, const char *name, struct text text)
{
    size_t length;
    bool exact;
    char *valid;

    if (text.bytes == NULL) {
        return;
    }
    valid = make_valid(text, &length, &exact);
    (void)json_object_set_new(object, name, json_stringn(valid, length));
    g_free(valid);
    if (!exact) {
        gchar *name_base64 = g_strconcat(name, "_base64", NULL);
        gchar *base64 =
            g_base64_encode((const guchar *)text.bytes, text.length);

        (void)json_object_set_new(object, name_base64, json_string(base64));
        g_free(base64);
        g_free(name_base64);
    }
}

void command_json_print(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)fputc('\n', stdout);
    json_decref(object);
}

bool command_output_flows(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* --- what many commands take ------------------------------------------- */

bool command_pattern(const struct command_call *call, const char *typed,
                     struct mailbox_pattern *pattern)
{
    char shown[SHOWN_MAX];

    if (command_store_pattern(call->settings, text_of(typed), pattern)) {
        return true;
    }
    command_complain(call,
                     "\"%s\" is no mailbox or pattern; write ann@example.org, "
                     "@example.org, @.example.org or ann@",
                     text_escape(text_of(typed), shown, sizeof shown));
    return false;
}

/* Unquoted these end or part a path: nobody has them in a mailbox by intent. */
static bool holds_stray(struct text typed,
                        const struct mailbox_pattern *pattern)
{
    const char *at = memrchr(pattern->text, '@', pattern->length);
    size_t local_length =
        at == NULL ? pattern->length : (size_t)(at - pattern->text);

    if (memchr(typed.bytes, '"', typed.length) != NULL ||
        memchr(typed.bytes, '\\', typed.length) != NULL) {
        return false;
    }
    for (size_t i = 0; i < local_length; i++) {
        if (memchr("@:;,<>()[]", pattern->text[i], 10) != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_bad_domain(struct text typed,
                           const struct mailbox_pattern *pattern)
{
    const char *at = memrchr(typed.bytes, '@', typed.length);
    size_t length = at == NULL ? 0 : typed.length - (size_t)(at - typed.bytes);

    return (length > 0 && memmem(at, length, "..", 2) != NULL) ||
           strstr(pattern->domain, "\xef\xbf\xbd") != NULL;
}

/* RFC 5321 4.1.3: mail to it has brackets, so the entry would never match. */
static bool has_bare_address(const struct mailbox_pattern *pattern)
{
    struct in_addr address;

    return inet_pton(AF_INET, pattern->domain, &address) == 1;
}

const char *command_pattern_fault(const struct settings *settings,
                                  struct text typed,
                                  const struct mailbox_pattern *pattern)
{
    struct command_store_key key;

    if (command_store_parse(settings, STORE_SUPPRESS, typed, &key) ||
        command_store_parse(settings, STORE_ALLOW, typed, &key)) {
        return "this is a key: write only the pattern in it, and its scope as "
               "--scope";
    }
    if (has_bad_domain(typed, pattern)) {
        return "this is no domain: write ann@example.org, @example.org or "
               "@.example.org";
    }
    if (has_bare_address(pattern)) {
        return "an address of the network stands in brackets, as in the mail: "
               "write ann@[192.0.2.1], or @[192.0.2.1]";
    }
    if (holds_stray(typed, pattern)) {
        return "one mailbox has one @, and other marks in quotes only: write "
               "ann@example.org";
    }
    return command_store_doubt((struct text){pattern->text, pattern->length});
}

bool command_new_pattern(const struct command_call *call, const char *typed,
                         struct mailbox_pattern *pattern)
{
    char shown[SHOWN_MAX];
    const char *fault;

    if (!command_pattern(call, typed, pattern)) {
        return false;
    }
    fault = command_pattern_fault(call->settings, text_of(typed), pattern);
    if (fault == NULL) {
        return true;
    }
    command_complain(call, "\"%s\": %s",
                     text_escape(text_of(typed), shown, sizeof shown), fault);
    return false;
}

bool command_scope(const struct command_call *call, const char **scope)
{
    return command_scope_of(call, "scope", scope);
}

bool command_scope_of(const struct command_call *call, const char *option,
                      const char **scope)
{
    const char *value = command_value(call, option);
    char shown[SHOWN_MAX];

    *scope = value;
    if (value == NULL) {
        return true;
    }
    if (store_scope_is_valid(text_of(value))) {
        if (scope_find(call->settings, text_of(value)) == NULL) {
            command_complain(call,
                             "warning: no section scope \"%s\" is configured, "
                             "so no mail goes by its lists",
                             value);
        }
        return true;
    }
    command_complain(call,
                     "\"%s\" is no scope; write at most %d letters, digits, "
                     "dots, hyphens or underscores",
                     text_escape(text_of(value), shown, sizeof shown),
                     STORE_SCOPE_MAX);
    return false;
}

/* Whether it stands for many mailboxes: "@example.org", "ann@". */
static bool is_broad(const struct command_call *call, const char *typed)
{
    struct mailbox_pattern pattern;

    switch (mailbox_parse_pattern(text_of(typed),
                                  &call->settings->mailbox_rules, &pattern)) {
    case MAILBOX_PATTERN_DOMAIN:
    case MAILBOX_PATTERN_SUBDOMAINS:
    case MAILBOX_PATTERN_LOCAL_PART:
        return true;
    case MAILBOX_PATTERN_INVALID:
    case MAILBOX_PATTERN_EXACT:
        break;
    }
    return false;
}

static bool is_unresolved(const struct mailbox *mailbox)
{
    return memchr(mailbox->address, '%', mailbox->local_length) != NULL ||
           memchr(mailbox->address, '!', mailbox->local_length) != NULL;
}

bool command_mailbox(const struct command_call *call, const char *typed,
                     struct mailbox *mailbox)
{
    char shown[SHOWN_MAX];
    enum mailbox_result result =
        mailbox_parse(text_of(typed), &call->settings->mailbox_rules, mailbox);

    (void)text_escape(text_of(typed), shown, sizeof shown);
    if (result == MAILBOX_INVALID) {
        command_complain(call, "\"%s\" is no mailbox; write ann@example.org",
                         shown);
        return false;
    }
    if (result == MAILBOX_LOCAL || is_broad(call, typed)) {
        command_complain(call,
                         "\"%s\" is a pattern or a part of an address; write "
                         "an address, such as ann@example.org",
                         shown);
        return false;
    }
    if (result == MAILBOX_OK && is_unresolved(mailbox)) {
        command_complain(call,
                         "note: paths with %% or ! are resolved only in the "
                         "MTA's own name and in local_domains, and its name "
                         "is not known here");
    }
    return true;
}

/* RFC 3339, or a date. */
bool command_time(const char *value, int64_t *us)
{
    char midnight[40];
    int length;

    if (clock_parse(value, strlen(value), us)) {
        return true;
    }
    length = snprintf(midnight, sizeof midnight, "%sT00:00:00Z", value);
    return length == 20 && clock_parse(midnight, 20, us);
}

bool command_when(const struct command_call *call, const char *name,
                  int64_t now_us, int64_t *us)
{
    const char *value = command_value(call, name);
    char shown[SHOWN_MAX];
    int64_t seconds;

    if (value == NULL) {
        return true;
    }
    if (clock_parse_duration(value, &seconds)) {
        *us = now_us - seconds * 1000000;
        return true;
    }
    if (command_time(value, us)) {
        return true;
    }
    command_complain(call,
                     "--%s \"%s\": write 2h (so long ago), 2026-12-24 or "
                     "2026-12-24T18:00:00Z",
                     name, text_escape(text_of(value), shown, sizeof shown));
    return false;
}

bool command_expiry(const char *value, int64_t now_us, int64_t *us)
{
    int64_t seconds;

    if (clock_parse_duration(value, &seconds)) {
        *us = now_us + seconds * 1000000;
        return true;
    }
    return command_time(value, us);
}

void command_login(char *name, size_t size)
{
    const char *sudo_user = getenv("SUDO_USER");
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];

    if (sudo_user != NULL && sudo_user[0] != '\0' &&
        g_utf8_validate(sudo_user, -1, NULL)) {
        (void)text_copy(text_of(sudo_user), name, size);
    } else if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) ==
                   0 &&
               found != NULL) {
        (void)text_copy(text_of(entry.pw_name), name, size);
    } else {
        (void)snprintf(name, size, "uid %u", (unsigned)getuid());
    }
}
