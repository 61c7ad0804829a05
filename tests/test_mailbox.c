#include "mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof(table)[0])
#define A_UMLAUT    "\xc3\xa4"
#define U_UMLAUT    "\xc3\xbc"
#define U_UPPER     "\xc3\x9c"
#define WIDE_DOT    "\xe3\x80\x82"
#define REPLACEMENT "\xef\xbf\xbd"
#define LABEL_63                                                               \
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define LABEL_64  "a" LABEL_63
#define HUGE_PATH ((size_t)1 << 20)

static const char *const ours[] = {"relay", "local", "bigger.example",
                                   "[192.0.2.9]", NULL};
static const char *const folding[] = {"fold.example", NULL};
static const struct mailbox_rules our_rules = {.local_domains = ours};

struct row {
    const char *name;
    const char *path;
    const char *normal;
};

static void assert_row(const struct row *row, const struct mailbox_rules *rules)
{
    struct mailbox mailbox;
    struct mailbox again;
    enum mailbox_result result;

    result = mailbox_parse(text_of(row->path), rules, &mailbox);
    if (strcmp(mailbox.address, row->normal) != 0) {
        fail_msg("%s: %s is \"%s\", not \"%s\"", row->name, row->path,
                 mailbox.address, row->normal);
    }
    assert_int_equal(mailbox.address_length, strlen(row->normal));
    assert_int_equal(mailbox_parse(text_of(row->normal), rules, &again),
                     result);
    assert_string_equal(again.address, row->normal);
    assert_string_equal(again.domain, mailbox.domain);
}

static void assert_rows(const struct row *rows, size_t count,
                        const struct mailbox_rules *rules)
{
    for (size_t i = 0; i < count; i++) {
        assert_row(&rows[i], rules);
    }
}

static void mailbox_parse_sees_through_every_spelling(void **state)
{
    static const char *const spellings[] = {
        "<victim@example.com>",
        "<VICTIM@EXAMPLE.COM>",
        "<\"victim\"@example.com>",
        "<\"vic\\tim\"@example.com>",
        "<vic\\tim@example.com>",
        "<victim@example.com.>",
        "<@a,@b:victim@example.com>",
        "<@a:@b:victim@example.com>",
        "<@[IPv6:2001:db8::1]:victim@example.com>",
        "<victim%example.com>",
        "<example.com!victim>",
        "<victim@example.com(comment)>",
        "<(c)victim@example.com>",
        "<victim(a(b\\)c)d)@(e)example.com>",
        "victim@example.com",
        "< victim@example.com >",
        " <victim@example.com>\t",
        "<victim @ example.com>",
        "<victim@example.com\t>",
        "<\"victim@example.com\">",
        "\"victim@example.com\"",
        "<\"victim%example.com\">",
        "<\"example.com!\\\"victim\\\"\">",
        "<Foo <victim@example.com>>",
        "Foo Bar <victim@example.com>",
        "\"Foo, Bar\" <victim@example.com>",
        "<<victim@example.com>>",
        "<<vic tim@example.com>>",
        "<<vic(x)tim@example.com>>",
        "<foo: victim@example.com;>",
        "<victim@example.com,>",
        "<,victim@example.com>",
        "<victim@example.com> NOTIFY=NEVER",
        "<victim@\"example.com\">",
        "<victim@exam\\ple.com>",
        "<victim@exam\\\\ple.com>",
        "<victim@example.com\\\\>",
        "<victim@example.com@>",
        "<victim@example.com@@>",
        "<victim@example.com@.>",
        "<victim@example..com..>",
        "<\"@a:victim@example.com\">",
        "<@a(:victim@example.com>",
        "<@a[:victim@example.com>",
        "<@a\":victim@example.com>",
        "<victim@example" WIDE_DOT "com>",
        "<victim@example.com" WIDE_DOT ">",
        "<victim@example\xe2\x80\xa4"
        "com>",                            /* U+2024, maps to "." */
        "<victim@exam\xc2\xadple.com>",    /* U+00AD, maps to nothing */
        "<victim@\xef\xbd\x85xample.com>", /* fullwidth e */
        "victim@\xf0\x9d\x90\x9e"
        "xample.com", /* mathematical bold e */
    };

    (void)state;
    for (size_t i = 0; i < ROWS(spellings); i++) {
        struct row row = {"spelling", spellings[i], "victim@example.com"};

        assert_row(&row, NULL);
        assert_row(&row, &our_rules);
    }
}

