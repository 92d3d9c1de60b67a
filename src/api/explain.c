/* explain.c: POST /explain: reads the query and a body with one image, computes and answers. The
 * preparer reads the body, computes and writes the answer, which takes milliseconds; the exchange's
 * HTTP thread reads the query and sends. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/media_type.h"
#include "api/predict.h"
#include "api/routes.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/number.h"
#include "convnet/trace.h"
#include "model/signature.h"

enum {
    EXPLAIN_MAX_NUMBERS = 1 << 20, /* most values in one answer as decimal numbers */
    EXPLAIN_MAX_BYTES = 1 << 22,   /* most values in one answer as bytes, and most pixels */
    EXPLAIN_WORDS = 1 << 16        /* room for names and shapes in an answer */
};

enum explain_values { EXPLAIN_FLOATS = 0, EXPLAIN_BYTES, EXPLAIN_NONE };

/* The options in the query and in the Accept header. */
struct explain_options {
    enum explain_values values;
    bool png;     /* the tiles of one layer as a PNG instead of JSON */
    bool filters; /* JSON: include the parameters; PNG: show the kernel instead of the feature maps
                   */
    size_t layer; /* index of the layer, or CN_TRACE_ALL */
    int zoom;     /* PNG: pixels per value; 0: chosen so that a tile has a good size */
};

/* The state of an explanation: its prediction's protocol_state. */
struct explanation {
    struct explain_options options;
    struct cn_workspace *workspace;
    struct cn_trace *trace;
    struct cn_network *weights; /* with the parameters that the model has given back; may be NULL */
    size_t answer_bytes;        /* at most */
    struct cn_text answer;
};

/* The smallest and the largest of `count` >= 1 values. */
struct explain_range {
    float minimum, maximum;
};

/* ---- The answer as JSON ---- */

static struct explain_range explain_range_of(const float *values, size_t count) {
    struct explain_range range = {values[0], values[0]};
    for (size_t i = 1; i < count; i++) {
        range.minimum = values[i] < range.minimum ? values[i] : range.minimum;
        range.maximum = values[i] > range.maximum ? values[i] : range.maximum;
    }
    return range;
}

/* One byte per value, in base64: 0 is the minimum, 255 the maximum. */
static void add_bytes(struct cn_text *text, const float *values, size_t count,
                      struct explain_range range) {
    const float span = range.maximum - range.minimum;
    const float scale = span > 0 ? 255 / span : 0;
    uint8_t *bytes = malloc(count);
    text->failed |= bytes == NULL;
    for (size_t i = 0; bytes != NULL && i < count; i++) {
        const float value = (values[i] - range.minimum) * scale + 0.5f;
        bytes[i] = value < 255 ? (uint8_t)value : 255;
    }
    cn_json_add_base64(text, "values", bytes, count);
    free(bytes);
}

/* Adds "minimum", "maximum" and "values" in the form that the request asks for. */
static void add_values(struct cn_text *text, const float *values, size_t count,
                       enum explain_values how) {
    const struct explain_range range = explain_range_of(values, count);
    cn_json_add_float(text, "minimum", range.minimum);
    cn_json_add_float(text, "maximum", range.maximum);
    if (how == EXPLAIN_BYTES)
        add_bytes(text, values, count, range);
    else if (how != EXPLAIN_NONE)
        cn_json_add_floats(text, "values", values, count);
}

/* The network with its parameters. */
static const struct cn_network *explain_network(const struct prediction *prediction) {
    const struct explanation *explanation = prediction->protocol_state;
    return explanation->weights != NULL ? explanation->weights : prediction->model->model->network;
}

