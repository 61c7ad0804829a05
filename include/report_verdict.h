/*
 * report_verdict.h - why a report says that a recipient failed
 *
 * The rules see the diagnostic first; if none knows it, what the report's text
 * says near the address, then all of its text. A status that says nothing
 * (x.0.0) gives way to one in the diagnostic. A delay is ignored, whatever its
 * reason is.
 *
 * Source   RFC 3464 2.3.4 and 2.3.6.
 * Threads  as verdict.h.
 */
#ifndef NIXIE_REPORT_VERDICT_H
#define NIXIE_REPORT_VERDICT_H

#include "report.h"
#include "verdict.h"

/* *said is the text that decided, borrowed from report. */
void report_verdict(const struct bounce_rules *rules,
                    struct bounce_scratch *scratch, const struct report *report,
                    const struct report_recipient *recipient,
                    struct verdict *verdict, struct text *said);

#endif
