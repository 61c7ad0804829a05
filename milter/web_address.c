#include "web_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 63 /* of the names that we take */
#define PORT_MAX 65535

/* Host and port of "HOST:PORT" and "[HOST]:PORT"; port: unknown if absent. */
struct parts {
    char host[HOST_MAX + 1];
    bool bracketed;
    struct text port;
};

static bool is_number(struct text text)
{
    if (text.length == 0 || text.length > 5) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool split(struct text text, struct parts *parts)
{
    struct text host = text;
    const char *end;

    if (text.length == 0) {
        return false;
    }
    parts->bracketed = text.bytes[0] == '[';
    if (parts->bracketed) {
        host.bytes++;
        host.length--;
    }
    end = memchr(host.bytes, parts->bracketed ? ']' : ':', host.length);
    if (end == NULL && parts->bracketed) {
        return false;
    }
    if (end != NULL) {
        host.length = (size_t)(end - host.bytes);
        end += parts->bracketed ? 1 : 0;
    } else {
        end = text.bytes + text.length;
    }
    parts->port = (struct text){NULL, 0};
    if (end != text.bytes + text.length) {
        parts->port.bytes = end + 1;
        parts->port.length = (size_t)(text.bytes + text.length - end) - 1;
        if (*end != ':' || !is_number(parts->port)) {
            return false;
        }
    }
    return host.length > 0 && host.length <= HOST_MAX &&
           memchr(host.bytes, '\0', host.length) == NULL &&
           text_copy(host, parts->host, sizeof parts->host) == host.length;
}

/* The address alone; false: it is none of loopback, nor localhost. */
static bool is_loopback(const struct parts *parts, struct web_address *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address->socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address->socket;
    const char *host =
        strcasecmp(parts->host, "localhost") == 0 ? "127.0.0.1" : parts->host;

    memset(address, 0, sizeof *address);
    if (parts->bracketed) {
        address->length = sizeof *v6;
        v6->sin6_family = AF_INET6;
        return inet_pton(AF_INET6, parts->host, &v6->sin6_addr) == 1 &&
               IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    address->length = sizeof *v4;
    v4->sin_family = AF_INET;
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 &&
           ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static void set_port(struct web_address *address, unsigned long port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address->socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address->socket;

    if (address->socket.ss_family == AF_INET6) {
        v6->sin6_port = htons((uint16_t)port);
    } else {
        v4->sin_port = htons((uint16_t)port);
    }
}

bool web_address_parse(const char *listen, struct web_address *address,
                       struct error *error)
{
    struct parts parts;
    unsigned long port;

    if (!split(text_of(listen), &parts) || parts.port.bytes == NULL) {
        error_set(error, "write \"127.0.0.1:9895\" or \"[::1]:9895\"; \"\" is "
                         "no listener");
        return false;
    }
    port = strtoul(parts.port.bytes, NULL, 10);
    if (port < 1 || port > PORT_MAX) {
        error_set(error, "a port is a number from 1 to %d", PORT_MAX);
        return false;
    }
    if (!is_loopback(&parts, address)) {
        error_set(error, "that is no address of loopback, and whoever can "
                         "connect could read whom mail is sent to; write "
                         "\"127.0.0.1:9895\" and put a proxy that asks for a "
                         "password in front");
        return false;
    }
    set_port(address, port);
    return true;
}

bool web_address_is_local(struct text host)
{
    struct web_address ignored;
    struct parts parts;

    return split(host, &parts) && is_loopback(&parts, &ignored);
}