static void add_tensors(struct cn_text *text, const struct cn_network *network,
                        const struct cn_layer *layer, enum explain_values how) {
    const float *values = network->parameters + layer->parameter_offset;
    cn_json_open(text, "tensors", '[');
    for (size_t t = 0; t < layer->tensor_count; t++) {
        const struct cn_tensor_spec *tensor = &layer->tensors[t];
        size_t size = 1;
        for (int i = 0; i < tensor->rank; i++)
            size *= (size_t)tensor->dims[i];
        cn_json_open(text, NULL, '{');
        cn_json_add_string(text, "name", tensor->name);
        cn_json_add_integers(text, "shape", tensor->dims, (size_t)tensor->rank);
        add_values(text, values, size, how);
        cn_json_close(text, '}');
        values += size;
    }
    cn_json_close(text, ']');
}

static void add_layer(struct cn_text *text, const struct prediction *prediction, size_t l) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct explain_options *options = &explanation->options;
    const struct cn_network *network = explain_network(prediction);
    const struct cn_layer *layer = &network->layers[l];
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", layer->name);
    cn_json_add_string(text, "type", cn_layer_type_name(layer->type));
    cn_json_add_integers(text, "output_shape", layer->output_shape.dims,
                         (size_t)layer->output_shape.rank);
    add_values(text, cn_trace_output(explanation->trace, l), cn_shape_size(&layer->output_shape),
               options->values);
    if (options->filters)
        add_tensors(text, network, layer, options->values);
    cn_json_close(text, '}');
}

static void explain_render(const struct prediction *prediction, struct cn_text *text) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct cn_network *network = prediction->model->model->network;
    const size_t only = explanation->options.layer;
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "model", prediction->model->name);
    cn_json_open(text, "prediction", '{');
    predict_add_json(text, prediction, 0);
    cn_json_close(text, '}');
    cn_json_open(text, "input", '{');
    cn_json_add_integers(text, "shape", network->input_shape.dims,
                         (size_t)network->input_shape.rank);
    add_values(text, prediction->images, prediction->image_size, explanation->options.values);
    cn_json_close(text, '}');
    cn_json_open(text, "layers", '[');
    for (size_t l = only == CN_TRACE_ALL ? 0 : only; l < network->layer_count; l++) {
        add_layer(text, prediction, l);
        if (l == only)
            break;
    }
    cn_text_add(text, "]}\n");
}

/* ---- The answer as a picture: one grey PNG with one tile per map or filter ---- */

enum { LARGEST_ZOOM = 16, TARGET_TILE = 48, GAP_GREY = 64 };

/* A grid of `rows` x `columns` tiles of `height` x `width` values; only the first `count` tiles
 * exist. The index of value (y, x) of tile (row, column) is the sum of each coordinate times its
 * step. */
struct mosaic {
    size_t height, width, rows, columns, count;
    size_t step_y, step_x, step_row, step_column;
};

/* [height, width, channels]: one tile per channel, in a square grid that is filled row by row. */
static struct mosaic mosaic_square(size_t height, size_t width, size_t channels) {
    size_t columns = 1;
    while (columns * columns < channels)
        columns++;
    return (struct mosaic){height,   width,    (channels + columns - 1) / columns,
                           columns,  channels, width * channels,
                           channels, columns,  1};
}

/* [height, width]: a single tile. */
static struct mosaic mosaic_matrix(size_t height, size_t width) {
    return (struct mosaic){height, width, 1, 1, 1, width, 1, 0, 0};
}

/* The product of dims[from] to dims[to - 1]. */
static size_t product(const int *dims, int from, int to) {
    size_t size = 1;
    for (int i = from; i < to; i++)
        size *= (size_t)dims[i];
    return size;
}

/* A tile per channel; the axes before the last two are one below the other. */
static struct mosaic mosaic_of_maps(const struct cn_shape *shape) {
    const int *dims = shape->dims, rank = shape->rank;
    return rank == 1   ? mosaic_matrix(1, (size_t)dims[0])
           : rank == 2 ? mosaic_matrix((size_t)dims[0], (size_t)dims[1])
                       : mosaic_square(product(dims, 0, rank - 2), (size_t)dims[rank - 2],
                                       (size_t)dims[rank - 1]);
}

/* A convolution's kernel: one column of tiles per filter, one row per input channel; over one axis,
 * a tile of steps x input channels per filter. Other kernels are one tile. */
