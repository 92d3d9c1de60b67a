/* embedded.h: files of the source that the daemon answers with, so that it needs none beside it.
 * The list is embedded_files in endpoints.mk; scripts/embed-files makes the source at build time.
 */
#ifndef CONVNET_HTTP_EMBEDDED_H
#define CONVNET_HTTP_EMBEDDED_H

#include <stddef.h>

struct http_embedded {
    const char *name; /* without folders: "openapi.json" */
    const unsigned char *bytes;
    size_t length;
};
extern const struct http_embedded http_embedded_files[];
extern const size_t http_embedded_count;

/* The file with this name, which must be there, or NULL. */
const struct http_embedded *http_embedded_find(const char *name);

#endif
