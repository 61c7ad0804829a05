#include "client_network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IPV4_BITS   32
#define IPV6_BITS   128
#define MAPPED_BITS 96 /* of ::ffff:0:0/96 */

#define SHOWN_SIZE (INET6_ADDRSTRLEN + 8)

static const unsigned char mapped_prefix[MAPPED_BITS / 8] = {
    [10] = 0xff,
    [11] = 0xff,
};

static unsigned most_bits(const struct client_network *network)
{
    return network->is_ipv6 ? IPV6_BITS : IPV4_BITS;
}

/* --- addresses ----------------------------------------------------------- */

static struct text without_brackets(struct text text)
{
    if (text.length >= 2 && text.bytes[0] == '[' &&
        text.bytes[text.length - 1] == ']') {
        text.bytes++;
        text.length -= 2;
    }
    return text;
}

/* As it is written: a mapped one stays IPv6. All of its bits count. */
static bool take_address(struct text text, struct client_network *network)
{
    char string[INET6_ADDRSTRLEN];

    memset(network, 0, sizeof *network);
    if (text.length >= sizeof string || text.length == 0 ||
        memchr(text.bytes, '\0', text.length) != NULL) {
        return false;
    }
    (void)text_copy(text, string, sizeof string);
    network->is_ipv6 = strchr(string, ':') != NULL;
    network->bits = most_bits(network);
    return inet_pton(network->is_ipv6 ? AF_INET6 : AF_INET, string,
                     network->address) == 1;
}

/* A network of mapped addresses becomes one of IPv4. */
static void unmap(struct client_network *network)
{
    if (!network->is_ipv6 || network->bits < MAPPED_BITS ||
        memcmp(network->address, mapped_prefix, sizeof mapped_prefix) != 0) {
        return;
    }
    memmove(network->address, network->address + sizeof mapped_prefix, 4);
    memset(network->address + 4, 0, sizeof network->address - 4);
    network->is_ipv6 = false;
    network->bits -= MAPPED_BITS;
}

/* --- networks ------------------------------------------------------------ */

/* "0" to "128", no digit more than it takes. */
static bool take_bits(struct text text, unsigned most, unsigned *bits)
{
    unsigned number = 0;

    if (text.length < 1 || text.length > 3 ||
        (text.length > 1 && text.bytes[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(text.bytes[i] - '0');
    }
    *bits = number;
    return number <= most;
}

static unsigned char mask_of(unsigned bits, size_t byte)
{
    const unsigned before = (unsigned)byte * 8;
    unsigned kept = bits <= before ? 0 : bits - before;

    kept = kept > 8 ? 8 : kept;
    return (unsigned char)(0xff00U >> kept & 0xffU);
}

/* False: a bit behind the length was set, and is not any more. */
static bool clear_host_bits(struct client_network *network)
{
    bool is_clear = true;

    for (size_t i = 0; i < sizeof network->address; i++) {
        unsigned char kept = network->address[i] & mask_of(network->bits, i);

        is_clear = is_clear && kept == network->address[i];
        network->address[i] = kept;
    }
    return is_clear;
}

static const char *show(const struct client_network *network,
                        char text[SHOWN_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(network->is_ipv6 ? AF_INET6 : AF_INET, network->address,
                    address, sizeof address);
    (void)snprintf(text, SHOWN_SIZE, "%s/%u", address, network->bits);
    return text;
}

static bool is_name(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];

        if ((byte >= 'g' && byte <= 'z') || (byte >= 'G' && byte <= 'Z')) {
            return true; /* no address has these */
        }
    }
    return false;
}

static bool fail(struct text text, struct error *error)
{
    error_set(error, "%s",
              is_name(text) ? "names of hosts do not stand here; write an "
                              "address or a network, such as 192.0.2.0/24"
                            : "write an address or a network, such as "
                              "192.0.2.7, 192.0.2.0/24 or 2001:db8::/32");
    return false;
}

bool client_network_parse(struct text text, struct client_network *network,
                          struct error *error)
{
    const char *slash =
        text.length == 0 ? NULL : memchr(text.bytes, '/', text.length);
    struct text address = text;
    char shown[SHOWN_SIZE];

    if (slash != NULL) {
        address.length = (size_t)(slash - text.bytes);
    }
    if (!take_address(without_brackets(address), network)) {
        return fail(address, error);
    }
    if (slash != NULL) {
        const struct text length = {slash + 1,
                                    text.length - address.length - 1};

        if (!take_bits(length, most_bits(network), &network->bits)) {
            error_set(error, "behind the / stands a number from 0 to %u",
                      most_bits(network));
            return false;
        }
    }
    if (!clear_host_bits(network)) {
        error_set(error, "the address has more bits than %u: write %s",
                  network->bits, show(network, shown));
        return false;
    }
    unmap(network);
    return true;
}

static bool has(const struct client_network *network,
                const struct client_network *client)
{
    unsigned differ = 0;

    if (network->is_ipv6 != client->is_ipv6) {
        return false;
    }
    for (size_t i = 0; i < sizeof network->address; i++) {
        differ |= (unsigned)(network->address[i] ^ client->address[i]) &
                  mask_of(network->bits, i);
    }
    return differ == 0;
}

/* "IPv6:2001:db8::1" and "fe80::1%eth0": the address alone. */
static struct text bare_address(struct text text)
{
    static const char tag[] = "IPv6:";
    const char *zone;

    text = without_brackets(text);
    if (text.length > sizeof tag - 1 &&
        strncasecmp(text.bytes, tag, sizeof tag - 1) == 0) {
        text.bytes += sizeof tag - 1;
        text.length -= sizeof tag - 1;
    }
    zone = text.length == 0 ? NULL : memchr(text.bytes, '%', text.length);
    if (zone != NULL && memchr(text.bytes, ':', text.length) != NULL) {
        text.length = (size_t)(zone - text.bytes);
    }
    return text;
}

bool client_network_has(const struct client_network *networks, size_t count,
                        struct text address)
{
    struct client_network client;

    if (address.bytes == NULL ||
        !take_address(bare_address(address), &client)) {
        return false;
    }
    unmap(&client);
    for (size_t i = 0; i < count; i++) {
        if (has(&networks[i], &client)) {
            return true;
        }
    }
    return false;
}
