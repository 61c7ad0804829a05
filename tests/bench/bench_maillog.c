/*
 * How fast lines of a delivery log are taken apart: bench_maillog FILE [MIB]
 *
 * Writes a log of MIB MiB (64) to FILE, half of whose lines are about
 * recipients, and runs the parser and `grep -c status=` over it in turns; the
 * best of each counts. All in memory: the file is read before.
 */
#include "maillog_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB_DEFAULT 64
#define ROUNDS      5
#define MIB         (1024.0 * 1024.0)

/* %a address, %h host, %i IP, %q queue id, %n number */
static const char *const about_recipients[] = {
    "postfix/smtp[%n]: %q: to=<%a>, relay=%h[%i]:25, delay=1.2, delays=0.03/"
    "0.01/0.44/0.72, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %q)",
    "postfix/smtp[%n]: %q: to=<%a>, relay=%h[%i]:25, conn_use=3, delay=0.31, "
    "delays=0.02/0/0.1/0.19, dsn=2.1.5, status=sent (250 2.1.5 Ok)",
    "postfix/smtp[%n]: %q: to=<%a>, relay=%h[%i]:25, delay=301, delays=300/"
    "0.02/0.41/0.6, dsn=4.2.1, status=deferred (host %h[%i] said: 450 4.2.1 "
    "<%a>: Recipient address rejected: Greylisted (in reply to RCPT TO "
    "command))",
    "postfix/smtp[%n]: %q: to=<%a>, relay=%h[%i]:25, delay=0.9, delays=0.05/"
    "0.01/0.4/0.44, dsn=5.1.1, status=bounced (host %h[%i] said: 550-5.1.1 The "
    "email account that you tried to reach does not exist. Please try 550-5.1.1"
    " double-checking the address (in reply to RCPT TO command))",
    "postfix/error[%n]: %q: to=<%a>, relay=none, delay=400, delays=399/0.9/0/"
    "0.1, dsn=4.4.1, status=deferred (delivery temporarily suspended: connect "
    "to %h[%i]:25: Connection refused)",
    "postfix/local[%n]: %q: to=<%a>, orig_to=<root>, relay=local, delay=0.05, "
    "delays=0.03/0/0/0.02, dsn=2.0.0, status=sent (delivered to mailbox)",
    "sm-mta[%n]: 60215wXk0%n: to=<%a>, delay=00:00:02, xdelay=00:00:01, "
    "mailer=esmtp, pri=120812, relay=%h. [%i], dsn=2.0.0, stat=Sent (2.0.0 Ok: "
    "queued as %q)",
};

static const char *const others[] = {
    "postfix/smtpd[%n]: connect from %h[%i]",
    "postfix/smtpd[%n]: disconnect from %h[%i] ehlo=1 mail=1 rcpt=1 data=1 "
    "quit=1 commands=5",
    "postfix/smtpd[%n]: %q: client=%h[%i], sasl_method=PLAIN, "
    "sasl_username=app",
    "postfix/cleanup[%n]: %q: message-id=<%n.%n@%h>",
    "postfix/qmgr[%n]: %q: from=<%a>, size=3402, nrcpt=1 (queue active)",
    "postfix/qmgr[%n]: %q: removed",
    "postfix/smtp[%n]: Untrusted TLS connection established to %h[%i]:25: "
    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
    "dovecot: imap(%a)<%n><%q>: Disconnected: Logged out in=11 out=512",
    "opendkim[%n]: %q: DKIM-Signature field added (s=mail, d=%h)",
    "systemd[1]: Started session-%n.scope - Session %n of User root.",
};

struct log {
    char *bytes;
    size_t length, lines;
};

static uint64_t next(uint64_t *state) /* xorshift64 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int put_part(char kind, char *out, size_t size, uint64_t *state)
{
    unsigned draw = (unsigned)(next(state) % 90000) + 10000;

    switch (kind) {
    case 'a':
        return snprintf(out, size, "user.%u@mail%u.example.net", draw,
                        draw % 97);
    case 'h':
        return snprintf(out, size, "mx%u.host%u.example.org", draw % 5,
                        draw % 997);
    case 'i':
        return snprintf(out, size, "192.0.%u.%u", draw % 3, draw % 256);
    case 'q':
        return snprintf(out, size, "4c8KRw3p%05uBqk", draw);
    default:
        return snprintf(out, size, "%u", draw);
    }
}

/* Returns how long the line is, with its end. */
static size_t put_line(const char *form, char *out, size_t size,
                       uint64_t *state)
{
    size_t used = 0;

    for (; *form != '\0' && used + 64 < size; form++) {
        if (*form == '%') {
            used += (size_t)put_part(*++form, out + used, size - used, state);
        } else {
            out[used++] = *form;
        }
    }
    out[used++] = '\n';
    return used;
}

