/* predict.c: POST /predict: reads the query and a body in any of its forms, and answers. compute.c
 * computes. Runs on the exchange's HTTP thread, except for reading the body. */
#include <string.h>

#include "api/predict.h"
#include "api/routes.h"

static enum cn_status predict_read(struct http_exchange *exchange, struct cn_error *error) {
    return prediction_add_body(exchange->state, http_header(exchange, "Content-Type"),
                               exchange->body, exchange->body_length, error);
}

static const char *predict_answer(struct http_exchange *exchange, struct cn_text *text) {
    return predict_render(exchange->state, predict_format_of(http_header(exchange, "Accept")),
                          text);
}

enum http_outcome api_predict(struct http_exchange *exchange) {
    struct cn_error error = {0};
    if (!prediction_begin_pictures(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    const char *strict = http_query(exchange, "strict");
    if (picture_options_read(exchange, &prediction->options, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    if (strict != NULL && strcmp(strict, "0") != 0 && strcmp(strict, "1") != 0)
        return http_reply_error(exchange, 400, "strict is \"%.64s\"; it must be 0 or 1", strict);
    if (prediction_read_error(exchange, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    prediction->lenient = strict == NULL || strict[0] == '0';
    return prediction_run(exchange, predict_read, predict_answer);
}
