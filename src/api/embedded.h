/* embedded.h: files of the source that the daemon answers with, so that it needs none beside it.
 * The list is embedded_files in local.mk; scripts/embed-files makes the source at build time.
 */
#ifndef CONVNET_API_EMBEDDED_H
#define CONVNET_API_EMBEDDED_H

#include <stddef.h>

struct api_embedded {
    const char *name; /* without folders: "openapi.json" */
    const unsigned char *bytes;
    size_t length;
};
extern const struct api_embedded api_embedded_files[];
extern const size_t api_embedded_count;

/* The file with this name, which must be there, or NULL. */
const struct api_embedded *api_embedded_find(const char *name);

#endif
