/*
 * web_asset.h - the files of the web page, within the program
 *
 * Made from packaging/web by build-aux/embed.sh at build time.
 */
#ifndef NIXIE_WEB_ASSET_H
#define NIXIE_WEB_ASSET_H

#include <stddef.h>

struct web_asset {
    const char *path; /* "/app.js" */
    const char *content_type;
    const unsigned char *bytes;
    size_t length;
};

extern const struct web_asset web_assets[];
extern const size_t web_asset_count;

#endif
