/* static_files.c: the page's files, with headers that restrict a browser to them: no script, style,
 * picture or connection from elsewhere, and no frame around the page. Runs on the exchange's HTTP
 * thread; the files are constant. */
#include "api/static_files.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "base/sha256.h"
#include "http/coding.h"
#include "http/exchange.h"
#include "json/write.h"

/* ---- What is built in ---- */

const struct api_embedded *api_embedded_find(const char *name) {
    for (size_t i = 0; i < api_embedded_count; i++)
        if (strcmp(api_embedded_files[i].name, name) == 0)
            return &api_embedded_files[i];
    return NULL;
}

/* ---- The files as gzip, made at the first request: each would take a millisecond every time ----
 */

static struct packed_file {
    char *bytes; /* NULL: the file is sent as it is */
    size_t length;
} * packed_files; /* [api_embedded_count]; kept until the process ends */

static void pack_files(void) {
    packed_files = calloc(api_embedded_count, sizeof *packed_files);
    for (size_t i = 0; packed_files != NULL && i < api_embedded_count; i++)
        packed_files[i].bytes = http_coding_gzip(
            api_embedded_files[i].bytes, api_embedded_files[i].length, &packed_files[i].length);
}

static const struct packed_file *packed_find(const struct api_embedded *file) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, pack_files);
    const struct packed_file *packed =
        packed_files != NULL ? &packed_files[file - api_embedded_files] : NULL;
    return packed != NULL && packed->bytes != NULL ? packed : NULL;
}

static enum http_outcome send_embedded(struct http_exchange *exchange,
                                       const struct api_embedded *file, const char *type) {
    const struct packed_file *packed = NULL;
    struct cn_text text = {0};
    if (http_coding_is_worthwhile(type, file->length) &&
        http_coding_accepts_gzip(http_header(exchange, "Accept-Encoding")))
        packed = packed_find(file);
    if (packed == NULL) {
        cn_text_add_bytes(&text, file->bytes, file->length);
        return http_reply_text(exchange, 200, type, &text);
    }
    http_add_header(exchange, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    http_add_header(exchange, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    cn_text_add_bytes(&text, packed->bytes, packed->length);
    return http_reply_text(exchange, 200, type, &text);
}

enum http_outcome api_openapi(struct http_exchange *exchange) {
    const struct api_embedded *file = api_embedded_find("openapi.json");
    return file != NULL ? send_embedded(exchange, file, "application/json")
                        : http_reply_error(exchange, 500, "openapi.json is not built in");
}

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                    \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const struct http_page_row http_page_rows[] = {
    {"/", "index.html", "text/html; charset=utf-8"},
    {"/page/style.css", "style.css", "text/css; charset=utf-8"},
    {"/page/page.js", "page.js", "text/javascript; charset=utf-8"},
    {"/page/answers.js", "answers.js", "text/javascript; charset=utf-8"},
    {"/page/drawing.js", "drawing.js", "text/javascript; charset=utf-8"},
    {"/page/layers.js", "layers.js", "text/javascript; charset=utf-8"},
    {"/page/png.js", "png.js", "text/javascript; charset=utf-8"},
    {"/page/tiles.js", "tiles.js", "text/javascript; charset=utf-8"},
    {"/page/icon.svg", "icon.svg", "image/svg+xml"},
};
const size_t http_page_row_count = sizeof http_page_rows / sizeof *http_page_rows;

bool http_page_matches(const char *if_none_match, const char *tag) {
    const char *at = if_none_match;
    while (at != NULL && *at != '\0') {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        if (strncmp(at, tag, strlen(tag)) == 0)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

enum { TAG_DIGITS = 32 };

/* Writes the content's checksum as a quoted entity tag. */
static void tag_of(const struct api_embedded *file, char tag[static TAG_DIGITS + 3]) {
    const struct cn_file_part part = {file->bytes, file->length};
    char digest[CN_SHA256_TEXT];
    cn_sha256(&part, 1, digest);
    (void)snprintf(tag, TAG_DIGITS + 3, "\"%.*s\"", TAG_DIGITS, digest);
}

static void add_headers(struct http_exchange *exchange, const char *tag) {
    char weak[TAG_DIGITS + 5];
    /* The tag is weak, since the answer may be compressed. */
    (void)snprintf(weak, sizeof weak, "W/%s", tag);
    http_add_header(exchange, MHD_HTTP_HEADER_ETAG, weak);
    /* Browsers must revalidate each time, since the next version of the daemon has another page. */
    http_add_header(exchange, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    http_add_header(exchange, "Content-Security-Policy", POLICY);
    http_add_header(exchange, "X-Content-Type-Options", "nosniff");
    http_add_header(exchange, "Referrer-Policy", "no-referrer");
    if (strcmp(exchange->path, "/") == 0)
        http_add_header(exchange, MHD_HTTP_HEADER_VARY, "Accept");
}

static enum http_outcome send_file(struct http_exchange *exchange,
                                   const struct http_page_row *row) {
    const struct api_embedded *file = api_embedded_find(row->name);
    char tag[TAG_DIGITS + 3];
    if (file == NULL)
        return http_reply_error(exchange, 500, "%s is not built in", row->name);
    tag_of(file, tag);
    add_headers(exchange, tag);
    if (http_page_matches(http_header(exchange, "If-None-Match"), tag))
        return http_reply(exchange, 304, NULL, NULL, 0);
    return send_embedded(exchange, file, row->type);
}

/* The file at the exchange's path: 200, or 304 when the client has it already. */
enum http_outcome api_page_file(struct http_exchange *exchange) {
    for (size_t i = 0; i < http_page_row_count; i++)
        if (strcmp(http_page_rows[i].path, exchange->path) == 0)
            return send_file(exchange, &http_page_rows[i]);
    return http_reply_error(exchange, 404, "the page has no such file");
}
