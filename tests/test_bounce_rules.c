#include "bounce_rules.h"
#include "bounce_rules_file.h"
#include "bounce_rules_filter.h"
#include "bounce_rules_match.h"
#include "bounce_rules_words.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cmocka.h>

#define FILES 2

struct world {
    char folder[64];
    char *paths[FILES];
    struct bounce_rules *rules;
    struct bounce_scratch *scratch;
    struct error error;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    scratch_make(world->folder);
    for (int i = 0; i < FILES; i++) {
        assert_true(asprintf(&world->paths[i], "%s/%d.conf", world->folder, i) >
                    0);
    }
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    bounce_scratch_free(world->scratch);
    bounce_rules_free(world->rules);
    for (int i = 0; i < FILES; i++) {
        free(world->paths[i]);
    }
    scratch_remove(world->folder);
    free(world);
    return 0;
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* The rules of the files that there are; false with world->error. */
static bool load(struct world *world, size_t count)
{
    struct bounce_rules_source sources[FILES];

    bounce_scratch_free(world->scratch);
    bounce_rules_free(world->rules);
    world->scratch = NULL;
    world->error.text[0] = '\0';
    for (size_t i = 0; i < FILES; i++) {
        sources[i] = (struct bounce_rules_source){world->paths[i], false};
    }
    world->rules = bounce_rules_load(sources, count, &world->error);
    if (world->rules == NULL) {
        return false;
    }
    world->scratch = bounce_scratch_new(world->rules);
    assert_non_null(world->scratch);
    return true;
}

static bool load_text(struct world *world, const char *text)
{
    write_bytes(world->paths[0], text, strlen(text));
    return load(world, 1);
}

static const char *ask(const struct world *world,
                       const struct bounce_question *question)
{
    const struct bounce_rule *rule =
        bounce_rules_match(world->rules, world->scratch, question);

    return rule == NULL ? "-" : rule->id;
}

static const char *ask_text(const struct world *world, const char *text)
{
    struct bounce_question question = {.text = text_of(text),
                                       .enhanced_status = ""};

    return ask(world, &question);
}

/* --- reading ----------------------------------------------------------- */

static void bounce_rules_load_names_file_line_and_cure(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *message;
    } rows[] = {
        {"a user_unknwon /x y/", 1, "\"user_unknwon\" is no reason"},
        {"a ignore:hard /x y/", 1, "ignore has no type"},
        {"# c\n\nb mailbox_full:firm /x y/", 3, "\"firm\" is no type"},
        {"a spam_content:hard /spam/", 1, "never hard: write spam_content"},
        {"A user_unknown /x y/", 1, "is no id"},
        {"a/b user_unknown /x y/", 1, "is no id"},
        {"a", 1, "a meaning is missing"},
        {"a user_unknown", 1, "neither pattern nor condition"},
        {"a user_unknown cod=5 /x/", 1, "conditions are code="},
        {"a user_unknown code=99", 1, "write code=550"},
        {"a user_unknown code=", 1, "write code=550"},
        {"a user_unknown code=550,", 1, "write code=550"},
        {"a user_unknown code=1", 1, "write code=550"},
        {"a user_unknown status=5.1", 1, "write status=5.1.1"},
        {"a user_unknown status=3.1.1", 1, "write status=5.1.1"},
        {"a user_unknown status=5.1.1.1", 1, "write status=5.1.1"},
        {"a user_unknown mta=Example.org", 1, "write mta="},
        {"a user_unknown stage=helo", 1, "write stage=rcpt"},
        {"a user_unknown /x y", 1, "a slash is missing"},
        {"a user_unknown x y/", 1, "a pattern stands between slashes"},
        {"a user_unknown /x/ code=5", 1, "nothing behind the last slash"},
        {"a user_unknown //", 1, "the pattern is empty"},
        {"a user_unknown /User unknown/", 1, "capital letter"},
        {"ok user_unknown /x y/\nb user_unknown /x(y/", 2,
         "rule b: at byte 4 of the pattern"},
        {"a user_unknown /x*/", 1, "found in every text"},
        {"a user_unknown /(x)\\1/", 1, "rule a: at byte"},
        {"a user_unknown /x y/\nb ignore /z/\na virus /z/", 3,
         "stands in line 1 already"},
        {"a user_unknown /\200/", 1, "not UTF-8"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char place[128];

        assert_false(load_text(world, rows[i].text));
        (void)snprintf(place, sizeof place, "%s:%u: ", world->paths[0],
                       rows[i].line);
        assert_int_equal(strncmp(world->error.text, place, strlen(place)), 0);
        if (strstr(world->error.text, rows[i].message) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", rows[i].message,
                     world->error.text);
        }
    }
}

