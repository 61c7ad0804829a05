/*
 * report_arf.h - the fields of a complaint
 *
 * Source   RFC 5965 3, RFC 6591 for those of authentication failures.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_ARF_H
#define NIXIE_REPORT_ARF_H

#include "report_build.h"

/* Reads fields; each Original-Rcpt-To that can be read is a recipient. */
void report_arf_read(struct report_build *build, struct text fields);

#endif
