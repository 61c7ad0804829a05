#include "report_memory.h"
#include "report_mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "text;status;returned" */
static void list_kinds(const char *type, const char *body, char *list,
                       size_t size)
{
    static const char *const names[] = {
        [REPORT_PART_TEXT] = "text",
        [REPORT_PART_HTML] = "html",
        [REPORT_PART_STATUS] = "status",
        [REPORT_PART_FEEDBACK] = "feedback",
        [REPORT_PART_DISPOSITION] = "disposition",
        [REPORT_PART_RETURNED] = "returned",
        [REPORT_PART_MULTIPART] = "multipart",
        [REPORT_PART_OTHER] = "other",
    };
    static struct report_structure structure;
    struct report_entity entity;

    report_mime_entity(text_of(type), text_of(NULL), &entity);
    report_mime_scan(&entity, text_of(body), &structure);
    list[0] = '\0';
    for (size_t i = 0; i < structure.count; i++) {
        size_t used = strlen(list);

        (void)snprintf(list + used, size - used, "%s%s", i > 0 ? ";" : "",
                       names[structure.parts[i].kind]);
    }
}

static void report_mime_finds_parts(void **state)
{
    static const struct {
        const char *type, *body, *kinds;
    } rows[] = {
        {NULL, "hello\n", "text"},
        {"text/html; charset=x", "hello\n", "html"},
        {"image/png", "x", "other"},
        {"multipart/mixed; boundary=b",
         "pre\n--b\n\na\n--b\nContent-Type: message/delivery-status\n\nx\n"
         "--b\nContent-Type: message/rfc822\n\n--c\n--b--\nafter\n--b\n\n",
         "text;status;returned"},
        {"MULTIPART/Report; report-type=x;\n BOUNDARY=\"b c\"",
         "--b c  \nCONTENT-TYPE: Message/Feedback-Report\n\nx\n--b c--",
         "feedback"},
        {"multipart/mixed; boundary=a",
         "--a\nContent-Type: multipart/alternative; boundary=ab\n\n"
         "--ab\n\nx\n--ab\nContent-Type: text/html\n\ny\n--ab--\n"
         "--a\nContent-Type: text/rfc822-headers\n\nz\n--a--\n",
         "text;html;returned"},
        /* the inner one never ends */
        {"multipart/mixed; boundary=a",
         "--a\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n"
         "--a\nContent-Type: message/global-headers\n\ny\n--a--\n",
         "text;returned"},
        {"multipart/mixed; boundary=a",
         "--a\nContent-Type: message/disposition-notification\n--a\n--a--\n",
         "disposition;text"},
        {"multipart/mixed", "no boundary at all\n", "text"},
        {"text", "x", "text"},
        {"multipart/mixed; boundary=\"\"", "--\n\nx\n", "text"},
        {NULL, "--x\nContent-Type: text/plain\n\nx\n--x--\n", "text"},
        {NULL, "", "text"},
    };
    char list[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        list_kinds(rows[i].type, rows[i].body, list, sizeof list);
        assert_string_equal(list, rows[i].kinds);
    }
}

static void report_mime_is_bounded_in_depth_and_number(void **state)
{
    static char body[1 << 20];
    static struct report_structure structure;
    struct report_entity entity;
    char *end = body;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        end += snprintf(end, (size_t)(body + sizeof body - end),
                        "--b%d\nContent-Type: multipart/mixed; "
                        "boundary=b%d\n\n",
                        i, i + 1);
    }
    report_mime_entity(text_of("multipart/mixed; boundary=b0"), text_of(NULL),
                       &entity);
    report_mime_scan(&entity, text_of(body), &structure);
    assert_true(structure.count <= REPORT_PARTS_MAX);
    end = body;
    for (int i = 0; i < 10000; i++) {
        end = stpcpy(end, "--b0\n\nx\n");
    }
    report_mime_scan(&entity, text_of(body), &structure);
    assert_int_equal(structure.count, REPORT_PARTS_MAX);
}

