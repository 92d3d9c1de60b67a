/* embedded.h: source files that are part of the daemon's executable, so that it needs no files at
 * run time. The list is embedded_files in local.mk; scripts/embed-files makes the C source at build
 * time. */
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

/* The file with this name, or NULL. Names come from the source, so a missing one is a mistake of
 * the build. */
const struct api_embedded *api_embedded_find(const char *name);

#endif
