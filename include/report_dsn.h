/*
 * report_dsn.h - the fields of a delivery status notification
 *
 * Leniently: a blank line too many or too few, fields in any order and case, a
 * group that begins where a field comes again, types left out, words for an
 * action that no standard has.
 *
 * Source   RFC 3464 2, RFC 6533 4; X-Actual-Recipient is Sendmail's, X-Postfix-
 *          fields are Postfix's.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_DSN_H
#define NIXIE_REPORT_DSN_H

#include "report_build.h"

/*
 * Reads fields of the message and of each recipient. Recipients that no
 * address is told of are added too, without one.
 */
void report_dsn_read(struct report_build *build, struct text fields);

/*
 * Where such fields begin in a text that is no part of its own, or
 * REPORT_TEXT_NOWHERE.
 */
size_t report_dsn_find(struct text text);

/* "smtp; 550 no": what stands behind the type. */
struct text report_dsn_without_type(struct text value);

enum report_action report_dsn_action(struct text value);

#endif
