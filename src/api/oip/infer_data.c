/* infer_data.c: the input tensor, in JSON or in bytes, to images in the prediction. What the
 * bytes become is what a picture's samples become; floats are taken as they are. No state. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_images.h"
#include "api/oip/infer.h"

enum { SHAPES_TEXT = 192 };

/* ---- The shape ---- */

/* "[16, 28, 28]" */
static const char *format_shape(const struct infer_input *input, char text[static SHAPES_TEXT]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < input->rank && used < SHAPES_TEXT; i++)
        used += (size_t)snprintf(text + used, SHAPES_TEXT - used, "%s%lld", i > 0 ? ", " : "[",
                                 (long long)input->dims[i]);
    if (used + 1 < SHAPES_TEXT)
        (void)snprintf(text + used, SHAPES_TEXT - used, "%s", input->rank > 0 ? "]" : "-1");
    return text;
}

static bool dims_are(const struct infer_input *input, size_t rank, const int64_t *dims) {
    return input->rank == rank + 1 && memcmp(input->dims + 1, dims, rank * sizeof *dims) == 0;
}

/* One of the forms of the model's input behind the number of images. */
static bool shape_fits(const struct infer_input *input, const struct cn_shape *shape,
                       size_t image_size) {
    const int64_t flat[] = {(int64_t)image_size};
    int64_t dims[3] = {0};
    if (dims_are(input, 1, flat))
        return true;
    for (int i = 0; i < shape->rank; i++)
        dims[i] = shape->dims[i];
    if (dims_are(input, (size_t)shape->rank, dims))
        return true;
    if (shape->rank != 3 || shape->dims[2] != 1)
        return false;
    const int64_t channel_first[] = {1, dims[0], dims[1]};
    return dims_are(input, 2, dims) || dims_are(input, 3, channel_first);
}

static enum cn_status fail_shape(const struct infer_request *request, struct cn_error *error) {
    const struct cn_shape *shape = &request->prediction->model->model->network->input_shape;
    char text[SHAPES_TEXT], forms[SHAPES_TEXT] = "";
    const int *d = shape->dims;
    if (shape->rank == 3 && d[2] == 1)
        (void)snprintf(forms, sizeof forms, "[n, %d, %d], [n, %d, %d, 1], [n, 1, %d, %d] or ", d[0],
                       d[1], d[0], d[1], d[0], d[1]);
    else if (shape->rank == 3)
        (void)snprintf(forms, sizeof forms, "[n, %d, %d, %d] or ", d[0], d[1], d[2]);
    return cn_fail(error, CN_INVALID, "the shape %s is not the model's: %s[n, %zu]",
                   format_shape(&request->input, text), forms, request->prediction->image_size);
}

/* The number of elements; false when a dimension is negative or the product overflows. */
static bool count_elements(const struct infer_input *input, size_t *ret_count) {
    size_t count = 1;
    for (size_t i = 0; i < input->rank; i++)
        if (input->dims[i] < 0 || __builtin_mul_overflow(count, (size_t)input->dims[i], &count) ||
            count > SIZE_MAX / 8)
            return false;
    *ret_count = count;
    return true;
}

/* Strings: one for each image, [n] or [n, 1], or as many as there are. */
static bool pictures_fit(const struct infer_input *input) {
    return input->rank < 2 || (input->rank == 2 && input->dims[1] == 1);
}

enum cn_status infer_images(const struct infer_request *request, size_t *ret_images,
                            struct cn_error *error) {
    const struct infer_input *input = &request->input;
    const struct prediction *p = request->prediction;
    const bool pictures = input->type->kind == INFER_PICTURES;
    char text[SHAPES_TEXT];
    size_t count = 0;
    *ret_images = 0;
    if (pictures && (input->rank == 0 || input->dims[0] == -1) && pictures_fit(input))
        return CN_OK;
    if (!count_elements(input, &count))
        return cn_fail(error, CN_INVALID,
                       "the shape %s has a negative dimension or more elements than can be counted",
                       format_shape(input, text));
    if (pictures && !pictures_fit(input))
        return cn_fail(error, CN_INVALID, "the shape %s of pictures must be [n] or [n, 1]",
                       format_shape(input, text));
    if (!pictures && !shape_fits(input, &p->model->model->network->input_shape, p->image_size))
        return fail_shape(request, error);
    if (count == 0)
        return cn_fail(error, CN_INVALID, "the shape %s has no image", format_shape(input, text));
    *ret_images = pictures ? count : count / p->image_size;
    if (*ret_images > p->max_images)
        return cn_fail(error, CN_LIMIT, "the request has %zu images; the limit is %zu", *ret_images,
                       p->max_images);
    return CN_OK;
}