static struct mosaic mosaic_of_kernel(const struct cn_tensor_spec *kernel) {
    const int *dims = kernel->dims, last = kernel->rank - 1;
    if (kernel->rank == 3)
        return mosaic_square((size_t)dims[0], (size_t)dims[1], (size_t)dims[2]);
    if (kernel->rank != 4)
        return mosaic_matrix(product(dims, 0, last), (size_t)dims[last]);
    const size_t d[] = {(size_t)dims[0], (size_t)dims[1], (size_t)dims[2], (size_t)dims[3]};
    if (d[2] == 1)
        return mosaic_square(d[0], d[1], d[3]);
    return (struct mosaic){d[0],        d[1], d[2], d[3], d[2] * d[3], d[1] * d[2] * d[3],
                           d[2] * d[3], d[3], 1};
}

/* The conversion of values to grey levels. Maps: the layer's minimum is black, its maximum white.
 * Kernels: zero is middle grey. */
struct tone {
    float offset, scale;
};

static struct tone tone_of(struct explain_range range, bool is_signed) {
    const float largest = fmaxf(fabsf(range.minimum), fabsf(range.maximum));
    const float span = range.maximum - range.minimum;
    if (is_signed)
        return (struct tone){128, largest > 0 ? 127 / largest : 0};
    const float scale = span > 0 ? 255 / span : 0;
    return (struct tone){-range.minimum * scale, scale};
}

static uint8_t grey_of(struct tone tone, float value) {
    const float grey = value * tone.scale + tone.offset + 0.5f;
    return grey >= 0 && grey < 255 ? (uint8_t)grey : grey >= 255 ? 255 : 0;
}

/* Draws one tile at `to`; a row of the sheet has `stride` bytes. */
static void tile_draw(uint8_t *to, size_t stride, const struct mosaic *m, size_t zoom,
                      const float *values, struct tone tone) {
    for (size_t y = 0; y < m->height * zoom; y++)
        for (size_t x = 0; x < m->width * zoom; x++)
            to[y * stride + x] = grey_of(tone, values[y / zoom * m->step_y + x / zoom * m->step_x]);
}

static size_t zoom_of(const struct mosaic *m, int requested) {
    const size_t side = m->height > m->width ? m->height : m->width;
    const size_t zoom = requested > 0 ? (size_t)requested : TARGET_TILE / side;
    return zoom < 1 ? 1 : zoom > LARGEST_ZOOM ? LARGEST_ZOOM : zoom;
}

/* The size of the whole picture in pixels: the tiles, with a line around each if there are several.
 */
struct sheet {
    size_t zoom, gap, tile_width, tile_height, width, height;
};

static struct sheet sheet_of(const struct mosaic *m, int requested_zoom) {
    struct sheet sheet = {.zoom = zoom_of(m, requested_zoom), .gap = m->count > 1 ? 1 : 0};
    sheet.tile_width = m->width * sheet.zoom + sheet.gap;
    sheet.tile_height = m->height * sheet.zoom + sheet.gap;
    sheet.width = m->columns * sheet.tile_width + sheet.gap;
    sheet.height = m->rows * sheet.tile_height + sheet.gap;
    return sheet;
}

static struct mosaic mosaic_of(const struct explain_options *options,
                               const struct cn_layer *layer) {
    return options->filters ? mosaic_of_kernel(&layer->tensors[0])
                            : mosaic_of_maps(&layer->output_shape);
}

/* CN_INVALID: the layer that the options name has no filters; CN_LIMIT: the picture would have more
 * than EXPLAIN_MAX_BYTES pixels. */