static void mailbox_parse_resolves_paths_through_our_domains(void **state)
{
    static const struct row rows[] = {
        {"percent", "<victim%example.com@relay>", "victim@example.com"},
        {"percent twice", "<victim%example.com%local@relay>",
         "victim@example.com"},
        {"percent quoted", "<\"victim%example.com\"@local>",
         "victim@example.com"},
        {"at", "<victim@example.com@relay>", "victim@example.com"},
        {"at quoted", "<\"victim@example.com\"@local>", "victim@example.com"},
        {"upper case", "<victim%EXAMPLE.com@RELAY.>", "victim@example.com"},
        {"literal", "<victim%example.com@[192.0.2.9]>", "victim@example.com"},
        {"bang", "<example.com!victim@relay>", "victim@example.com"},
        {"bang twice", "<relay!example.com!victim>", "victim@example.com"},
        {"bang before percent", "<b!c%d>", "c%d@b"},
        {"percent before bang when quoted", "<\"a b!c%d\">", "\"a b!c\"@d"},
        {"route in quotes", "<\"@a:b@example.com\"@local>", "b@example.com"},
        {"route with percent", "<%:victim@local>", "victim@local"},
        {"ours", "<ann@Relay>", "ann@relay"},
        {"innermost of ours", "<ann%local@relay>", "ann@local"},
        {"nothing left", "<\"\"@relay>", "\"\"@relay"},
    };

    (void)state;
    assert_rows(rows, ROWS(rows), &our_rules);
}

static void mailbox_parse_leaves_paths_through_other_domains(void **state)
{
    static const struct row rows[] = {
        {"percent", "<victim%example.com@relay>", "victim%example.com@relay"},
        {"bang", "<example.com!victim@relay>", "example.com!victim@relay"},
        {"at", "<victim@example.com@relay>", "\"victim@example.com\"@relay"},
        {"at quoted", "<\"victim@example.com\"@local>",
         "\"victim@example.com\"@local"},
        {"percent of ours", "<victim%relay@example.com>",
         "victim%relay@example.com"},
    };

    (void)state;
    assert_rows(rows, ROWS(rows), NULL);
}

static void mailbox_parse_keeps_other_mailboxes_apart(void **state)
{
    static const struct row rows[] = {
        {"tag", "victim+tag@example.com", "victim+tag@example.com"},
        {"Cyrillic a", "<vict\xd0\xb0m@example.com>",
         "vict\xd0\xb0m@example.com"},
        {"Cyrillic a in the domain", "<victim@ex\xd0\xb0mple.com>",
         "victim@xn--exmple-4nf.com"},
        {"dots", "<vic.tim@example.com>", "vic.tim@example.com"},
        {"blank", "<\"vic tim\"@example.com>", "\"vic tim\"@example.com"},
        {"outer blank", "<\" victim\"@example.com>", "\" victim\"@example.com"},
        {"subdomain", "<victim@a.example.com>", "victim@a.example.com"},
        {"another domain", "<victim@example.org>", "victim@example.org"},
        {"underscore", "<victim@exam_ple.com>", "victim@exam_ple.com"},
        {"accent", "<v\xc3\xadtim@example.com>", "v\xc3\xadtim@example.com"},
    };

    (void)state;
    assert_rows(rows, ROWS(rows), NULL);
}

static void mailbox_parse_quotes_only_what_needs_it(void **state)
{
    static const struct row rows[] = {
        {"atom", "\"a!#$%&'*+-/=?^_`{|}~\"@b", "a!#$%&'*+-/=?^_`{|}~@b"},
        {"dots inside", "\"a.b\"@b", "a.b@b"},
        {"dot first", "\".a\"@b", "\".a\"@b"},
        {"dot last", "<a.@b>", "\"a.\"@b"},
        {"two dots", "<a..a@b>", "\"a..a\"@b"},
        {"quote", "\"a\\\"b\"@b", "\"a\\\"b\"@b"},
        {"backslash", "\"a\\\\b\"@b", "\"a\\\\b\"@b"},
        {"needless backslashes", "\"\\a\\(\\ \\)\"@b", "\"a( )\"@b"},
        {"empty", "\"\"@b", "\"\"@b"},
        {"nothing before the at", "<@b>", "\"\"@b"},
        {"control character", "\"a\x01\x7f\"@b", "\"a\x01\x7f\"@b"},
        {"line end", "\"a\r\nb\"@b", "\"a  b\"@b"},
        {"Redis protocol", "\"*3\r\n$3\"@b", "\"*3  $3\"@b"},
        {"braces and colon", "\"{a}:b\"@b", "\"{a}:b\"@b"},
    };

    (void)state;
    assert_rows(rows, ROWS(rows), NULL);
}

