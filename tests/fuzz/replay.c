/*
 * Runs a fuzz target over its corpus: replay_<name> FILE|FOLDER…
 * What a fuzzer once found, make check finds again.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *data = NULL;
    int result = -1;

    if (file == NULL || stat(path, &status) != 0) {
        perror(path);
        goto out;
    }
    /* exactly as large as the input, so that a sanitizer sees its end */
    data = malloc(status.st_size > 0 ? (size_t)status.st_size : 1);
    if (data == NULL || fread(data, 1, (size_t)status.st_size, file) !=
                            (size_t)status.st_size) {
        perror(path);
        goto out;
    }
    (void)LLVMFuzzerTestOneInput(data, (size_t)status.st_size);
    result = 1;
out:
    free(data);
    if (file != NULL) {
        (void)fclose(file);
    }
    return result;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int count = 0;

    if (folder == NULL) {
        perror(path);
        return -1;
    }
    while ((entry = readdir(folder)) != NULL) {
        char name[4096];

        if (entry->d_name[0] == '.' ||
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >=
                (int)sizeof name) {
            continue;
        }
        if (replay_file(name) < 0) {
            count = -1;
            break;
        }
        count++;
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat status;
        int count = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)
                        ? replay_folder(argv[i])
                        : replay_file(argv[i]);

        if (count < 0) {
            return EXIT_FAILURE;
        }
        total += count;
    }
    (void)printf("%s: %d inputs\n", argv[0], total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