static bool make_log(struct log *log, size_t size)
{
    uint64_t state = UINT64_C(88172645463325252);

    log->bytes = malloc(size + 4096);
    log->length = 0;
    log->lines = 0;
    while (log->bytes != NULL && log->length < size) {
        uint64_t draw = next(&state);
        unsigned second = (unsigned)(log->lines / 500);
        size_t recipients = sizeof about_recipients / sizeof *about_recipients;
        const char *form =
            draw % 2 == 0 ? about_recipients[draw / 2 % recipients]
                          : others[draw / 2 % (sizeof others / sizeof *others)];

        log->length += (size_t)snprintf(
            log->bytes + log->length, 64, "Jan %2u %02u:%02u:%02u mail ",
            1 + second / 86400 % 28, second / 3600 % 24, second / 60 % 60,
            second % 60);
        log->length +=
            put_line(form, log->bytes + log->length, 4096 - 64, &state);
        log->lines++;
    }
    return log->bytes != NULL;
}

static bool write_log(const struct log *log, const char *path)
{
    FILE *file = fopen(path, "we");
    bool written =
        file != NULL && fwrite(log->bytes, 1, log->length, file) == log->length;

    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    return written;
}

static double seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double run_parser(const struct log *log, size_t *outcomes)
{
    struct maillog_parser *parser = maillog_parser_new(0);
    const char *at = log->bytes;
    const char *end = log->bytes + log->length;
    double begin = seconds_now();
    struct maillog_record record;

    *outcomes = 0;
    while (parser != NULL && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)(stop - at)};

        *outcomes += maillog_parse(parser, line, &record) == MAILLOG_OUTCOME;
        at = stop + 1;
    }
    maillog_parser_free(parser);
    return seconds_now() - begin;
}

/* To a pipe: with /dev/null grep stops at the first line that it finds. */
static double run_grep(const char *path)
{
    double begin = seconds_now();
    int ends[2] = {-1, -1};
    int status = 0;
    char count[32];
    pid_t child;

    if (fflush(stdout) != 0 || pipe(ends) != 0) {
        return -1;
    }
    child = fork();
    if (child == 0) {
        if (dup2(ends[1], STDOUT_FILENO) < 0) {
            _exit(2);
        }
        (void)execlp("grep", "grep", "-c", "status=", path, (char *)NULL);
        _exit(2);
    }
    (void)close(ends[1]);
    while (read(ends[0], count, sizeof count) > 0) {
    }
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ||
        WEXITSTATUS(status) > 1) {
        return -1;
    }
    return seconds_now() - begin;
}

static double best(double before, double now)
{
    return before <= 0 || now < before ? now : before;
}

/* The lines that are about recipients, or those that are not. */
static bool make_part(const struct log *log, bool recipients, struct log *part)
{
    struct maillog_parser *parser = maillog_parser_new(0);
    const char *at = log->bytes;
    const char *end = log->bytes + log->length;
    struct maillog_record record;

    part->bytes = malloc(log->length);
    part->length = 0;
    part->lines = 0;
    while (parser != NULL && part->bytes != NULL && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)(stop - at);

        if ((maillog_parse(parser, (struct text){at, length}, &record) ==
             MAILLOG_OUTCOME) == recipients) {
            memcpy(part->bytes + part->length, at, length + 1);
            part->length += length + 1;
            part->lines++;
        }
        at = stop + 1;
    }
    maillog_parser_free(parser);
    return part->bytes != NULL;
}

static double report(const char *name, const struct log *log)
{
    double seconds = 0;
    size_t outcomes = 0;

    for (int round = 0; round < ROUNDS; round++) {
        seconds = best(seconds, run_parser(log, &outcomes));
    }
    (void)printf("%-16s %8zu lines %6.1f MiB %8zu outcomes %10.0f lines/s "
                 "%7.0f MiB/s\n",
                 name, log->lines, (double)log->length / MIB, outcomes,
                 (double)log->lines / seconds,
                 (double)log->length / MIB / seconds);
    return seconds;
}

static int run(const struct log *log, const char *path)
{
    struct log parts[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    double grep = 0;
    double parser;
    int result = EXIT_FAILURE;

    if (!make_part(log, false, &parts[0]) || !make_part(log, true, &parts[1])) {
        goto out;
    }
    parser = report("all lines", log);
    (void)report("of no recipient", &parts[0]);
    (void)report("of recipients", &parts[1]);
    for (int round = 0; round < ROUNDS; round++) {
        double seconds = run_grep(path);

        if (seconds < 0) {
            goto out;
        }
        grep = best(grep, seconds);
    }
    (void)printf("grep -c status=  %.0f MiB/s; the parser is %.2f times as "
                 "fast\n",
                 (double)log->length / MIB / grep, grep / parser);
    result = EXIT_SUCCESS;
out:
    free(parts[0].bytes);
    free(parts[1].bytes);
    return result;
}

int main(int argc, char **argv)
{
    long mib = argc > 2 ? strtol(argv[2], NULL, 10) : MIB_DEFAULT;
    struct log log = {NULL, 0, 0};
    int result = EXIT_FAILURE;

    if (argc < 2 || argc > 3 || mib < 1 || mib > 16384) {
        (void)fputs("usage: bench_maillog FILE [MIB]\n", stderr);
        return 2;
    }
    if (!make_log(&log, (size_t)mib * 1024 * 1024) ||
        !write_log(&log, argv[1])) {
        perror(argv[1]);
    } else {
        result = run(&log, argv[1]);
    }
    free(log.bytes);
    return result;
}
