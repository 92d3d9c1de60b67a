/* explain.c: POST /explain: reads the query and a body with one image, computes in the lane that
 * the cost calls for, and answers. Runs on the exchange's HTTP thread, except for `work`, which the
 * batch lane runs on the compute thread. */
#include "api/explain.h"
#include "api/routes.h"

#include <stdlib.h>
#include <string.h>

#include "api/media_type.h"
#include "base/names.h"

/* An explanation costs about this many times as much as a prediction, since each layer is packed
 * and run by itself besides the plan. */
#define COST_FACTOR 4

enum { LARGEST_ZOOM = 16 };

static void explanation_free(void *data) {
    struct explanation *explanation = data;
    if (explanation == NULL)
        return;
    cn_trace_free(explanation->trace); /* borrows the model's network */
    cn_workspace_free(explanation->workspace);
    free(explanation);
}

/* ---- The query ---- */

/* The layers' names, for a message. */
static const char *list_layers(const struct cn_network *network, char *text, size_t size) {
    const char *names[CN_NETWORK_MAX_LAYERS + 1] = {0};
    for (size_t l = 0; l < network->layer_count; l++)
        names[l] = network->layers[l].name;
    return cn_name_list(names, text, size);
}

static enum cn_status read_layer(const char *name, const struct cn_network *network,
                                 size_t *ret_layer, struct cn_error *error) {
    char names[220];
    *ret_layer = CN_TRACE_ALL;
    if (name == NULL)
        return CN_OK;
    for (size_t l = 0; l < network->layer_count; l++) {
        if (strcmp(network->layers[l].name, name) != 0)
            continue;
        *ret_layer = l;
        return CN_OK;
    }
    return cn_fail(error, CN_INVALID, "there is no layer \"%.64s\"; the layers are %s", name,
                   list_layers(network, names, sizeof names));
}

static enum cn_status read_values(const char *word, enum explain_values *ret_values,
                                  struct cn_error *error) {
    static const char *const words[] = {
        [EXPLAIN_FLOATS] = "float", [EXPLAIN_BYTES] = "bytes", [EXPLAIN_NONE] = "none", NULL};
    const int values = word != NULL ? cn_name_index(words, word) : EXPLAIN_FLOATS;
    if (values < 0)
        return cn_fail(error, CN_INVALID, "values is \"%.32s\"; it must be float, bytes or none",
                       word);
    *ret_values = (enum explain_values)values;
    return CN_OK;
}

static enum cn_status read_filters(const char *word, bool standard, bool *ret_filters,
                                   struct cn_error *error) {
    *ret_filters = word != NULL ? *word == '1' : standard;
    if (word == NULL || strcmp(word, "0") == 0 || strcmp(word, "1") == 0)
        return CN_OK;
    return cn_fail(error, CN_INVALID, "filters is \"%.32s\"; it must be 0 or 1", word);
}

static enum cn_status read_zoom(const char *word, int *ret_zoom, struct cn_error *error) {
    const size_t length = word != NULL ? strspn(word, "0123456789") : 0;
    *ret_zoom = length > 0 && length < 4 ? atoi(word) : 0;
    if (word == NULL || (word[length] == '\0' && *ret_zoom >= 1 && *ret_zoom <= LARGEST_ZOOM))
        return CN_OK;
    return cn_fail(error, CN_INVALID, "zoom is \"%.32s\"; it must be a number from 1 to %d", word,
                   LARGEST_ZOOM);
}

static enum cn_status read_options(const struct http_exchange *exchange,
                                   const struct cn_network *network,
                                   struct explain_options *options, struct cn_error *error) {
    const char *accept = http_header(exchange, "Accept");
    char names[220];
    options->png =
        http_accept_quality(accept, "image/png") > http_accept_quality(accept, "application/json");
    enum cn_status status =
        read_layer(http_query(exchange, "layer"), network, &options->layer, error);
    if (status == CN_OK)
        status = read_values(http_query(exchange, "values"), &options->values, error);
    if (status == CN_OK)
        status =
            read_filters(http_query(exchange, "filters"), !options->png, &options->filters, error);
    if (status == CN_OK)
        status = read_zoom(http_query(exchange, "zoom"), &options->zoom, error);
    if (status == CN_OK && options->png && options->layer == CN_TRACE_ALL)
        return cn_fail(error, CN_INVALID,
                       "a picture shows one layer: ask for it with ?layer=NAME, one of %s",
                       list_layers(network, names, sizeof names));
    return status;
}