static void bounce_rules_load_refuses_a_line_of_4097_bytes(void **state)
{
    static const char rule[] = "a user_unknown /x y/ ";
    struct world *world = *state;
    char line[BOUNCE_RULES_LINE_MAX + 2];

    memset(line, ' ', sizeof line);
    memcpy(line, rule, sizeof rule - 1);
    line[BOUNCE_RULES_LINE_MAX] = '\n';
    write_bytes(world->paths[0], line, BOUNCE_RULES_LINE_MAX + 1);
    assert_true(load(world, 1));
    line[BOUNCE_RULES_LINE_MAX] = ' ';
    write_bytes(world->paths[0], line, BOUNCE_RULES_LINE_MAX + 1);
    assert_false(load(world, 1));
    assert_non_null(strstr(world->error.text, ":1: longer than 4096 bytes"));
}

static void bounce_rules_load_refuses_rule_10001(void **state)
{
    struct world *world = *state;
    FILE *file = fopen(world->paths[0], "we");

    assert_non_null(file);
    for (int i = 0; i < BOUNCE_RULES_MAX; i++) {
        (void)fprintf(file, "r%d user_unknown code=550\n", i);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(load(world, 1));
    assert_int_equal(bounce_rules_count(world->rules), BOUNCE_RULES_MAX);
    file = fopen(world->paths[0], "ae");
    assert_non_null(file);
    (void)fputs("more user_unknown code=550\n", file);
    assert_int_equal(fclose(file), 0);
    assert_false(load(world, 1));
    assert_non_null(strstr(world->error.text, ":10001: more than 10000"));
}

static void bounce_rules_load_tells_which_file_it_cannot_read(void **state)
{
    struct world *world = *state;
    struct bounce_rules_source sources[] = {{world->paths[0], true},
                                            {world->folder, false}};

    assert_false(load(world, 1));
    assert_non_null(strstr(world->error.text, "0.conf: not readable: No such"));
    world->rules = bounce_rules_load(sources, 1, &world->error);
    assert_non_null(world->rules);
    assert_int_equal(bounce_rules_count(world->rules), 0);
    assert_null(bounce_rules_load(sources, 2, &world->error));
    assert_non_null(strstr(world->error.text, "not readable: Is a directory"));
}

static void bounce_rules_load_takes_blanks_comments_and_crlf(void **state)
{
    struct world *world = *state;

    assert_true(load_text(world, "# one\r\n\r\n \t a-1.b_2 \t ignore  code=550 "
                                 "\t/a\\/b # c/ \r\n#end"));
    assert_int_equal(bounce_rules_count(world->rules), 1);
    assert_string_equal(bounce_rules_at(world->rules, 0)->id, "a-1.b_2");
    assert_string_equal(bounce_rules_at(world->rules, 0)->pattern, "a\\/b # c");
    assert_int_equal(bounce_rules_at(world->rules, 0)->line, 3);
}

static void bounce_rules_load_takes_the_meanings(void **state)
{
    static const struct {
        const char *meaning;
        enum reason reason;
        enum failure_type type;
    } rows[] = {
        {"user_unknown", REASON_USER_UNKNOWN, FAILURE_TYPE_HARD},
        {"user_unknown:soft", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT},
        {"mailbox_full:hard", REASON_MAILBOX_FULL, FAILURE_TYPE_HARD},
        {"spam_content:ignored", REASON_SPAM_CONTENT, FAILURE_TYPE_IGNORED},
        {"ignore", REASON_ERROR_IGNORED, FAILURE_TYPE_IGNORED},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[64];

        (void)snprintf(line, sizeof line, "a %s /x y/", rows[i].meaning);
        assert_true(load_text(world, line));
        assert_int_equal(bounce_rules_at(world->rules, 0)->reason,
                         rows[i].reason);
        assert_int_equal(bounce_rules_at(world->rules, 0)->failure_type,
                         rows[i].type);
    }
}

/* --- matching ---------------------------------------------------------- */

static void bounce_rules_match_takes_the_first_rule_that_holds(void **state)
{
    static const char operator[] = "ours ignore /black cat/\n";
    static const char shipped[] = "one user_unknown /no such|unknown user/\n"
                                  "two mailbox_full /full/\n"
                                  "three account_disabled /cat/\n";
    struct world *world = *state;

    write_bytes(world->paths[0], operator, strlen(operator));
    write_bytes(world->paths[1], shipped, strlen(shipped));
    assert_true(load(world, 2));
    assert_string_equal(ask_text(world, "a black cat"), "ours");
    assert_string_equal(ask_text(world, "full of no such cat"), "one");
    assert_string_equal(ask_text(world, "cat, full"), "two");
    assert_string_equal(ask_text(world, "a cat"), "three");
    assert_string_equal(ask_text(world, "a dog"), "-");
    assert_string_equal(ask_text(world, ""), "-");
}

static void bounce_rules_match_holds_all_conditions(void **state)
{
    static const char text[] = "code user_unknown code=551,4 /x y/\n"
                               "status mailbox_full status=5.7.x,x.2.2\n"
                               "mta virus mta=*.example.org,mx?.bad /x y/\n";
    static const char good[] = "code user_unknown code=551,4 /x y/\n"
                               "status mailbox_full status=5.7.x,x.2.2\n"
                               "mta virus mta=*.example.org,mx*.net /x y/\n"
                               "stage expired stage=rcpt,data\n"
                               "both transient code=552 status=5.0.0 /x y/\n";
    static const struct {
        int code;
        const char *status, *mta;
        enum bounce_stage stage;
        const char *rule;
    } rows[] = {
        {551, "", NULL, BOUNCE_STAGE_UNKNOWN, "code"},
        {450, "", NULL, BOUNCE_STAGE_UNKNOWN, "code"},
        {550, "", NULL, BOUNCE_STAGE_UNKNOWN, "-"},
        {0, "", NULL, BOUNCE_STAGE_UNKNOWN, "-"},
        {550, "5.7.606", NULL, BOUNCE_STAGE_UNKNOWN, "status"},
        {550, "4.7.606", NULL, BOUNCE_STAGE_UNKNOWN, "-"},
        {550, "4.2.2", NULL, BOUNCE_STAGE_UNKNOWN, "status"},
        {550, "4.2.22", NULL, BOUNCE_STAGE_UNKNOWN, "-"},
        {550, "", "A.MX.Example.ORG.", BOUNCE_STAGE_UNKNOWN, "mta"},
        {550, "", "mx7.example.net", BOUNCE_STAGE_UNKNOWN, "mta"},
        {550, "", "example.org", BOUNCE_STAGE_UNKNOWN, "-"},
        {550, "", "mx.net.example", BOUNCE_STAGE_UNKNOWN, "-"},
        {550, "", NULL, BOUNCE_STAGE_RCPT, "stage"},
        {550, "", NULL, BOUNCE_STAGE_MAIL, "-"},
        {552, "5.0.0", NULL, BOUNCE_STAGE_UNKNOWN, "both"},
        {552, "", NULL, BOUNCE_STAGE_UNKNOWN, "-"},
    };
    struct world *world = *state;

    assert_false(load_text(world, text));
    assert_true(load_text(world, good));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bounce_question question = {
            .text = text_of("x y"),
            .reply_code = rows[i].code,
            .enhanced_status = rows[i].status,
            .remote_mta = text_of(rows[i].mta),
            .stage = rows[i].stage,
        };

        assert_string_equal(ask(world, &question), rows[i].rule);
    }
}