/* ---- Samples ---- */

/* Room for so many images, one behind the other; NULL and an error without. */
static float *add_images(struct prediction *p, size_t images, struct cn_error *error) {
    const size_t first = p->count;
    for (size_t i = 0; i < images; i++)
        if (prediction_add(p, error) == NULL)
            return NULL;
    return p->images + first * p->image_size;
}

/* Samples of a picture are whole and from 0 to 255, and go through the preprocessing's
 * normalisation; floats are the network's input as they are, and finite. */
static enum cn_status finish_samples(const struct infer_request *request, float *values,
                                     size_t images, struct cn_error *error) {
    const struct prediction *p = request->prediction;
    const struct infer_type *type = request->input.type;
    const bool samples = type->kind == INFER_SAMPLES;
    for (size_t i = 0; i < images * p->image_size; i++) {
        const float value = values[i];
        if (samples ? !(value >= 0 && value <= 255 && value == (float)(int)value)
                    : !isfinite(value))
            return cn_fail(error, CN_INVALID, "element %zu is %g; %s data are %s", i, (double)value,
                           type->name, samples ? "whole numbers from 0 to 255" : "finite");
        if (samples)
            values[i] = value / 255;
    }
    if (samples)
        cn_preprocessing_normalize(&p->model->model->preprocessing,
                                   &p->model->model->network->input_shape, images, values);
    return CN_OK;
}

/* Flat, or nested as the shape. */
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

static enum cn_status read_samples(struct json_scan *s, struct infer_request *request,
                                   size_t images) {
    const struct infer_input *input = &request->input;
    struct prediction *p = request->prediction;
    struct json_tensor tensor = {.room = images * p->image_size, .most_rank = input->rank};
    if (!input->type->json)
        return cn_fail(s->error, CN_INVALID, "%s cannot stand in JSON; send it as binary data",
                       input->type->name);
    if (!cn_json_take(s, '['))
        return cn_json_fail(s, "'[', the tensor's data");
    /* A number takes two bytes at least: a shape that the text cannot fill gets no memory. */
    const bool possible = tensor.room <= (s->length - (size_t)(s->at - s->text)) / 2;
    if (possible)
        tensor.values = add_images(p, images, s->error);
    if (possible && tensor.values == NULL)
        return s->error->status;
    const size_t wanted = tensor.room;
    tensor.room = possible ? wanted : 0;
    enum cn_status status = json_tensor_read(s, &tensor);
    tensor.room = wanted;
    if (status == CN_OK)
        status = check_nesting(input, &tensor, s->error);
    return status == CN_OK ? finish_samples(request, tensor.values, images, s->error) : status;
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

enum cn_status infer_read_json(struct infer_request *request, struct json_scan *s) {
    size_t images = 0;
    enum cn_status status = infer_images(request, &images, s->error);
    if (status != CN_OK)
        return status;
    if (request->input.type->kind != INFER_PICTURES)
        return read_samples(s, request, images);
    status = read_strings(s, request->prediction, 0);
    return status == CN_OK ? check_pictures(request->prediction, images, s->error) : status;
}

/* ---- Bytes ---- */

/* Each picture behind its length: four bytes, little-endian. */
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

enum cn_status infer_read_binary(struct infer_request *request, const uint8_t *bytes, size_t length,
                                 struct cn_error *error) {
    const struct infer_type *type = request->input.type;
    struct prediction *p = request->prediction;
    char text[SHAPES_TEXT];
    size_t images = 0;
    enum cn_status status = infer_images(request, &images, error);
    if (status != CN_OK)
        return status;
    if (type->kind == INFER_PICTURES)
        return read_binary_pictures(p, bytes, length, images, error);
    const size_t wanted = images * p->image_size; /* at most max_images images: no overflow */
    if (length % type->size != 0 || length / type->size != wanted)
        return cn_fail(error, CN_INVALID,
                       "the binary data has %zu bytes; the shape %s of %s has %zu", length,
                       format_shape(&request->input, text), type->name, wanted * type->size);
    if (strcmp(type->name, "UINT8") == 0) /* the raw form of /predict */
        return prediction_add_raw(p, bytes, length, error);
    float *values = add_images(p, images, error);
    if (values == NULL)
        return error->status;
    for (size_t i = 0; i < wanted; i++)
        values[i] = type->load(bytes + i * type->size);
    return finish_samples(request, values, images, error);
}
