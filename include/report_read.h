/*
 * report_read.h - a whole body becomes a report
 *
 * Standard fields first, then words, then HTML.
 *
 * Threads  as the reader's.
 */
#ifndef NIXIE_REPORT_READ_H
#define NIXIE_REPORT_READ_H

#include "report.h"
#include "report_memory.h"
#include "report_sign.h"

/* The body has LF line ends. As report_end(). */
bool report_read(const struct report_signs *signs, struct text body,
                 struct report_memory *work, size_t recipients_max,
                 struct report *report);

#endif