static enum cn_status explain_tiles_check(const struct explain_options *options,
                                          const struct cn_network *network, size_t *ret_bytes,
                                          struct cn_error *error) {
    const struct cn_layer *layer = &network->layers[options->layer];
    if (options->filters && layer->tensor_count == 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) has no filters", layer->name,
                       cn_layer_type_name(layer->type));
    const struct mosaic mosaic = mosaic_of(options, layer);
    const struct sheet sheet = sheet_of(&mosaic, options->zoom);
    *ret_bytes = 2 * sheet.width * sheet.height + EXPLAIN_WORDS; /* the pixels and their PNG */
    if (sheet.width * sheet.height <= EXPLAIN_MAX_BYTES)
        return CN_OK;
    return cn_fail(error, CN_LIMIT,
                   "the picture would have %zu x %zu pixels; the limit is %d pixels%s", sheet.width,
                   sheet.height, EXPLAIN_MAX_BYTES,
                   sheet.zoom > 1 ? "; a smaller zoom may fit" : "");
}

/* Adds the tiles of that layer as a PNG. If memory runs out, the text is marked as failed. */
static void explain_tiles(const struct prediction *prediction, struct cn_text *text) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct explain_options *options = &explanation->options;
    const struct cn_network *network = explain_network(prediction);
    const struct cn_layer *layer = &network->layers[options->layer];
    const float *values = options->filters ? network->parameters + layer->parameter_offset
                                           : cn_trace_output(explanation->trace, options->layer);
    const struct mosaic m = mosaic_of(options, layer);
    const struct sheet sheet = sheet_of(&m, options->zoom);
    const struct tone tone =
        tone_of(explain_range_of(values, m.height * m.width * m.count), options->filters);
    void *png = NULL;
    size_t length = 0;
    uint8_t *pixels = malloc(sheet.width * sheet.height);
    text->failed |= pixels == NULL;
    if (pixels == NULL)
        return;
    memset(pixels, GAP_GREY, sheet.width * sheet.height);
    for (size_t tile = 0; tile < m.count; tile++) {
        const size_t row = tile / m.columns, column = tile % m.columns;
        tile_draw(pixels + (row * sheet.tile_height + sheet.gap) * sheet.width +
                      column * sheet.tile_width + sheet.gap,
                  sheet.width, &m, sheet.zoom, values + row * m.step_row + column * m.step_column,
                  tone);
    }
    if (cn_png_encode(pixels, (int)sheet.width, (int)sheet.height, 1, &png, &length, NULL) == CN_OK)
        cn_text_add_bytes(text, png, length);
    else
        text->failed = true;
    free(png);
    free(pixels);
}

