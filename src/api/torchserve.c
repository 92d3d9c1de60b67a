/* torchserve.c: TorchServe's inference API: POST /predictions/{model}[/{version}] and GET /ping.
 * The answer is that of its image classifier: an object of the five most probable labels and their
 * probabilities, most probable first, or a list of such objects for several images. Runs on the
 * exchange's HTTP thread. */
#include <string.h>

#include "api/predict.h"
#include "api/routes.h"
#include "model/outputs.h"

enum { TOP = 5 };

/* The index of the next most probable class after (value, index); equal probabilities are in the
 * order of the classes. */
static size_t next_class(const float *p, size_t count, size_t after) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        const bool later = after == count || p[i] < p[after] || (p[i] == p[after] && i > after);
        if (later && (best == count || p[i] > p[best]))
            best = i;
    }
    return best;
}

static void add_image(struct cn_text *text, const struct cn_model *model, const float *p) {
    const size_t count = model->output_size;
    size_t class = count;
    if (model->label_count !=
        count) { /* a network without classes, or with one number for two classes */
        cn_outputs_add_json(text, model, p, 0);
        return;
    }
    for (size_t i = 0; i < TOP && i < count; i++) {
        class = next_class(p, count, class);
        if (class == count) /* only with NaN, which a softmax cannot give */
            break;
        cn_json_add_float(text, model->labels[class], p[class]);
    }
}

static const char *torchserve_render(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *prediction = exchange->state;
    const struct cn_model *model = prediction->model->model;
    const bool list = prediction->count > 1;
    if (list)
        cn_json_open(text, NULL, '[');
    for (size_t i = 0; i < prediction->count; i++) {
        cn_json_open(text, NULL, '{');
        add_image(text, model, prediction_outputs(prediction, i));
        cn_json_close(text, '}');
    }
    cn_text_add(text, list ? "]\n" : "\n");
    return "application/json";
}

static enum cn_status torchserve_read(struct http_exchange *exchange, struct cn_error *error) {
    return prediction_add_body(exchange->state, http_header(exchange, "Content-Type"),
                               exchange->body, exchange->body_length, error);
}

enum http_outcome api_torchserve_predictions(struct http_exchange *exchange) {
    if (!prediction_begin_pictures(exchange))
        return HTTP_REPLIED;
    return prediction_run(exchange, torchserve_read, torchserve_render);
}

enum http_outcome api_torchserve_ping(struct http_exchange *exchange) {
    const bool ready = exchange->context->ready(exchange->context->data);
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "status", ready ? "Healthy" : "Unhealthy");
    cn_text_add(&text, "}\n");
    return http_reply_text(exchange, ready ? 200 : 503, "application/json", &text);
}
