/* index.c: GET /: the page for a browser; for all others one line of JSON that says what this is,
 * what it takes and how to ask it. */
#include "http/accept.h"
#include "http/exchange.h"
#include "http/text.h"

static void add_model(struct http_text *text, const struct served_model *served) {
    const struct cn_shape *shape = &served->model->network->input_shape;
    http_text_add(text, "\"");
    http_text_add_json(text, served->name);
    http_text_add(text, "\",\"input_shape\":[");
    for (int i = 0; i < shape->rank; i++) {
        http_text_add(text, i > 0 ? "," : "");
        http_text_add_size(text, (size_t)shape->dims[i]);
    }
    http_text_add(text, "],\"labels\":[");
    for (size_t i = 0; i < served->model->label_count; i++) {
        http_text_add(text, i > 0 ? ",\"" : "\"");
        http_text_add_json(text, served->model->labels[i]);
        http_text_add(text, "\"");
    }
    http_text_add(text, "]");
}

enum http_outcome http_index(struct http_exchange *exchange) {
    const char *accept = http_header(exchange, "Accept");
    if (http_accept_quality(accept, "text/html") > http_accept_quality(accept, "application/json"))
        return http_page_file(exchange);
    struct http_text text = {0};
    enum registry_answer found;
    struct served_model *model = registry_acquire(exchange->context->models, NULL, 0, &found);
    http_text_add(&text, "{\"name\":\"convnetd\",\"version\":\"" PACKAGE_VERSION "\",\"model\":");
    if (model != NULL)
        add_model(&text, model);
    else
        http_text_add(&text, "null");
    http_text_add(&text, ",\"predict\":\"curl --data-binary @digit.png http://HOST/predict\"}\n");
    served_model_release(model);
    http_add_header(exchange, MHD_HTTP_HEADER_VARY, "Accept");
    return http_reply_text(exchange, 200, "application/json", &text);
}
