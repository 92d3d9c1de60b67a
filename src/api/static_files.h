/* static_files.h: the page that a browser gets. */
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

#endif