static void bounce_rules_match_all_tells_each_rule_once_in_order(void **state)
{
    struct world *world = *state;
    const struct bounce_rule *found[4];
    struct bounce_question question = {.text = text_of("red green blue red"),
                                       .reply_code = 550,
                                       .enhanced_status = ""};

    assert_true(load_text(world, "a virus /blue|red|green/\n"
                                 "b expired code=550\n"
                                 "c expired /yellow/\n"
                                 "d expired code=4\n"
                                 "e expired /green .*red/\n"
                                 "f expired code=5\n"));
    assert_int_equal(bounce_rules_match_all(world->rules, world->scratch,
                                            &question, found, 4),
                     4);
    assert_string_equal(found[0]->id, "a");
    assert_string_equal(found[1]->id, "b");
    assert_string_equal(found[2]->id, "e");
    assert_string_equal(found[3]->id, "f");
    assert_int_equal(bounce_rules_match_all(world->rules, world->scratch,
                                            &question, found, 2),
                     2);
    assert_string_equal(found[1]->id, "b");
}

/* What the filter leaves out could not have been found. */
static void bounce_rules_match_finds_what_pcre2_finds(void **state)
{
    static const char *const patterns[] = {
        "user (unknown|not found)",
        "\\b(?:user|mailbox|box)s?\\b.{0,20}(?:unknown|(?:is )?not here)",
        "(?:the )?(?:old )?account",
        "no such|unknown (?=user)|x{3}",
        "(?<!not )found$",
        "^user",
        "[aeo]ld|[^ ]+user",
        "us(?:er)+ (?:un)?known",
        "usu[a\303\241]rio|buz(?:\303\263|o)n",
        "\\S* (?:a|b)c?d{2,3}e",
        "mail ?box(?: \\S+){0,3}? full",
        "colou?r {2}|a|bb",
        "(?:abcdefghijklmnopqrstuvwxyz|abcdefghijklmnop) end",
        "x*user|y+mailbox",
        "(?i:user)",
        "\\d\\duser|\\x{75}ser",
        "(?:a|bc|(?:d|ef)g)h",
        "\\Quser\\E is|[]x]user|[\\d-]full",
        "user(?# comment) here|(?>user|mailbox) full",
        "<addr>: (?:user|mailbox){1} not",
        "\347\224\250\346\210\267.{0,4}\344\270\215",
    };
    static const char *const words[] = {
        "user",
        "users",
        "unknown",
        "not",
        "found",
        "mailbox",
        "box",
        "full",
        "the",
        "old",
        "account",
        "such",
        "no",
        "is",
        "here",
        "usu\303\241rio",
        "buzon",
        "buz\303\263n",
        "acdde",
        "bdde",
        "xxx",
        "x",
        "12user",
        "]user",
        "abcdefghijklmnopqrstuvwxyz",
        "abcdefghijklmnop",
        "end",
        "yymailbox",
        "<addr>:",
        "gh",
        "dgh",
        "efgh",
        "bch",
        "userer",
        "known",
        "\347\224\250\346\210\267\344\270\215",
        "mail",
        "-full",
        "colour",
        "a",
    };
    static const size_t count = sizeof patterns / sizeof patterns[0];
    struct world *world = *state;
    pcre2_code *codes[sizeof patterns / sizeof patterns[0]];
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    FILE *file = fopen(world->paths[0], "we");
    uint32_t seed = 12345;
    size_t found_count = 0;

    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        PCRE2_SIZE offset;
        int fault;

        (void)fprintf(file, "r%zu virus /%s/\n", i, patterns[i]);
        codes[i] =
            pcre2_compile((PCRE2_SPTR)patterns[i], PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_DOTALL, &fault, &offset, NULL);
        assert_non_null(codes[i]);
    }
    assert_int_equal(fclose(file), 0);
    if (!load(world, 1)) {
        fail_msg("%s", world->error.text);
    }
    for (int round = 0; round < 20000; round++) {
        const struct bounce_rule *found[sizeof patterns / sizeof patterns[0]];
        char text[512] = "";
        size_t used = 0;
        size_t next = 0;
        size_t rules;
        struct bounce_question question = {.enhanced_status = ""};

        for (uint32_t i = 0; i <= (seed >> 8 & 7); i++) {
            seed = seed * 1664525 + 1013904223;
            used += (size_t)snprintf(
                text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ",
                words[(seed >> 16) % (sizeof words / sizeof words[0])]);
        }
        seed = seed * 1664525 + 1013904223;
        question.text = (struct text){text, used};
        rules = bounce_rules_match_all(world->rules, world->scratch, &question,
                                       found, count);
        for (size_t i = 0; i < count; i++) {
            bool expected = pcre2_match(codes[i], (PCRE2_SPTR)text, used, 0, 0,
                                        data, NULL) >= 0;
            bool got = next < rules && found[next]->line == i + 1;

            if (expected != got) {
                fail_msg("/%s/ in \"%s\"", patterns[i], text);
            }
            next += got;
            found_count += got;
        }
        assert_int_equal(next, rules);
    }
    assert_true(found_count > 10000);
    for (size_t i = 0; i < count; i++) {
        pcre2_code_free(codes[i]);
    }
    pcre2_match_data_free(data);
}

