/* infer_data.c: turns an input tensor, in JSON or in binary, into images of the prediction. Integer
 * samples are normalised like a picture's samples; floats are taken as they are. No state. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_images.h"
#include "api/oip/infer.h"
#include "base/memory.h"

/* ---- Numbers ---- */

/* The numbers of a tensor while they are read. They are read straight into the images where the
 * tensor is the only input in the network's order, else into a buffer. */
struct numbers {
    struct infer_request *request;
    const struct infer_input *input;
    struct infer_order order;
    size_t images, count;
    float *values;
    float *buffer; /* NULL: the images themselves */
};

/* The first input adds the images. */
static enum cn_status numbers_begin(struct numbers *n, struct cn_error *error) {
    struct prediction *p = n->request->prediction;
    while (p->count < n->images)
        if (prediction_add(p, error) == NULL)
            return error->status;
    n->values = p->images;
    if (n->input->form->size == p->image_size && n->order.places == NULL && n->order.channels == 0)
        return CN_OK;
    n->buffer =
        http_hold(p->exchange, n->count * sizeof(float)) ? cn_floats_allocate(n->count) : NULL;
    n->values = n->buffer;
    return n->buffer != NULL ? CN_OK
                             : cn_fail(error, CN_MEMORY, "no memory for %zu numbers", n->count);
}

/* The index in the network's order of number i of an image. */
static size_t place_of(const struct infer_order *order, size_t i) {
    if (order->places != NULL)
        return order->places[i];
    return order->channels == 0 ? i : i % order->pixels * order->channels + i / order->pixels;
}

/* Samples must be whole numbers from 0 to 255 and are normalised by the preprocessing; floats must
 * be finite and are the network's input as they are. */
static enum cn_status numbers_finish(struct numbers *n, struct cn_error *error) {
    struct prediction *p = n->request->prediction;
    const struct infer_type *type = n->input->type;
    const bool samples = type->kind == INFER_SAMPLES;
    const size_t size = n->input->form->size;
    for (size_t i = 0; i < n->count; i++) {
        const float value = n->values[i];
        if (samples ? !(value >= 0 && value <= 255 && value == (float)(int)value)
                    : !isfinite(value))
            return cn_fail(error, CN_INVALID, "element %zu is %g; %s data are %s", i, (double)value,
                           type->name, samples ? "whole numbers from 0 to 255" : "finite");
        if (samples)
            n->values[i] = value / 255;
    }
    for (size_t image = 0; n->buffer != NULL && image < n->images; image++) {
        float *to = p->images + image * p->image_size + n->input->offset;
        for (size_t i = 0; i < size; i++)
            to[place_of(&n->order, i)] = n->buffer[image * size + i];
    }
    if (samples) /* only models of one input take samples */
        cn_preprocessing_normalize(&p->model->model->preprocessing,
                                   &p->model->model->network->input_shape, n->images, p->images);
    return CN_OK;
}

static void numbers_end(const struct numbers *n) {
    if (n->buffer != NULL)
        http_release(n->request->prediction->exchange, n->count * sizeof(float));
    free(n->buffer);
}

/* The list must be flat, or nested as the shape says. */
static enum cn_status check_nesting(const struct infer_input *input,
                                    const struct json_tensor *tensor, struct cn_error *error) {
    size_t level = 0;
    if (tensor->rank == 1 && tensor->count > tensor->room)
        return cn_fail(error, CN_INVALID, "\"data\" has more numbers than the shape, which has %zu",
                       tensor->room);
    if (tensor->rank == 1 && tensor->count < tensor->room)
        return cn_fail(error, CN_INVALID, "\"data\" has %zu numbers; the shape has %zu",
                       tensor->count, tensor->room);
    if (tensor->rank == 1)
        return CN_OK;
    if (tensor->rank != input->rank)
        return cn_fail(error, CN_INVALID,
                       "\"data\" is nested %zu deep; the shape has %zu dimensions", tensor->rank,
                       input->rank);
    while (level < input->rank && tensor->dims[level] == input->dims[level])
        level++;
    return level == input->rank
               ? CN_OK
               : cn_fail(error, CN_INVALID,
                         "\"data\" has a list of %lld in dimension %zu; the shape says %lld",
                         (long long)tensor->dims[level], level, (long long)input->dims[level]);
}

static enum cn_status read_numbers(struct json_scan *s, struct numbers *n) {
    struct json_tensor tensor = {.most_rank = n->input->rank};
    if (!n->input->type->json)
        return cn_fail(s->error, CN_INVALID, "%s cannot stand in JSON; send it as binary data",
                       n->input->type->name);
    if (!cn_json_take(s, '['))
        return cn_json_fail(s, "'[', the tensor's data");
    /* A number takes two bytes at least, so a shape that the text is too short for gets no memory.
     */
    const bool possible = n->count <= (s->length - (size_t)(s->at - s->text)) / 2;
    enum cn_status status = possible ? numbers_begin(n, s->error) : CN_OK;
    tensor.values = n->values;
    tensor.room = possible ? n->count : 0;
    if (status == CN_OK)
        status = json_tensor_read(s, &tensor);
    tensor.room = n->count;
    if (status == CN_OK)
        status = check_nesting(n->input, &tensor, s->error);
    return status == CN_OK ? numbers_finish(n, s->error) : status;
}

