/*
 * How fast bounces are read: bench_report RULES [FILE|FOLDER...]
 *
 * First the messages of the files, each read and judged again and again; then
 * messages made here that are as bad as they can be, one at a time: the
 * slowest of ten readings counts.
 */
#include "report_file.h"
#include "report_verdict.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MESSAGES_MAX 20000
#define SECONDS      2.0
#define TRIES        10

struct corpus {
    char *bytes[MESSAGES_MAX];
    struct text messages[MESSAGES_MAX];
    size_t files, count, size;
};

struct judge {
    struct bounce_rules *rules;
    struct bounce_scratch *scratch;
    struct report_reader *reader;
};

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- the corpus -------------------------------------------------------- */

static void add_file(struct corpus *corpus, const char *path)
{
    FILE *file = fopen(path, "rbe");
    struct text rest, message;
    struct stat status;
    char *bytes;

    if (file == NULL || fstat(fileno(file), &status) != 0 ||
        corpus->files == MESSAGES_MAX) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL) {
        exit(EXIT_FAILURE);
    }
    rest = (struct text){bytes, fread(bytes, 1, (size_t)status.st_size, file)};
    (void)fclose(file);
    corpus->bytes[corpus->files++] = bytes;
    corpus->size += rest.length;
    while (corpus->count < MESSAGES_MAX && report_file_next(&rest, &message)) {
        corpus->messages[corpus->count++] = message;
    }
}

static void add_path(struct corpus *corpus, const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    char name[4096];

    if (folder == NULL) {
        add_file(corpus, path);
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name) <
                (int)sizeof name) {
            add_path(corpus, name);
        }
    }
    (void)closedir(folder);
}

/* --- reading ----------------------------------------------------------- */

static size_t read_one(const struct judge *judge, struct text message)
{
    struct report report;
    size_t count;

    if (!report_file_read(judge->reader, message, &report)) {
        (void)fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < report.recipient_count; i++) {
        struct verdict verdict;
        struct text said;

        report_verdict(judge->rules, judge->scratch, &report,
                       &report.recipients[i], &verdict, &said);
    }
    count = report.recipient_count;
    report_clear(&report);
    return count;
}

static void run_corpus(const struct judge *judge, const struct corpus *corpus)
{
    size_t read = 0;
    size_t recipients = 0;
    double start = now();
    double took;

    do {
        for (size_t i = 0; i < corpus->count; i++) {
            recipients += read_one(judge, corpus->messages[i]);
        }
        read += corpus->count;
        took = now() - start;
    } while (took < SECONDS);
    (void)printf("%zu messages of %zu bytes: %.0f messages/s, %.1f MB/s, "
                 "%.2f recipients each\n",
                 corpus->count, corpus->size / corpus->count,
                 (double)read / took,
                 (double)read / (double)corpus->count * (double)corpus->size /
                     took / 1e6,
                 (double)recipients / (double)read);
}

/* --- as bad as can be -------------------------------------------------- */

#define HEAD                                                                   \
    "From: MAILER-DAEMON@example.org\nSubject: Undelivered mail\n"             \
    "Return-Path: <>\n"
#define REPORT_HEAD                                                            \
    HEAD "Content-Type: multipart/report; report-type=delivery-status; "       \
         "boundary=\"b\"\n\n"

struct bad {
    const char *name, *head, *unit, *tail;
    size_t count; /* of units */
};

