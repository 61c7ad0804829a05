#include "client_network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct client_network network_of(const char *text)
{
    struct client_network network;
    struct error error = {""};

    if (!client_network_parse(text_of(text), &network, &error)) {
        fail_msg("%s gave %s", text, error.text);
    }
    return network;
}

static void client_network_has_its_addresses(void **state)
{
    static const struct {
        const char *network;
        const char *in;
        const char *out;
    } rows[] = {
        {"127.0.0.0/8", "127.0.0.1", "128.0.0.1"},
        {"127.0.0.0/8", "127.255.255.255", "126.255.255.255"},
        {"127.0.0.0/8", "::ffff:127.0.0.1", "::127.0.0.1"},
        {"127.0.0.0/8", "::FFFF:7f00:1", "::1"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.7/32", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
        {"10.32.0.0/11", "10.63.255.255", "10.64.0.0"},
        {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
        {"0.0.0.0/0", "::ffff:203.0.113.9", "::1"},
        {"128.0.0.0/1", "255.255.255.255", "127.255.255.255"},
        {"::1/128", "::1", "::2"},
        {"::1", "0:0:0:0:0:0:0:1", "127.0.0.1"},
        {"[::1]/128", "[::1]", "::"},
        {"[::1]", "IPv6:::1", "::3"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
        {"2001:DB8::/32", "IPV6:2001:db8::9", "2001:db7::"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
        {"fe80::/10", "fe80::1%eth0", "fec0::1"},
        {"::/0", "2001:db8::1", "192.0.2.1"},
        {"::/0", "::1", "::ffff:192.0.2.1"},
        {"::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"},
        {"[::ffff:127.0.0.0]/104", "127.1.2.3", "128.1.2.3"},
        {"::ffff:0:0/96", "192.0.2.1", "::1"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"::/64", "::1", "::ffff:0.0.0.1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct client_network network = network_of(rows[i].network);

        if (!client_network_has(&network, 1, text_of(rows[i].in))) {
            fail_msg("%s has no %s", rows[i].network, rows[i].in);
        }
        if (client_network_has(&network, 1, text_of(rows[i].out))) {
            fail_msg("%s has %s", rows[i].network, rows[i].out);
        }
    }
}

static void client_network_has_nobody_who_is_no_address(void **state)
{
    static const struct text addresses[] = {{NULL, 0},
                                            {"", 0},
                                            {"localhost", 9},
                                            {"unknown", 7},
                                            {"local", 5},
                                            {"127.0.0.1\0x", 11},
                                            {"127.0.0.1 ", 10},
                                            {"127.1", 5},
                                            {"0177.0.0.1", 10},
                                            {"2130706433", 10},
                                            {"0x7f.0.0.1", 10},
                                            {"127.0.0.1%lo", 12},
                                            {"[127.0.0.1", 10},
                                            {"::1]", 4},
                                            {"IPv6:", 5},
                                            {"[]", 2},
                                            {"::1::", 5},
                                            {"1:2:3:4:5:6:7:8:9", 17},
                                            {"%", 1},
                                            {":", 1},
                                            {"127.0.0.1/32", 12}};
    const struct client_network all[] = {network_of("0.0.0.0/0"),
                                         network_of("::/0")};
    char long_one[300];

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        if (client_network_has(all, 2, addresses[i])) {
            fail_msg("taken: %.*s", (int)addresses[i].length,
                     addresses[i].bytes);
        }
    }
    memset(long_one, '1', sizeof long_one);
    assert_false(
        client_network_has(all, 2, (struct text){long_one, sizeof long_one}));
    assert_true(client_network_has(all, 2, text_of("192.0.2.1")));
    assert_false(client_network_has(all, 0, text_of("192.0.2.1")));
    assert_false(client_network_has(NULL, 0, text_of("192.0.2.1")));
}

static void client_network_is_one_of_several(void **state)
{
    const struct client_network networks[] = {network_of("127.0.0.0/8"),
                                              network_of("::1/128"),
                                              network_of("192.0.2.0/24")};

    (void)state;
    assert_true(client_network_has(networks, 3, text_of("127.0.0.1")));
    assert_true(client_network_has(networks, 3, text_of("::1")));
    assert_true(client_network_has(networks, 3, text_of("192.0.2.9")));
    assert_false(client_network_has(networks, 2, text_of("192.0.2.9")));
    assert_false(client_network_has(networks, 3, text_of("198.51.100.1")));
}

static void client_network_refuses_what_is_none(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", "such as 192.0.2.7"},
        {"/", "such as 192.0.2.7"},
        {"/8", "such as 192.0.2.7"},
        {"127", "such as 192.0.2.7"},
        {"127/8", "such as 192.0.2.7"},
        {"127.0.0/8", "such as 192.0.2.7"},
        {"192.0.2.256/24", "such as 192.0.2.7"},
        {"192.0.2.0/255.255.255.0", "from 0 to 32"},
        {"192.0.2.0 /24", "such as 192.0.2.7"},
        {" 192.0.2.0/24", "such as 192.0.2.7"},
        {"192.0.2.0/ 24", "from 0 to 32"},
        {"192.0.2.0/", "from 0 to 32"},
        {"192.0.2.0/33", "from 0 to 32"},
        {"192.0.2.0/-1", "from 0 to 32"},
        {"192.0.2.0/+8", "from 0 to 32"},
        {"192.0.2.0/024", "from 0 to 32"},
        {"192.0.2.0/24/8", "from 0 to 32"},
        {"192.0.2.0/99999999999999999999", "from 0 to 32"},
        {"2001:db8::/129", "from 0 to 128"},
        {"2001:db8::/", "from 0 to 128"},
        {"192.0.2.1/24", "write 192.0.2.0/24"},
        {"192.0.2.1/0", "write 0.0.0.0/0"},
        {"2001:db8::1/32", "write 2001:db8::/32"},
        {"::ffff:192.0.2.1/120", "write ::ffff:192.0.2.0/120"},
        {"::1/127", "write ::/127"},
        {"localhost", "names of hosts"},
        {"mail.example.org", "names of hosts"},
        {"unix:/run/x", "names of hosts"},
        {"!192.0.2.0/24", "such as 192.0.2.7"},
        {"[192.0.2.0/24]", "such as 192.0.2.7"},
        {"fe80::1%eth0", "names of hosts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_network network;
        struct error error = {""};

        if (client_network_parse(text_of(rows[i].text), &network, &error)) {
            fail_msg("taken: %s", rows[i].text);
        }
        if (strstr(error.text, rows[i].words) == NULL) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_network_has_its_addresses),
        cmocka_unit_test(client_network_has_nobody_who_is_no_address),
        cmocka_unit_test(client_network_is_one_of_several),
        cmocka_unit_test(client_network_refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
