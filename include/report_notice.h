/*
 * report_notice.h - bounces and complaints as JSON in a mail
 *
 * Amazon SES tells of them through SNS, which can be subscribed by mail: an
 * object, or an object with that as a string. SNS folds long lines within
 * strings, and writes below it how to unsubscribe.
 *
 * Bounds   nesting as jansson bounds it (2048).
 * Threads  any.
 */
#ifndef NIXIE_REPORT_NOTICE_H
#define NIXIE_REPORT_NOTICE_H

#include "report_build.h"
#include "report_sign.h"

bool report_notice_may_be(const struct report_signs *signs);

/* False: it is none, or tells of no failure. */
bool report_notice_read(struct report_build *build, struct text text);

#endif
