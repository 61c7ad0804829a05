/* What is taken for this host is: another's name never is. */
#include "web_address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No letter but of localhost and of hexadecimal numbers in brackets. */
static bool could_be_local(struct text host)
{
    return host.length >= 5 &&
           (strncmp(host.bytes, "127.", 4) == 0 || host.bytes[0] == '[' ||
            (host.length >= 9 && strncasecmp(host.bytes, "localhost", 9) == 0));
}

static bool is_loopback(const struct web_address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->socket;
    const struct sockaddr_in6 *v6 = (const void *)&address->socket;

    return address->socket.ss_family == AF_INET6
               ? address->length == sizeof *v6 && v6->sin6_port != 0 &&
                     IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)
               : address->length == sizeof *v4 && v4->sin_port != 0 &&
                     ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text input = {(const char *)data, size};
    struct web_address address;
    struct error error = {""};
    char listen[INPUT_MAX];

    if (web_address_is_local(input) && !could_be_local(input)) {
        abort();
    }
    (void)text_copy(input, listen, sizeof listen);
    if (web_address_parse(listen, &address, &error) ? !is_loopback(&address)
                                                    : error.text[0] == '\0') {
        abort();
    }
    return 0;
}