/* ---- Pictures ---- */

/* A string, or a list of them, or a list of lists of one. */
static enum cn_status read_strings(struct json_scan *s, struct prediction *p, size_t depth) {
    if (cn_json_peek(s) == '"')
        return json_picture_read(s, p);
    if (depth == 2 || !cn_json_take(s, '['))
        return cn_json_fail(s, "a base64 string");
    do {
        const enum cn_status status = read_strings(s, p, depth + 1);
        if (status != CN_OK)
            return status;
    } while (cn_json_take(s, ','));
    return cn_json_take(s, ']') ? CN_OK : cn_json_fail(s, "',' or ']'");
}

static enum cn_status check_pictures(const struct prediction *p, size_t images,
                                     struct cn_error *error) {
    if (images == 0 || p->count == images)
        return CN_OK;
    return cn_fail(error, CN_INVALID, "the data has %zu pictures; the shape says %zu", p->count,
                   images);
}

/* Checks the tensor's shape and says how many numbers are to be read. */
static enum cn_status numbers_expect(struct infer_request *request, const struct infer_input *input,
                                     struct numbers *ret_numbers, struct cn_error *error) {
    *ret_numbers = (struct numbers){.request = request, .input = input};
    const enum cn_status status =
        infer_images(request, input, &ret_numbers->images, &ret_numbers->order, error);
    ret_numbers->count = ret_numbers->images * input->form->size; /* limited: no overflow */
    return status;
}

enum cn_status infer_read_json(struct infer_request *request, struct infer_input *input,
                               struct json_scan *s) {
    struct numbers numbers;
    enum cn_status status = numbers_expect(request, input, &numbers, s->error);
    if (status != CN_OK)
        return status;
    if (input->type->kind != INFER_PICTURES) {
        status = read_numbers(s, &numbers);
        numbers_end(&numbers);
        return status;
    }
    status = read_strings(s, request->prediction, 0);
    return status == CN_OK ? check_pictures(request->prediction, numbers.images, s->error) : status;
}

/* ---- Bytes ---- */

/* Each picture has a length prefix of four little-endian bytes. */
static enum cn_status read_binary_pictures(struct prediction *p, const uint8_t *bytes,
                                           size_t length, size_t images, struct cn_error *error) {
    for (size_t at = 0; at < length;) {
        const size_t left = length - at - (length - at < 4 ? length - at : 4);
        const uint8_t *b = bytes + at;
        const size_t size =
            length - at < 4 ? SIZE_MAX
                            : b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
        if (size > left)
            return cn_fail(error, CN_INVALID,
                           "element %zu at byte %zu of the binary data is cut: its length is past "
                           "the end",
                           p->count, at);
        const enum cn_status status = prediction_add_bytes(p, b + 4, size, NULL, error);
        if (status != CN_OK)
            return status;
        at += 4 + size;
    }
    return check_pictures(p, images, error);
}

static enum cn_status read_binary_numbers(struct numbers *n, const uint8_t *bytes,
                                          struct cn_error *error) {
    const struct infer_type *type = n->input->type;
    const enum cn_status status = numbers_begin(n, error);
    if (status != CN_OK)
        return status;
    for (size_t i = 0; i < n->count; i++)
        n->values[i] = type->load(bytes + i * type->size);
    return numbers_finish(n, error);
}

enum cn_status infer_read_binary(struct infer_request *request, struct infer_input *input,
                                 const uint8_t *bytes, size_t length, struct cn_error *error) {
    const struct infer_type *type = input->type;
    struct prediction *p = request->prediction;
    char text[INFER_SHAPE_TEXT];
    struct numbers n;
    enum cn_status status = numbers_expect(request, input, &n, error);
    if (status != CN_OK)
        return status;
    if (type->kind == INFER_PICTURES)
        return read_binary_pictures(p, bytes, length, n.images, error);
    if (length % type->size != 0 || length / type->size != n.count)
        return cn_fail(error, CN_INVALID,
                       "the binary data has %zu bytes; the shape %s of %s has %zu", length,
                       infer_format_shape(input, text), type->name, n.count * type->size);
    /* UINT8 in the network's order is the raw form of /predict. */
    if (strcmp(type->name, "UINT8") == 0 && n.order.places == NULL && n.order.channels == 0)
        return prediction_add_raw(p, bytes, length, error);
    status = read_binary_numbers(&n, bytes, error);
    numbers_end(&n);
    return status;
}
