#include "check_shown.h"

#include "shown.h"

bool check_shown(const struct check_part *part, struct settings *settings,
                 char output[CHECK_SHOWN_SIZE])
{
    static const struct command command = {.name = "check"};
    const struct command_call call = {.command = &command};
    struct check check = {.call = &call, .settings = settings};
    struct shown shown;

    shown_begin(&shown);
    part->run(&check, settings, part->path);
    shown_end(&shown, output, CHECK_SHOWN_SIZE);
    return !check.failed;
}
