/*
 * report_complaint.h - complaints and opt-outs that are in no standard's form
 *
 * A table: what tells them, what they mean, whom they are about.
 *
 * Threads  any.
 */
#ifndef NIXIE_REPORT_COMPLAINT_H
#define NIXIE_REPORT_COMPLAINT_H

#include "report_build.h"
#include "report_sign.h"
#include "report_words.h"

/* Whether the headers are such that the body is worth reading. */
bool report_complaint_may_be(const struct report_signs *signs);

/*
 * Adds the recipient and the type; returns the row's name, NULL: it is none.
 * `returned` begins with the headers of the message complained about.
 */
const char *report_complaint_read(const struct report_signs *signs,
                                  const struct report_words *words,
                                  struct text returned,
                                  struct report_build *build);

#endif