static void bounce_rules_match_ends_whatever_pattern_and_text_are(void **state)
{
    static const char *const units[] = {"a", "user ", "user user x ", "aab"};
    struct world *world = *state;
    char text[BOUNCE_FILTER_TEXT_MAX];

    assert_true(load_text(world, "r1 virus /(a+)+b$/\n"
                                 "r2 virus /user.*user.*user.*user.*never/\n"
                                 "r3 virus /(?:a|aa)+c/\n"
                                 "r4 virus /\\S*\\S*\\S*\\S*z/\n"));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct bounce_question question = {.text = {text, sizeof text},
                                           .enhanced_status = ""};
        clock_t begin = clock();

        for (size_t j = 0; j < sizeof text; j++) {
            text[j] = units[i][j % strlen(units[i])];
        }
        (void)ask(world, &question);
        assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
    }
}

/* --- words that a pattern cannot do without ---------------------------- */

static void print_words(char *out, size_t size,
                        const struct bounce_words *words)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; words != NULL && i < words->count; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%.*s",
                                 i == 0 ? "" : "|", words->words[i].length,
                                 words->words[i].bytes);
    }
}

static void bounce_analysis_tells_the_words_of_a_branch(void **state)
{
    static const struct {
        const char *pattern;
        size_t branches;
        const char *start, *clause; /* of the first branch */
    } rows[] = {
        {"user unknown", 1, "user unknown", ""},
        {"user|mailbox", 2, "user", ""},
        {"(?:user|box) .*(?:full|over)", 1, "user |box ", "full|over"},
        {"(?:the )?user", 1, "user|the user", ""},
        {".*user", 1, "", "user"},
        {"\\buser\\b", 1, "user", ""},
        {"us[ea]r", 1, "user|usar", ""},
        {"us[^e]r known", 1, "us", "r known"},
        {"abcdefghijklmnop", 1, "abcdefghijkl", ""},
        {"(?:ab)+c", 1, "ab", ""},
        {"a", 1, "", ""},
        {"(?:mailboxes|mailbox)x?", 1, "mailbox", ""},
        {"(?i)user", 0, "", ""},
        {"(a)\\1", 0, "", ""},
        {"[[:alpha:]]", 0, "", ""},
        {"a{,3}", 0, "", ""},
    };
    struct bounce_analysis *analysis = bounce_analysis_new();

    (void)state;
    assert_non_null(analysis);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct bounce_branch *branches;
        size_t count =
            bounce_analysis_run(analysis, rows[i].pattern, &branches);
        char words[256];

        assert_int_equal(count, rows[i].branches);
        if (count == 0) {
            continue;
        }
        print_words(words, sizeof words, branches[0].start);
        assert_string_equal(words, rows[i].start);
        print_words(words, sizeof words,
                    branches[0].clause_count == 0 ? NULL
                                                  : branches[0].clauses[0]);
        assert_string_equal(words, rows[i].clause);
    }
    bounce_analysis_free(analysis);
}