static void report_mime_decodes_texts(void **state)
{
    static const struct {
        enum report_part_kind kind;
        enum report_encoding encoding;
        const char *charset, *content, *text;
    } rows[] = {
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "", "plain", "plain"},
        {REPORT_PART_TEXT, REPORT_ENCODING_BASE64, "", "YQ0KYg0K", "a\nb\n"},
        {REPORT_PART_TEXT, REPORT_ENCODING_BASE64, "", "!!", ""},
        {REPORT_PART_TEXT, REPORT_ENCODING_QUOTED, "", "a=3Db=\nc=", "a=bc"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "iso-8859-1", "\344",
         "\303\244"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "", "\344", "\303\244"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "us-ascii", "\303\244",
         "\303\244"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "koi8-r", "\316\305\324",
         "\320\275\320\265\321\202"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "shift_jis", "\202\240",
         "\343\201\202"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "gb2312", "\316\336",
         "\346\227\240"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "big5", "\265L",
         "\347\204\241"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "iso-2022-jp",
         "a\033$B$\"\033(Bb", "a\343\201\202b"},
        /* labelled badly */
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "us-ascii",
         "a\033$B$\"\033(Bb", "a\343\201\202b"},
        {REPORT_PART_TEXT, REPORT_ENCODING_NONE, "no-such-charset", "a\377b",
         "a\377b"},
        {REPORT_PART_HTML, REPORT_ENCODING_NONE, "",
         "<p>a <b>b</b>\n<br/>&lt;c&#64;d.example&gt;&x<script>no</script>",
         "a b\n<c@d.example>&x"},
        {REPORT_PART_HTML, REPORT_ENCODING_NONE, "", "1 < 2 <style>x",
         "1 < 2 "},
    };
    struct report_memory *memory = report_memory_new(1 << 20);

    (void)state;
    assert_non_null(memory);
    report_mime_init();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report_part part = {.kind = rows[i].kind,
                                   .encoding = rows[i].encoding,
                                   .content = text_of(rows[i].content)};
        char got[256];

        (void)text_copy(text_of(rows[i].charset), part.charset,
                        sizeof part.charset);
        (void)text_copy(report_mime_text(memory, &part, 1000), got, sizeof got);
        assert_string_equal(got, rows[i].text);
    }
    report_memory_free(memory);
}

static void report_mime_knows_utf_16_by_its_zeros(void **state)
{
    static const char content[] = "a\0b\0c\0\n\0d\0e\0f\0g\0";
    struct report_memory *memory = report_memory_new(1 << 20);
    struct report_part part = {.kind = REPORT_PART_TEXT,
                               .charset = "us-ascii",
                               .content = {content, sizeof content - 1}};

    (void)state;
    assert_non_null(memory);
    report_mime_init();
    assert_true(text_is(report_mime_text(memory, &part, 1000), "abc\ndefg"));
    report_memory_free(memory);
}

static void report_mime_decodes_words_of_headers(void **state)
{
    struct report_memory *memory = report_memory_new(1 << 20);

    (void)state;
    assert_non_null(memory);
    report_mime_init();
    assert_true(text_is(
        report_mime_words(memory, text_of("=?iso-8859-1?Q?=E4?= =?x?y")),
        "\303\244 =?x?y"));
    assert_true(text_is(report_mime_words(memory, text_of("plain")), "plain"));
    report_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_mime_finds_parts),
        cmocka_unit_test(report_mime_is_bounded_in_depth_and_number),
        cmocka_unit_test(report_mime_decodes_texts),
        cmocka_unit_test(report_mime_knows_utf_16_by_its_zeros),
        cmocka_unit_test(report_mime_decodes_words_of_headers),
    };

    return cmocka_run_group_tests_name("report_mime", tests, NULL, NULL);
}