static void mailbox_parse_normalises_domains(void **state)
{
    static const struct row rows[] = {
        {"U-label", "a@b" U_UMLAUT "cher.example", "a@xn--bcher-kva.example"},
        {"upper U-label", "a@B" U_UPPER "CHER.example",
         "a@xn--bcher-kva.example"},
        {"NFD U-label",
         "a@bu\xcc\x88"
         "cher.example",
         "a@xn--bcher-kva.example"},
        {"A-label", "a@XN--BCHER-KVA.Example", "a@xn--bcher-kva.example"},
        {"sharp s",
         "a@stra\xc3\x9f"
         "e.example",
         "a@xn--strae-oqa.example"},
        {"emoji", "a@i\xe2\x9d\xa4.ws", "a@xn--i-7iq.ws"},
        {"newer than IDNA2008's tables", "a@\xf0\xb0\x81\x90.example",
         "a@xn--9p4n.example"},
        {"underscores", "a@_dmarc.Example", "a@_dmarc.example"},
        {"hyphens in 3 and 4", "a@ab--cd.example", "a@ab--cd.example"},
        {"label of 64 bytes", "a@" LABEL_64 ".example",
         "a@" LABEL_64 ".example"},
        {"label of 64 and a U-label", "a@" LABEL_64 ".b" U_UMLAUT "cher",
         "a@" LABEL_64 ".xn--bcher-kva"},
        {"broken A-label", "a@xn--\x7f.x", "a@xn--" REPLACEMENT ".x"},
        {"not UTF-8", "a@\xff\xc3.X", "a@" REPLACEMENT REPLACEMENT ".x"},
        {"wide at sign",
         "a@b\xef\xbc\xa0"
         "c.x",
         "a@b\xef\xbc\xa0"
         "c.x"},
        {"syntax", "a@b<c.x", "a@b" REPLACEMENT "c.x"},
        {"IPv4", "a@[192.0.2.1]", "a@[192.0.2.1]"},
        {"IPv4 and dot", "a@[192.0.2.1].", "a@[192.0.2.1]"},
        {"IPv6", "a@[IPv6:2001:DB8:0:0::1]", "a@[ipv6:2001:db8::1]"},
        {"IPv6 in full", "a@[ipv6:2001:0db8:0000:0000:0000:0000:0000:0001]",
         "a@[ipv6:2001:db8::1]"},
        {"IPv6 without its tag", "a@[2001:db8::1]", "a@[ipv6:2001:db8::1]"},
        {"not an address", "a@[Foo]", "a@[foo]"},
    };

    (void)state;
    assert_rows(rows, ROWS(rows), NULL);
}

static void mailbox_parse_folds_the_case_of_local_parts(void **state)
{
    static const struct row rows[] = {
        {"Latin", "J" U_UPPER "RGEN@b", "j" U_UMLAUT "rgen@b"},
        {"NFD", "ju\xcc\x88rgen@b", "j" U_UMLAUT "rgen@b"},
        {"as Postfix",
         "stra\xc3\x9f"
         "e@b",
         "strasse@b"},
        {"kelvin sign", "\xe2\x84\xaa@b", "k@b"},
        {"Cherokee", "\xe1\x8e\xa0@b", "\xea\xad\xb0@b"},
        {"Cherokee, lower", "\xea\xad\xb0@b", "\xea\xad\xb0@b"},
        {"not UTF-8", "\xff" A_UMLAUT "\xfe@b",
         REPLACEMENT A_UMLAUT REPLACEMENT "@b"},
        {"half a character", "\xc3@b", REPLACEMENT "@b"},
        {"a surrogate", "\xed\xa0\x80@b",
         REPLACEMENT REPLACEMENT REPLACEMENT "@b"},
    };
    static const struct row kept[] = {
        {"ASCII", "Ann@B", "Ann@b"},
        {"Latin", "J" U_UPPER "rgen@b", "J" U_UPPER "rgen@b"},
        {"NFD", "JU\xcc\x88rgen@b", "J" U_UPPER "rgen@b"},
    };
    static const struct mailbox_rules keep = {.keep_local_case = true};

    (void)state;
    assert_rows(rows, ROWS(rows), NULL);
    assert_rows(kept, ROWS(kept), &keep);
}

