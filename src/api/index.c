/* index.c: GET / answers a browser with the page, and every other client with one line of JSON that
 * says what this server is, what it accepts and how to ask it. */
#include "api/media_type.h"
#include "api/routes.h"
#include "http/exchange.h"
#include "json/write.h"

static void add_model(struct cn_text *text, const struct served_model *served) {
    const struct cn_shape *shape = &served->model->network->input_shape;
    cn_json_add_string(text, "model", served->name);
    cn_json_add_integers(text, "input_shape", shape->dims, (size_t)shape->rank);
    cn_json_open(text, "labels", '[');
    for (size_t i = 0; i < served->model->label_count; i++)
        cn_json_add_string(text, NULL, served->model->labels[i]);
    cn_json_close(text, ']');
}

enum http_outcome api_index(struct http_exchange *exchange) {
    const char *accept = http_header(exchange, "Accept");
    if (http_accept_quality(accept, "text/html") > http_accept_quality(accept, "application/json"))
        return api_page_file(exchange);
    struct cn_text text = {0};
    enum registry_answer found;
    struct served_model *model = /* unlike /v2/models, nothing is said to clients without a key */
        http_is_client(exchange) ? registry_acquire(exchange->context->models, NULL, 0, &found)
                                 : NULL;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", "convnetd");
    cn_json_add_string(&text, "version", PACKAGE_VERSION);
    if (model != NULL)
        add_model(&text, model);
    else
        cn_json_add_null(&text, "model");
    cn_json_add_string(&text, "predict", "curl --data-binary @digit.png http://HOST/predict");
    cn_text_add(&text, "}\n");
    served_model_release(model);
    http_add_header(exchange, MHD_HTTP_HEADER_VARY, "Accept");
    return http_reply_text(exchange, 200, "application/json", &text);
}
