#include "config.h"

#include "bounce_rules.h"
#include "command_option.h"
#include "daemon.h"
#include "delay_notice_template.h"
#include "descriptors.h"
#include "log.h"
#include "settings.h"
#include "settings_host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const struct command_option options[] = {
    {"config", 'c', "FILE", "the configuration (" SETTINGS_FILE ")"},
    {"check", 'n', NULL,
     "check the configuration and whether nixied would start with it here, and "
     "exit: 0 good, 1 not"},
    {"debug", 'd', NULL, "write debug lines too"},
    {"syslog", 's', NULL, "write to syslog (facility mail) too"},
    {"version", 'V', NULL, "print the version and exit"},
    {"help", 'h', NULL, "print this and exit"},
    {NULL, 0, NULL, NULL},
};

static void print_help(void)
{
    (void)puts("usage: nixied [-c FILE] [-n] [-d] [-s]\n\n"
               "The nixie milter: refuses mail to suppressed recipients and "
               "records\n"
               "delivery outcomes. It stays in the foreground.\n\n"
               "Options:");
    command_option_print(options);
    (void)puts("\nSIGUSR1 begins a new event log file, SIGUSR2 reads the "
               "configuration\n"
               "again, SIGTERM and SIGHUP stop.\n"
               "Exit status: 0 (stopped by a signal; good), 1 (cannot start or "
               "go on), 2 (wrong\nusage). See nixied(8).");
}

/* On standard error getopt_long(3) has said what is wrong. */
static int complain(void)
{
    (void)fputs("nixied: usage: nixied [-c FILE] [-n] [-d] [-s]; "
                "\"nixied --help\" tells more\n",
                stderr);
    return EXIT_USAGE;
}

struct arguments {
    const char *config;
    bool check_only;
    bool debug;
    bool to_syslog;
};

/* What to do about a configuration that may not be read. */
static const char *remedy_of(const char *path)
{
    return path != NULL && access(path, R_OK) != 0 && errno == EACCES
               ? "; the user of nixied must be able to read it: chgrp nixie "
                 "and chmod 0640"
               : "";
}

/* -1: go on; else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    struct command_option_table table;
    int option;

    command_option_make("", options, NULL, &table);
    while ((option = getopt_long(argc, argv, table.letters, table.options,
                                 NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config = optarg;
            break;
        case 'n':
            arguments->check_only = true;
            break;
        case 'd':
            arguments->debug = true;
            break;
        case 's':
            arguments->to_syslog = true;
            break;
        case 'V':
            (void)printf("nixied %s\n", PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        default:
            return complain();
        }
    }
    if (optind < argc) {
        return complain();
    }
    return -1;
}

static const char *name_of(const struct arguments *arguments)
{
    return arguments->config == NULL ? "the defaults" : arguments->config;
}

/* A daemon goes on without notices, but whoever checks wants to know. */
static bool notices_load(const struct settings *settings, struct error *error)
{
    struct delay_notice_template *template;

    if (settings->delay_notice_after == 0) {
        return true;
    }
    template = delay_notice_template_load(settings, error);
    delay_notice_template_free(template);
    return template != NULL;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {NULL, false, false, false};
    struct error error = {""};
    struct settings *settings;
    int status = parse_arguments(argc, argv, &arguments);

    if (status >= 0) {
        return status;
    }
    daemon_block_signals();
    /* so that no file of ours becomes standard error */
    if (!descriptors_fill()) {
        return EXIT_FAILURE;
    }
    /* before anything writes to a socket */
    (void)signal(SIGPIPE, SIG_IGN);
    /* a file over RLIMIT_FSIZE is a full disk, not a reason to die */
    (void)signal(SIGXFSZ, SIG_IGN);
    log_open("nixied", arguments.to_syslog,
             arguments.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (arguments.config == NULL && access(SETTINGS_FILE, F_OK) == 0) {
        arguments.config = SETTINGS_FILE;
    }
    settings = settings_load(arguments.config, &error);
    if (settings == NULL || !settings_load_rules(settings, &error) ||
        (arguments.check_only && !notices_load(settings, &error))) {
        log_error("%s%s", error.text, remedy_of(arguments.config));
        settings_free(settings);
        return EXIT_FAILURE;
    }
    if (bounce_rules_count(settings->rules) == 0) {
        log_warning("there are no bounce rules, so status and code decide "
                    "alone: install bounce-rules.conf, or set bounce_rules");
    }
    if (!settings_host_check(settings, &error)) {
        if (arguments.check_only) {
            log_error("%s: the file is good, but nixied would not start here: "
                      "%s",
                      name_of(&arguments), error.text);
        } else {
            log_error("%s", error.text);
        }
        settings_free(settings);
        return EXIT_FAILURE;
    }
    if (arguments.check_only) {
        (void)printf("%s: good\n", name_of(&arguments));
        settings_free(settings);
        return EXIT_SUCCESS;
    }
    return daemon_run(arguments.config, settings);
}
