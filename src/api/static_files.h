/* static_files.h: the page that a browser gets, and the files that are built in. */
#ifndef CONVNET_API_STATIC_FILES_H
#define CONVNET_API_STATIC_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* THE list of the page's files: path, embedded file, media type. */
struct http_page_row {
    const char *path, *name, *type;
};
extern const struct http_page_row http_page_rows[];
extern const size_t http_page_row_count;

/* True if an If-None-Match header (may be NULL) names `tag` or is "*": RFC 9110, 13.1.2. `tag` is
 * quoted, without W/. */
bool http_page_matches(const char *if_none_match, const char *tag);

/* ---- Source files that are part of the executable, so that it needs none at run time ----
 * The list is embedded_files in local.mk; scripts/embed-files makes the C source at build time. */

struct api_embedded {
    const char *name; /* without folders: "openapi.json" */
    const unsigned char *bytes;
    size_t length;
};
extern const struct api_embedded api_embedded_files[];
extern const size_t api_embedded_count;

/* The file with this name, or NULL. Names come from the source, so a missing one is a mistake of
 * the build. */
const struct api_embedded *api_embedded_find(const char *name);

#endif
