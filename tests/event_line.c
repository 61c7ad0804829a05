#include "event_line.h"

#include "event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

json_t *event_line_load(const char *line, size_t length)
{
    json_t *root;

    assert_in_range(length, 1, EVENT_LINE_MAX);
    assert_int_equal(line[length - 1], '\n');
    for (size_t i = 0; i + 1 < length; i++) {
        assert_in_range(line[i], 0x20, 0x7e);
    }
    root = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}
