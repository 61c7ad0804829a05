/*
 * report_build.h - a report while it is read
 *
 * Threads  as the reader's.
 */
#ifndef NIXIE_REPORT_BUILD_H
#define NIXIE_REPORT_BUILD_H

#include "report.h"
#include "report_memory.h"
#include "text.h"

/* Recipients are raw here: their texts are borrowed from body or work. */
struct report_build {
    struct report *report;
    struct report_memory *work; /* until the report is made */
    struct report_recipient *recipients;
    size_t count, capacity, most;
    bool cut, failed; /* too many; out of memory */
};

/* Zeroed, at the end of the list; NULL when there is no room for more. */
struct report_recipient *report_build_add(struct report_build *build);

#endif
