/* openapi.c: GET /openapi.json, the contract, and the files that are built in. What it says is held
 * against the route table and a running server by the tests. Constant data. */
#include <stdlib.h>
#include <string.h>

#include "http/embedded.h"
#include "http/exchange.h"
#include "http/text.h"

const struct http_embedded *http_embedded_find(const char *name) {
    for (size_t i = 0; i < http_embedded_count; i++)
        if (strcmp(http_embedded_files[i].name, name) == 0)
            return &http_embedded_files[i];
    return NULL;
}

enum http_outcome http_openapi(struct http_exchange *exchange) {
    const struct http_embedded *file = http_embedded_find("openapi.json");
    struct http_text text = {0};
    if (file == NULL)
        return http_reply_error(exchange, 500, "openapi.json is not built in");
    http_text_add_bytes(&text, file->bytes, file->length);
    return http_reply_text(exchange, 200, "application/json", &text);
}