static void mailbox_parse_folds_tags_only_where_told(void **state)
{
    static const struct row rows[] = {
        {"tag", "<Ann+news@Fold.example>", "ann@fold.example"},
        {"two tags", "ann+a+b@fold.example", "ann@fold.example"},
        {"only a tag", "+news@fold.example", "+news@fold.example"},
        {"a tag of a tag", "+a+b@fold.example", "+a@fold.example"},
        {"quoted", "\"a b+c\"@fold.example", "\"a b\"@fold.example"},
        {"elsewhere", "ann+news@example.com", "ann+news@example.com"},
        {"no domain", "ann+news", "ann+news"},
    };
    static const struct mailbox_rules rules = {.fold_tag_domains = folding};

    (void)state;
    assert_rows(rows, ROWS(rows), &rules);
}

static void mailbox_parse_tells_what_it_found(void **state)
{
    static const struct result_row {
        const char *path;
        enum mailbox_result result;
        const char *address;
        const char *domain;
    } rows[] = {
        {"", MAILBOX_INVALID, "", ""},
        {"<>", MAILBOX_INVALID, "", ""},
        {" < > ", MAILBOX_INVALID, "", ""},
        {"(a comment", MAILBOX_INVALID, "", ""},
        {"\"\"", MAILBOX_INVALID, "", ""},
        {"@", MAILBOX_INVALID, "", ""},
        {"<@.>", MAILBOX_INVALID, "", ""},
        {"a@b, c@d", MAILBOX_INVALID, "", ""},
        {"vic tim@example.com", MAILBOX_INVALID, "", ""},
        {"<a@b> <c@d>", MAILBOX_INVALID, "", ""},
        {"<Postmaster>", MAILBOX_LOCAL, "postmaster", ""},
        {"daemon@", MAILBOX_LOCAL, "daemon", ""},
        {"<\"a b\">", MAILBOX_LOCAL, "\"a b\"", ""},
        {"Ann@Example.org", MAILBOX_OK, "ann@example.org", "example.org"},
        {"a@[IPv6:::1]", MAILBOX_OK, "a@[ipv6:::1]", "[ipv6:::1]"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mailbox mailbox;

        memset(&mailbox, 'x', sizeof mailbox);
        assert_int_equal(mailbox_parse(text_of(rows[i].path), NULL, &mailbox),
                         rows[i].result);
        assert_string_equal(mailbox.address, rows[i].address);
        assert_string_equal(mailbox.domain, rows[i].domain);
        assert_int_equal(mailbox.address_length, strlen(rows[i].address));
        assert_int_equal(mailbox.domain_length, strlen(rows[i].domain));
    }
    assert_int_equal(mailbox_parse(text_of(NULL), NULL, &(struct mailbox){0}),
                     MAILBOX_INVALID);
}

static void mailbox_parse_makes_nul_visible(void **state)
{
    static const char path[] = "<a\0b@example.com>";
    struct text text = {path, sizeof path - 1};
    struct mailbox mailbox;

    (void)state;
    assert_int_equal(mailbox_parse(text, NULL, &mailbox), MAILBOX_OK);
    assert_string_equal(mailbox.address, "a" REPLACEMENT "b@example.com");
}

/* "aaa…@example.com", of length bytes before the "@"; freed by the caller. */
static struct text path_of(char filler, size_t length)
{
    static const char end[] = "@Example.com";
    char *bytes = malloc(length + sizeof end);
    struct text path = {bytes, length + sizeof end - 1};

    assert_non_null(bytes);
    memset(bytes, filler, length);
    memcpy(bytes + length, end, sizeof end);
    return path;
}

static void mailbox_parse_of_a_long_path(char filler, size_t length,
                                         enum mailbox_result result)
{
    struct text path = path_of(filler, length);
    struct mailbox mailbox;

    assert_int_equal(mailbox_parse(path, NULL, &mailbox), result);
    assert_string_equal(mailbox.domain, "example.com");
    assert_int_equal(mailbox.address_length,
                     result == MAILBOX_LONG ? 0 : length + 12);
    assert_int_equal(strlen(mailbox.address), mailbox.address_length);
    free((void *)(uintptr_t)path.bytes);
}

static void mailbox_parse_looks_up_only_the_domain_of_long_ones(void **state)
{
    (void)state;
    mailbox_parse_of_a_long_path('a', MAILBOX_MAX - 12, MAILBOX_OK);
    mailbox_parse_of_a_long_path('a', MAILBOX_MAX - 11, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('a', MAILBOX_MAX, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('a', 2000, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('a', 5000, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('a', HUGE_PATH, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('%', HUGE_PATH, MAILBOX_LONG);
    mailbox_parse_of_a_long_path('\xff', HUGE_PATH, MAILBOX_LONG);
}

static void mailbox_parse_refuses_no_long_domain(void **state)
{
    char path[2 + MAILBOX_DOMAIN_MAX + 2] = "a@";
    struct mailbox mailbox;

    (void)state;
    memset(path + 2, 'b', MAILBOX_DOMAIN_MAX);
    assert_int_equal(mailbox_parse(text_of(path), NULL, &mailbox), MAILBOX_OK);
    assert_int_equal(mailbox.domain_length, MAILBOX_DOMAIN_MAX);
    path[2 + MAILBOX_DOMAIN_MAX] = 'b';
    assert_int_equal(mailbox_parse(text_of(path), NULL, &mailbox),
                     MAILBOX_LONG);
    assert_string_equal(mailbox.domain, "");
}

static double seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A quadratic walk over 1 MiB takes minutes, a linear one milliseconds. */
static void mailbox_parse_takes_linear_time(void **state)
{
    static const char *const units[] = {
        "(",  ")",  "\"",      "\\", "<",       ">",      ",",
        ";",  ":",  "@",       "%a", "!",       "[",      "]",
        ".",  "a ", "@local%", "l!", "@:",      "\\\"",   "()",
        "<>", ":;", "@[",      "a",  "@[IPv6:", WIDE_DOT, "\xc2\xad."};
    char *bytes = malloc(HUGE_PATH);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < ROWS(units); i++) {
        struct text path = {bytes, HUGE_PATH};
        size_t length = strlen(units[i]);
        struct mailbox mailbox;
        double start = seconds_now();

        for (size_t at = 0; at < HUGE_PATH; at++) {
            bytes[at] = units[i][at % length];
        }
        mailbox_parse(path, &our_rules, &mailbox);
        assert_true(seconds_now() - start < 5);
    }
    free(bytes);
}

static void mailbox_parse_finds_an_address_behind_a_mebibyte(void **state)
{
    static const char end[] = ")victim@example.com";
    char *bytes = malloc(HUGE_PATH);
    struct text path = {bytes, HUGE_PATH};
    struct mailbox mailbox;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'c', HUGE_PATH);
    bytes[0] = '(';
    memcpy(bytes + HUGE_PATH - (sizeof end - 1), end, sizeof end - 1);
    assert_int_equal(mailbox_parse(path, NULL, &mailbox), MAILBOX_OK);
    assert_string_equal(mailbox.address, "victim@example.com");
    free(bytes);
}

static void mailbox_parse_is_stable_for_every_byte(void **state)
{
    static const char *const frames[] = {"\"a%cb\"@example.com", "a%cb@x.y",
                                         "a@x%cy", "%c@x.y", "a@x.y%c"};

    (void)state;
    for (size_t frame = 0; frame < ROWS(frames); frame++) {
        for (int byte = 0; byte < 256; byte++) {
            char bytes[64];
            struct text path = {bytes, strlen(frames[frame]) - 1};
            const char *hole = strstr(frames[frame], "%c");
            size_t before = (size_t)(hole - frames[frame]);
            struct mailbox mailbox;
            struct mailbox again;
            enum mailbox_result result;

            memcpy(bytes, frames[frame], before);
            bytes[before] = (char)byte;
            memcpy(bytes + before + 1, hole + 2, path.length - before - 1);
            result = mailbox_parse(path, &our_rules, &mailbox);
            if (result == MAILBOX_OK || result == MAILBOX_LOCAL) {
                assert_int_equal(
                    mailbox_parse(text_of(mailbox.address), &our_rules, &again),
                    result);
                assert_string_equal(again.address, mailbox.address);
            }
        }
    }
}

static void mailbox_parse_domain_takes_only_domains(void **state)
{
    static const struct row rows[] = {
        {"name", "Example.NET.", "example.net"},
        {"U-label", "b" U_UMLAUT "cher.example", "xn--bcher-kva.example"},
        {"literal", "[192.0.2.1]", "[192.0.2.1]"},
        {"IPv6", "[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
        {"empty", "", ""},
        {"dots", "..", ""},
        {"address", "ann@example.net", ""},
        {"blank", "exa mple.net", ""},
        {"quote", "\"example.net\"", ""},
        {"unknown", NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char normal[MAILBOX_DOMAIN_MAX + 1];

        assert_int_equal(mailbox_parse_domain(text_of(rows[i].path), normal),
                         rows[i].normal[0] != '\0');
        assert_string_equal(normal, rows[i].normal);
    }
}

struct pattern_row {
    const char *text;
    enum mailbox_pattern_kind kind;
    const char *normal;
    const char *domain;
};

static void mailbox_parse_pattern_knows_the_four_forms(void **state)
{
    static const struct pattern_row rows[] = {
        {"Ann@Example.org.", MAILBOX_PATTERN_EXACT, "ann@example.org",
         "example.org"},
        {"<Ann@Example.org>", MAILBOX_PATTERN_EXACT, "ann@example.org",
         "example.org"},
        {"postmaster", MAILBOX_PATTERN_EXACT, "postmaster", ""},
        {"\"\"@b", MAILBOX_PATTERN_EXACT, "\"\"@b", "b"},
        {"@a:ann@b", MAILBOX_PATTERN_EXACT, "ann@b", "b"},
        {"@Example.net", MAILBOX_PATTERN_DOMAIN, "@example.net", "example.net"},
        {" @B" U_UPPER "cher.example ", MAILBOX_PATTERN_DOMAIN,
         "@xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"@[192.0.2.1]", MAILBOX_PATTERN_DOMAIN, "@[192.0.2.1]", "[192.0.2.1]"},
        {"@[IPv6:::1]", MAILBOX_PATTERN_DOMAIN, "@[ipv6:::1]", "[ipv6:::1]"},
        {"@.Example.org", MAILBOX_PATTERN_SUBDOMAINS, "@.example.org",
         "example.org"},
        {"@.org", MAILBOX_PATTERN_SUBDOMAINS, "@.org", "org"},
        {"Ann@", MAILBOX_PATTERN_LOCAL_PART, "ann@", ""},
        {"\"a b\"@", MAILBOX_PATTERN_LOCAL_PART, "\"a b\"@", ""},
        {"\"a@b\"@", MAILBOX_PATTERN_LOCAL_PART, "\"a@b\"@", ""},
        {"a%b@", MAILBOX_PATTERN_LOCAL_PART, "a%b@", ""},
        {"", MAILBOX_PATTERN_INVALID, "", ""},
        {"@", MAILBOX_PATTERN_INVALID, "", ""},
        {"@.", MAILBOX_PATTERN_INVALID, "", ""},
        {"<>", MAILBOX_PATTERN_INVALID, "", ""},
        {"ann smith@b", MAILBOX_PATTERN_INVALID, "", ""},
        {"@exa<mple", MAILBOX_PATTERN_INVALID, "", ""},
        {NULL, MAILBOX_PATTERN_INVALID, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mailbox_pattern pattern;

        assert_int_equal(mailbox_parse_pattern(text_of(rows[i].text), NULL, &pattern),
                         rows[i].kind);
        assert_int_equal(pattern.kind, rows[i].kind);
        assert_string_equal(pattern.text, rows[i].normal);
        assert_int_equal(pattern.length, strlen(rows[i].normal));
        assert_string_equal(pattern.domain, rows[i].domain);
    }
}

static void assert_candidates(const char *path, const char *const *expected)
{
    struct mailbox mailbox;
    struct mailbox_pattern pattern;
    struct mailbox_pattern again;
    size_t index = 0;

    mailbox_parse(text_of(path), NULL, &mailbox);
    for (; expected[index] != NULL; index++) {
        assert_true(mailbox_candidate(&mailbox, index, &pattern));
        assert_string_equal(pattern.text, expected[index]);
        assert_int_equal(mailbox_parse_pattern(text_of(pattern.text), NULL, &again),
                         pattern.kind);
        assert_string_equal(again.text, pattern.text);
        assert_string_equal(again.domain, pattern.domain);
    }
    assert_false(mailbox_candidate(&mailbox, index, &pattern));
    assert_int_equal(mailbox_candidates(&mailbox), index);
}

static void mailbox_candidate_goes_from_exact_to_general(void **state)
{
    static const char *const deep[] = {"ann@a.b.example.org",
                                       "ann@",
                                       "@a.b.example.org",
                                       "@.b.example.org",
                                       "@.example.org",
                                       "@.org",
                                       NULL};
    static const char *const flat[] = {"ann@host", "ann@", "@host", NULL};
    static const char *const quoted[] = {"\"a b\"@host", "\"a b\"@", "@host",
                                         NULL};
    static const char *const literal[] = {"ann@[192.0.2.1]", "ann@",
                                          "@[192.0.2.1]", NULL};
    static const char *const local[] = {"postmaster", "postmaster@", NULL};
    static const char *const hack[] = {"\"a@b\"@relay", "\"a@b\"@", "@relay",
                                       NULL};
    static const char *const none[] = {NULL};

    (void)state;
    assert_candidates("<Ann@a.b.example.org>", deep);
    assert_candidates("ann@host", flat);
    assert_candidates("\"A b\"@host", quoted);
    assert_candidates("ann@[192.0.2.1]", literal);
    assert_candidates("<Postmaster>", local);
    assert_candidates("<a@b@relay>", hack);
    assert_candidates("<>", none);
}

static void mailbox_candidate_of_a_long_one_has_only_domains(void **state)
{
    static const char *const domains[] = {"@example.com", "@.com"};
    struct text path = path_of('a', MAILBOX_MAX);
    struct mailbox_pattern pattern;
    struct mailbox mailbox;

    (void)state;
    assert_int_equal(mailbox_parse(path, NULL, &mailbox), MAILBOX_LONG);
    for (size_t i = 0; i < ROWS(domains); i++) {
        assert_true(mailbox_candidate(&mailbox, i, &pattern));
        assert_string_equal(pattern.text, domains[i]);
    }
    assert_false(mailbox_candidate(&mailbox, ROWS(domains), &pattern));
    assert_int_equal(mailbox_candidates(&mailbox), ROWS(domains));
    free((void *)(uintptr_t)path.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_parse_sees_through_every_spelling),
        cmocka_unit_test(mailbox_parse_resolves_paths_through_our_domains),
        cmocka_unit_test(mailbox_parse_leaves_paths_through_other_domains),
        cmocka_unit_test(mailbox_parse_keeps_other_mailboxes_apart),
        cmocka_unit_test(mailbox_parse_quotes_only_what_needs_it),
        cmocka_unit_test(mailbox_parse_normalises_domains),
        cmocka_unit_test(mailbox_parse_folds_the_case_of_local_parts),
        cmocka_unit_test(mailbox_parse_folds_tags_only_where_told),
        cmocka_unit_test(mailbox_parse_tells_what_it_found),
        cmocka_unit_test(mailbox_parse_makes_nul_visible),
        cmocka_unit_test(mailbox_parse_looks_up_only_the_domain_of_long_ones),
        cmocka_unit_test(mailbox_parse_refuses_no_long_domain),
        cmocka_unit_test(mailbox_parse_takes_linear_time),
        cmocka_unit_test(mailbox_parse_finds_an_address_behind_a_mebibyte),
        cmocka_unit_test(mailbox_parse_is_stable_for_every_byte),
        cmocka_unit_test(mailbox_parse_domain_takes_only_domains),
        cmocka_unit_test(mailbox_parse_pattern_knows_the_four_forms),
        cmocka_unit_test(mailbox_candidate_goes_from_exact_to_general),
        cmocka_unit_test(mailbox_candidate_of_a_long_one_has_only_domains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