static void explanation_free(void *data) {
    struct explanation *explanation = data;
    if (explanation == NULL)
        return;
    cn_trace_free(explanation->trace); /* borrows the model's network */
    cn_network_free(explanation->weights);
    cn_workspace_free(explanation->workspace);
    free(explanation->answer.bytes);
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

/* Parameters count too, if the answer contains them. *ret_bytes: the answer's memory at most. */
static enum cn_status check_size(const struct explain_options *options,
                                 const struct cn_network *network, size_t *ret_bytes,
                                 struct cn_error *error) {
    static const size_t value_bytes[] = {
        [EXPLAIN_FLOATS] = CN_FLOAT_TEXT, [EXPLAIN_BYTES] = 3, [EXPLAIN_NONE] = 0};
    const size_t limit =
        options->values == EXPLAIN_FLOATS ? EXPLAIN_MAX_NUMBERS : EXPLAIN_MAX_BYTES;
    size_t values = 0;
    if (options->png)
        return explain_tiles_check(options, network, ret_bytes, error);
    for (size_t l = 0; l < network->layer_count; l++) {
        if (options->layer != CN_TRACE_ALL && options->layer != l)
            continue;
        values += cn_shape_size(&network->layers[l].output_shape);
        values += options->filters ? network->layers[l].parameter_count : 0;
    }
    *ret_bytes = (values + cn_shape_size(&network->input_shape)) * value_bytes[options->values] +
                 EXPLAIN_WORDS;
    if (options->values == EXPLAIN_NONE || values <= limit)
        return CN_OK;
    return cn_fail(error, CN_LIMIT,
                   "the answer would have %zu values; the limit is %zu: ask for one layer with "
                   "?layer=NAME, leave the filters out with ?filters=0, or take ?values=bytes",
                   values, limit);
}

/* ---- The computation and the answer ---- */

static void explain_work(struct prediction *prediction) {
    struct explanation *explanation = prediction->protocol_state;
    struct cn_text *text = &explanation->answer;
    const struct cn_plan *plan = prediction->model->plan;
    prediction->outputs = cn_floats_allocate(cn_plan_output_row(plan));
    if (prediction->outputs == NULL) {
        (void)cn_fail(&prediction->failure, CN_MEMORY, "no memory for an explanation");
        return;
    }
    if (prediction->model->model->weights_file >= 0) {
        if (cn_model_read_again(prediction->model->model, &explanation->weights,
                                &prediction->failure) != CN_OK)
            return;
        cn_trace_set_parameters(explanation->trace, explanation->weights->parameters);
    }
    cn_trace_run(explanation->trace, prediction->images);
    /* The same outputs as /predict gives for this image, to the bit. */
    cn_plan_run(plan, explanation->workspace, prediction->images, 1, prediction->outputs);
    (void)cn_text_room(text, explanation->answer_bytes); /* so that it need not grow, with copies */
    if (explanation->options.png)
        explain_tiles(prediction, text);
    else
        explain_render(prediction, text);
}

static const char *explain_answer(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *prediction = exchange->state;
    struct explanation *explanation = prediction->protocol_state;
    *text = explanation->answer;
    explanation->answer = (struct cn_text){0};
    return explanation->options.png ? "image/png" : "application/json";
}

/* Counts the memory of the computation and, in advance, that of the answer, so that a request over
 * the budget is refused before it is computed. */
static enum cn_status explain_hold(struct http_exchange *exchange,
                                   const struct prediction *prediction, struct cn_error *error) {
    const struct explanation *explanation = prediction->protocol_state;
    const size_t work = cn_trace_bytes(explanation->trace) +
                        cn_plan_workspace_bytes(prediction->model->plan) +
                        cn_model_read_again_bytes(prediction->model->model);
    const size_t all = work + explanation->answer_bytes;
    if (all > http_hold_most(exchange))
        return cn_fail(error, CN_LIMIT,
                       "the explanation takes %zu bytes of memory; a request may have %zu, three "
                       "quarters of memory-budget",
                       all, http_hold_most(exchange));
    if (http_hold(exchange, work) && http_hold_ahead(exchange, explanation->answer_bytes))
        return CN_OK;
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_MEMORY, 1);
    return cn_fail(error, CN_MEMORY, "no memory for an explanation of %zu bytes", all);
}

/* Reads the query and allocates what it needs. */
static enum cn_status explain_prepare(struct http_exchange *exchange, struct prediction *prediction,
                                      struct cn_error *error) {
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
        status = check_size(&explanation->options, network, &explanation->answer_bytes, error);
    if (status == CN_OK)
        status = cn_trace_create(network, explanation->options.layer, EXPLAIN_MAX_BYTES,
                                 &explanation->trace, error);
    if (status == CN_OK)
        status = explain_hold(exchange, prediction, error);
    return status;
}

static enum cn_status explain_read(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    struct explanation *explanation = prediction->protocol_state;
    const enum cn_status status =
        prediction_add_body(prediction, http_header(exchange, "Content-Type"), exchange->body,
                            exchange->body_length, error);
    if (status == CN_OK && prediction->count != 1)
        return cn_fail(error, CN_INVALID, "/explain takes one image; the body has %zu",
                       prediction->count);
    return status == CN_OK
               ? cn_workspace_create(prediction->model->plan, &explanation->workspace, error)
               : status;
}

enum http_outcome api_explain(struct http_exchange *exchange) {
    struct cn_error error = {0};
    if (!prediction_begin_pictures(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    prediction->max_images = 1;
    prediction->work = explain_work;
    if (explain_prepare(exchange, prediction, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    return prediction_run(exchange, explain_read, explain_answer);
}
