/*
 * A location of Redis: one that is refused says why in one line, one that is
 * taken is named as it was written. No name is resolved here.
 */
#include "redis_endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LOCATION_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

/* Bytes beyond ASCII may be quoted from a path, but no controls. */
static bool is_line(const char *text)
{
    for (const char *byte = text; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) {
            return false;
        }
    }
    return text[0] != '\0';
}

static void check_taken(struct redis_endpoint *endpoint, const char *location)
{
    struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
    bool has_sentinels = strncmp(location, "sentinel:", 9) == 0;
    size_t count = redis_endpoint_addresses(endpoint, found);

    require(strcmp(redis_endpoint_name(endpoint), location) == 0);
    require(is_line(location));
    require(redis_endpoint_database(endpoint) >= 0);
    require(redis_endpoint_wants_master(endpoint) == has_sentinels);
    require(count <= REDIS_ENDPOINT_ADDRESSES);
    require(!has_sentinels || count == 0);
    for (size_t i = 0; i < count; i++) {
        require(found[i].length > 0 &&
                found[i].length <= sizeof found[i].address);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char location[LOCATION_MAX];
    struct redis_endpoint_options options = {.location = location, .user = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint;

    if (size >= sizeof location) {
        return 0;
    }
    if (size > 0) {
        memcpy(location, data, size);
    }
    location[size] = '\0';
    endpoint = redis_endpoint_new(&options, &error);
    if (endpoint != NULL) {
        check_taken(endpoint, location);
    } else {
        require(strncmp(error.text, "redis: ", 7) == 0 && is_line(error.text));
    }
    redis_endpoint_free(endpoint);
    return 0;
}
