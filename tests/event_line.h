/*
 * event_line.h - a line of the event log as JSON, for tests
 *
 * Errors   what is no line of printable ASCII, or no JSON, fails the test.
 */
#ifndef NIXIE_TESTS_EVENT_LINE_H
#define NIXIE_TESTS_EVENT_LINE_H

#include <stddef.h>

#include <jansson.h>

/* New. */
json_t *event_line_load(const char *line, size_t length);

#endif
