/* admission.c: finds out from a request's head alone whether the batch lane will have no room for
 * it. Its body is then neither kept nor decoded, which can cost as much as computing it. Handles
 * only bodies whose length gives the number of images. Runs on the exchange's HTTP thread. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/admission.h"

/* Smaller bodies are not checked, since they cost little. */
enum { LEAST_BYTES = 32768 };

/* The least number of images in a body of `length` bytes; 0: unknown. */
static size_t images_at_least(const struct http_exchange *exchange, size_t length,
                              size_t image_size) {
    static const char raw[] = "application/octet-stream";
    const char *json = http_header(exchange, "Inference-Header-Content-Length");
    const char *type = http_header(exchange, "Content-Type");
    if (json != NULL) { /* the tensors after the JSON have at most four bytes per number */
        const unsigned long long skipped = strtoull(json, NULL, 10);
        return skipped < length ? (length - (size_t)skipped) / (4 * image_size) : 0;
    }
    if (type == NULL || strncasecmp(type, raw, sizeof raw - 1) != 0 || length % image_size != 0)
        return 0;
    return length / image_size;
}

size_t http_admission_memory(const struct http_exchange *exchange, size_t length) {
    enum registry_answer found;
    struct served_model *model =
        registry_acquire(exchange->context->models, exchange->arguments.values[0], 0, &found);
    if (model == NULL)
        return length;
    const size_t input = cn_plan_input_size(model->plan);
    const size_t images = images_at_least(exchange, length, input);
    const size_t row = (input + cn_plan_output_row(model->plan)) * sizeof(float);
    served_model_release(model);
    return length + 1 + images * row; /* a body ends with a NUL; images <= length */
}

size_t http_admission_refused(const struct http_exchange *exchange, size_t length) {
    const struct http_context *context = exchange->context;
    enum registry_answer found;
    struct served_model *model =
        length >= LEAST_BYTES
            ? registry_acquire(context->models, exchange->arguments.values[0], 0, &found)
            : NULL;
    if (model == NULL)
        return 0;
    const size_t images = images_at_least(exchange, length, cn_plan_input_size(model->plan));
    const bool refused = images > 0 &&
                         (double)images * model->image_seconds > context->inline_seconds &&
                         !lane_has_room(context->lane, http_client_number(exchange), images);
    served_model_release(model);
    return refused ? images : 0;
}
