/* openapi.c: GET /openapi.json, the API's description, and the lookup of embedded files. The tests
 * compare the description with the route table and with a running server. Constant data. */
#include <stdlib.h>
#include <string.h>

#include "api/embedded.h"
#include "api/routes.h"
#include "http/exchange.h"
#include "json/write.h"

const struct api_embedded *api_embedded_find(const char *name) {
    for (size_t i = 0; i < api_embedded_count; i++)
        if (strcmp(api_embedded_files[i].name, name) == 0)
            return &api_embedded_files[i];
    return NULL;
}

enum http_outcome api_openapi(struct http_exchange *exchange) {
    const struct api_embedded *file = api_embedded_find("openapi.json");
    struct cn_text text = {0};
    if (file == NULL)
        return http_reply_error(exchange, 500, "openapi.json is not built in");
    cn_text_add_bytes(&text, file->bytes, file->length);
    return http_reply_text(exchange, 200, "application/json", &text);
}
