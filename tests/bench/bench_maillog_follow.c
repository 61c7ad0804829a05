/* Bytes a second through the follower: bench_maillog_follow [MEGABYTES] */
#include "clock.h"
#include "maillog_follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 170 /* of Postfix's lines about a delivery */

static void fill(int fd, long megabytes)
{
    static char chunk[LINE_BYTES * 6144]; /* about 1 MB */

    memset(chunk, 'x', sizeof chunk);
    for (size_t i = LINE_BYTES - 1; i < sizeof chunk; i += LINE_BYTES) {
        chunk[i] = '\n';
    }
    for (long i = 0; i < megabytes; i++) {
        if (write(fd, chunk, sizeof chunk) != (ssize_t)sizeof chunk) {
            perror("write");
            exit(EXIT_FAILURE);
        }
    }
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/bench-maillog-XXXXXX";
    const char *const sources[] = {path, NULL};
    const struct maillog_follow_options options = {
        .sources = sources, .follow = true, .from_start = true};
    struct maillog_follow *follow;
    struct maillog_line line;
    struct error error;
    long long bytes = 0, lines = 0;
    int64_t begin_us, spent_us;
    int fd = mkstemp(path);

    if (fd < 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    fill(fd, argc > 1 ? strtol(argv[1], NULL, 10) : 500);
    follow = maillog_follow_new(&options, &error);
    if (follow == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return EXIT_FAILURE;
    }
    begin_us = clock_monotonic_us();
    while (maillog_follow_next(follow, 0, &line) == MAILLOG_FOLLOW_LINE) {
        bytes += (long long)line.text.length + 1;
        lines++;
    }
    spent_us = clock_monotonic_us() - begin_us;
    (void)printf("maillog_follow: %.2f GB/s, %.1f million lines/s, "
                 "%lld lines of %d bytes\n",
                 (double)bytes / (double)spent_us / 1000,
                 (double)lines / (double)spent_us, lines, LINE_BYTES);
    maillog_follow_free(follow);
    (void)close(fd);
    (void)unlink(path);
    return EXIT_SUCCESS;
}