static void bounce_analysis_gives_up_on_many_groups_and_branches(void **state)
{
    struct bounce_analysis *analysis = bounce_analysis_new();
    const struct bounce_branch *branches;
    char pattern[1024] = "";

    (void)state;
    assert_non_null(analysis);
    for (size_t i = 0; i < 200; i++) {
        pattern[i] = '(';
        pattern[201 + i] = ')';
    }
    pattern[200] = 'x';
    assert_int_equal(bounce_analysis_run(analysis, pattern, &branches), 0);
    memset(pattern, '\0', sizeof pattern);
    for (size_t i = 0; i < 2 * BOUNCE_BRANCHES_MAX; i += 2) {
        pattern[i] = 'x';
        pattern[i + 1] = '|';
    }
    assert_int_equal(bounce_analysis_run(analysis, pattern, &branches), 0);
    pattern[2 * BOUNCE_BRANCHES_MAX - 1] = '\0';
    assert_int_equal(bounce_analysis_run(analysis, pattern, &branches),
                     BOUNCE_BRANCHES_MAX);
    bounce_analysis_free(analysis);
}

static void bounce_stage_parse_finds_each_name(void **state)
{
    enum bounce_stage stage;

    (void)state;
    for (unsigned bit = BOUNCE_STAGE_CONNECT; bit <= BOUNCE_STAGE_EOM;
         bit <<= 1) {
        const char *name = bounce_stage_name((enum bounce_stage)bit);

        assert_true(bounce_stage_parse(text_of(name), &stage));
        assert_int_equal(stage, bit);
    }
    assert_false(bounce_stage_parse(text_of("unknown"), &stage));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bounce_rules_load_names_file_line_and_cure),
        TEST(bounce_rules_load_refuses_a_line_of_4097_bytes),
        TEST(bounce_rules_load_refuses_rule_10001),
        TEST(bounce_rules_load_tells_which_file_it_cannot_read),
        TEST(bounce_rules_load_takes_blanks_comments_and_crlf),
        TEST(bounce_rules_load_takes_the_meanings),
        TEST(bounce_rules_match_takes_the_first_rule_that_holds),
        TEST(bounce_rules_match_holds_all_conditions),
        TEST(bounce_rules_match_all_tells_each_rule_once_in_order),
        TEST(bounce_rules_match_finds_what_pcre2_finds),
        TEST(bounce_rules_match_ends_whatever_pattern_and_text_are),
        cmocka_unit_test(bounce_analysis_tells_the_words_of_a_branch),
        cmocka_unit_test(bounce_analysis_gives_up_on_many_groups_and_branches),
        cmocka_unit_test(bounce_stage_parse_finds_each_name),
    };

    return cmocka_run_group_tests_name("bounce_rules", tests, NULL, NULL);
}