static const struct bad bads[] = {
    {"10000 recipients",
     REPORT_HEAD "--b\nContent-Type: message/delivery-status\n\n"
                 "Reporting-MTA: dns; mx.example.org\n\n",
     "Final-Recipient: rfc822; ann@example.org\nAction: failed\n"
     "Status: 5.1.1\nDiagnostic-Code: smtp; 550 no\n\n",
     "--b--\n", 10000},
    {"10000 addresses in the text", HEAD "\n",
     "<a@b.example>: host mx said: 550 5.1.1 no such user here\n", "", 10000},
    {"recipients in fields and text", HEAD "\nno:\n",
     "Dear user, look: ann@example.org was told of by bob@example.org\n"
     "<c@d.example>\n",
     "", 300},
    {"10000 parts", REPORT_HEAD, "--b\nContent-Type: text/plain\n\nx\n",
     "--b--\n", 10000},
    {"depth 10000", REPORT_HEAD,
     "--b\nContent-Type: multipart/mixed; boundary=\"b\"\n\n", "", 10000},
    {"rfc822 in rfc822, 10000", REPORT_HEAD,
     "--b\nContent-Type: message/rfc822\n\n", "", 10000},
    {"100 MiB of text", HEAD "\n", "550 5.1.1 <ann@example.org> unknown\n", "",
     100 * 1024 * 1024 / 36},
    {"100 MiB of one line", HEAD "\n", "a@b.c 550 ", "",
     100 * 1024 * 1024 / 10},
    {"100 MiB of CR", HEAD "\n", "\r", "", 100 * 1024 * 1024},
    {"1 MiB header line", "X-Long: ", "abcdefgh", "\n" HEAD "\n550 x@y.example",
     128 * 1024},
    {"1 MiB Subject", "Subject: ", "=?utf-8?B?4pi6?= ", "\n" HEAD "\nx",
     64 * 1024},
    {"1 MiB To", "To: ", "a@b.example,", "\n" HEAD "\n<c@d.example>: 550 no\n",
     87381},
    {"boundary prefixes", REPORT_HEAD, "--b-\n--bb\n--\n---b\n", "", 50000},
    {"base64", HEAD "Content-Transfer-Encoding: base64\n\n",
     "PGFubkBleGFtcGxlLm9yZz46IDU1MCBubwo=\n", "", 20000},
    {"quoted-printable", HEAD "Content-Transfer-Encoding: quoted-printable\n\n",
     "=3Cann=40example.org=\n=3E: 550 =zz\n", "", 20000},
    {"escapes of ISO-2022-JP",
     HEAD "Content-Type: text/plain; charset=iso-2022-jp\n\n",
     "\033$B$3\033(Ba@b.example \033$B\377", "", 20000},
    {"HTML", HEAD "Content-Type: text/html\n\n",
     "<style<b><a@b.example>&lt;<style>x</style><br>550", "", 10000},
    {"marks of addresses", HEAD "\n", "@", "", 300000},
    {"quotes of addresses", HEAD "\n", "\"a\"@", "", 60000},
    {"dots", HEAD "\n", "5.1.", "", 60000},
    {"headers in parts", REPORT_HEAD "--b\n", "A: b\n", "", 60000},
    {"folds", REPORT_HEAD "--b\nContent-Type: message/delivery-status\n\nA:",
     " b\n", "", 90000},
};

static char *make(const struct bad *bad, struct text *message)
{
    size_t head = strlen(bad->head);
    size_t unit = strlen(bad->unit);
    size_t tail = strlen(bad->tail);
    char *bytes = malloc(head + unit * bad->count + tail + 1);

    if (bytes == NULL) {
        exit(EXIT_FAILURE);
    }
    memcpy(bytes, bad->head, head);
    for (size_t i = 0; i < bad->count; i++) {
        memcpy(bytes + head + i * unit, bad->unit, unit);
    }
    memcpy(bytes + head + unit * bad->count, bad->tail, tail);
    *message = (struct text){bytes, head + unit * bad->count + tail};
    return bytes;
}

static void run_bad(const struct judge *judge, const struct bad *bad)
{
    struct text message;
    char *bytes = make(bad, &message);
    double slowest = 0;
    size_t recipients = 0;

    for (int i = 0; i < TRIES; i++) {
        double start = now();
        double took;

        recipients = read_one(judge, message);
        took = now() - start;
        slowest = took > slowest ? took : slowest;
    }
    (void)printf("%-28s %10zu bytes, %4zu recipients: %6.2f ms, %zu KiB held\n",
                 bad->name, message.length, recipients, slowest * 1e3,
                 report_size(judge->reader) / 1024);
    free(bytes);
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    struct bounce_rules_source source;
    struct judge judge;
    struct error error = {"out of memory"};

    if (argc < 2) {
        (void)fputs("usage: bench_report RULES [FILE|FOLDER...]\n", stderr);
        return EXIT_FAILURE;
    }
    source = (struct bounce_rules_source){argv[1], false};
    judge.rules = bounce_rules_load(&source, 1, &error);
    judge.scratch =
        judge.rules == NULL ? NULL : bounce_scratch_new(judge.rules);
    judge.reader = report_new(NULL);
    if (judge.scratch == NULL || judge.reader == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return EXIT_FAILURE;
    }
    for (int i = 2; i < argc; i++) {
        add_path(&corpus, argv[i]);
    }
    if (corpus.count > 0) {
        run_corpus(&judge, &corpus);
    }
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        run_bad(&judge, &bads[i]);
    }
    for (size_t i = 0; i < corpus.files; i++) {
        free(corpus.bytes[i]);
    }
    report_free(judge.reader);
    bounce_scratch_free(judge.scratch);
    bounce_rules_free(judge.rules);
    return EXIT_SUCCESS;
}
