/* index.c: GET /: one line that says what this is and how to ask it. */
#include "http/exchange.h"
#include "http/text.h"

enum http_outcome http_index(struct http_exchange *exchange) {
    struct http_text text = {0};
    enum registry_answer found;
    struct served_model *model = registry_acquire(exchange->context->models, NULL, 0, &found);
    http_text_add(&text, "{\"name\":\"convnetd\",\"version\":\"" PACKAGE_VERSION "\",\"model\":");
    if (model != NULL) {
        http_text_add(&text, "\"");
        http_text_add_json(&text, model->name);
        http_text_add(&text, "\"");
    } else {
        http_text_add(&text, "null");
    }
    http_text_add(&text, ",\"predict\":\"curl --data-binary @digit.png http://HOST/predict\"}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