/* Parameters count too, if the answer contains them. */
static enum cn_status check_size(const struct explain_options *options,
                                 const struct cn_network *network, struct cn_error *error) {
    const size_t limit =
        options->values == EXPLAIN_FLOATS ? EXPLAIN_MAX_NUMBERS : EXPLAIN_MAX_BYTES;
    size_t values = 0;
    if (options->png)
        return explain_tiles_check(options, network, error);
    for (size_t l = 0; l < network->layer_count; l++) {
        if (options->layer != CN_TRACE_ALL && options->layer != l)
            continue;
        values += cn_shape_size(&network->layers[l].output_shape);
        values += options->filters ? network->layers[l].parameter_count : 0;
    }
    if (options->values == EXPLAIN_NONE || values <= limit)
        return CN_OK;
    return cn_fail(error, CN_LIMIT,
                   "the answer would have %zu values; the limit is %zu: ask for one layer with "
                   "?layer=NAME, leave the filters out with ?filters=0, or take ?values=bytes",
                   values, limit);
}

/* ---- The computation and the answer ---- */

/* Runs in either lane. */
static void explain_work(struct prediction *prediction) {
    const struct explanation *explanation = prediction->protocol_state;
    cn_trace_run(explanation->trace, prediction->images);
    /* The same outputs as /predict gives for this image, to the bit. */
    cn_plan_run(prediction->model->plan, explanation->workspace, prediction->images, 1,
                prediction->outputs);
}

static const char *explain_answer(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *prediction = exchange->state;
    const struct explanation *explanation = prediction->protocol_state;
    if (explanation->options.png)
        explain_tiles(prediction, text);
    else
        explain_render(prediction, text);
    return explanation->options.png ? "image/png" : "application/json";
}

/* Reads the query and allocates what it needs. */
static enum cn_status explain_prepare(const struct http_exchange *exchange,
                                      struct prediction *prediction, struct cn_error *error) {
    const struct served_model *model = prediction->model;
    const struct cn_network *network = model->model->network;
    struct explanation *explanation = calloc(1, sizeof *explanation);
    prediction->protocol_state = explanation;
    prediction->protocol_state_free = explanation_free;
    if (explanation == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the request");
    enum cn_status status = read_options(exchange, network, &explanation->options, error);
    if (status == CN_OK)
        status = picture_options_read(exchange, &prediction->options, error);
    if (status == CN_OK)
        status = check_size(&explanation->options, network, error);
    if (status == CN_OK)
        status = cn_trace_create(network, explanation->options.layer, EXPLAIN_MAX_BYTES,
                                 &explanation->trace, error);
    if (status == CN_OK)
        status = cn_workspace_create(model->plan, &explanation->workspace, error);
    return status;
}

static enum cn_status explain_read(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    const enum cn_status status =
        prediction_add_body(prediction, http_header(exchange, "Content-Type"), exchange->body,
                            exchange->body_length, error);
    if (status == CN_OK && prediction->count != 1)
        return cn_fail(error, CN_INVALID, "an explanation is of one image; the body has %zu",
                       prediction->count);
    return status;
}

enum http_outcome api_explain(struct http_exchange *exchange) {
    struct cn_error error = {0};
    if (!prediction_begin_pictures(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    prediction->max_images = 1;
    prediction->work = explain_work;
    prediction->work_cost = COST_FACTOR;
    if (explain_prepare(exchange, prediction, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    return prediction_run(exchange, explain_read, explain_answer);
}
