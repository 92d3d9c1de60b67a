/* infer_tensor.c: turns an input tensor, in JSON or in binary, into images of the prediction: its
 * datatype, what its shape means, its data. Integer samples are normalised like a picture's
 * samples; floats are taken as they are. No state. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_images.h"
#include "api/oip/infer.h"
#include "base/memory.h"
#include "base/number.h"

static uint64_t load_bits(const uint8_t *bytes, int size) {
    uint64_t bits = 0;
    for (int i = size; i-- > 0;)
        bits = bits << 8 | bytes[i];
    return bits;
}

/* The exact value beyond 255 does not matter, since it is refused. */
static float clip_unsigned(uint64_t value) {
    return value > 65535 ? 65536.0f : (float)value;
}

static float clip_signed(int64_t value) {
    return value < 0 ? -1.0f : clip_unsigned((uint64_t)value);
}

static float load_u8(const uint8_t *bytes) {
    return (float)bytes[0];
}

static float load_u16(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 2));
}

static float load_u32(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 4));
}

static float load_u64(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 8));
}

static float load_i8(const uint8_t *bytes) {
    return clip_signed((int8_t)bytes[0]);
}

static float load_i16(const uint8_t *bytes) {
    return clip_signed((int16_t)load_bits(bytes, 2));
}

static float load_i32(const uint8_t *bytes) {
    return clip_signed((int32_t)load_bits(bytes, 4));
}

static float load_i64(const uint8_t *bytes) {
    return clip_signed((int64_t)load_bits(bytes, 8));
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float load_f32(const uint8_t *bytes) {
    return from_bits((uint32_t)load_bits(bytes, 4));
}

/* The upper half of a float. */
static float load_bf16(const uint8_t *bytes) {
    return from_bits((uint32_t)load_bits(bytes, 2) << 16);
}

/* IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static float load_f16(const uint8_t *bytes) {
    const uint32_t bits = (uint32_t)load_bits(bytes, 2);
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    if (exponent == 31)
        return NAN;
    const float magnitude = exponent == 0 ? ldexpf((float)fraction, -24)
                                          : ldexpf((float)(1024 + fraction), exponent - 25);
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

/* Rounding to float must not move a value outside of [0, 1] into it. */
static float load_f64(const uint8_t *bytes) {
    const uint64_t bits = load_bits(bytes, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value > 1 && value < 2 ? 2.0f : value < 0 && value > -1 ? -1.0f : (float)value;
}

static const struct infer_type types[] = {
    {"UINT8", INFER_SAMPLES, 1, true, load_u8},    {"UINT16", INFER_SAMPLES, 2, true, load_u16},
    {"UINT32", INFER_SAMPLES, 4, true, load_u32},  {"UINT64", INFER_SAMPLES, 8, true, load_u64},
    {"INT8", INFER_SAMPLES, 1, true, load_i8},     {"INT16", INFER_SAMPLES, 2, true, load_i16},
    {"INT32", INFER_SAMPLES, 4, true, load_i32},   {"INT64", INFER_SAMPLES, 8, true, load_i64},
    {"FP16", INFER_FRACTIONS, 2, false, load_f16}, {"BF16", INFER_FRACTIONS, 2, false, load_bf16},
    {"FP32", INFER_FRACTIONS, 4, true, load_f32},  {"FP64", INFER_FRACTIONS, 8, true, load_f64},
    {"BYTES", INFER_PICTURES, 0, true, NULL},
};

const struct infer_type *infer_type_find(struct json_string name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (cn_json_is(name, types[i].name))
            return &types[i];
    return NULL;
}

/* ---- Shapes: how many images a tensor holds, and in which order their numbers are ---- */

/* "[16, 28, 28]" */
enum { INFER_SHAPE_TEXT = 192 };
static const char *format_shape(const struct infer_input *input,
                                char text[static INFER_SHAPE_TEXT]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < input->rank && used < INFER_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, INFER_SHAPE_TEXT - used, "%s%lld", i > 0 ? ", " : "[",
                                 (long long)input->dims[i]);
    if (used + 1 < INFER_SHAPE_TEXT)
        (void)snprintf(text + used, INFER_SHAPE_TEXT - used, "%s", input->rank > 0 ? "]" : "-1");
    return text;
}

/* ---- One image ---- */

/* The dimensions of one image without those that are 1. */
struct extent {
    size_t rank;
    int64_t dims[INFER_MAX_RANK];
};

static void extent_add(struct extent *extent, int64_t dim) {
    if (dim != 1)
        extent->dims[extent->rank++] = dim;
}

static bool extents_equal(const struct extent *a, const struct extent *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

/* The dimensions of `input` after the number of images, or all of them. */
static struct extent extent_of_input(const struct infer_input *input, size_t first) {
    struct extent extent = {0};
    for (size_t i = first; i < input->rank; i++)
        extent_add(&extent, input->dims[i]);
    return extent;
}

static struct extent extent_of_form(const struct cn_tensor_form *form) {
    struct extent extent = {0};
    for (int i = form->batched; i < form->rank; i++)
        extent_add(&extent, form->dims[i]);
    return extent;
}

static struct extent extent_of_shape(const struct cn_shape *shape, bool channels_first) {
    struct extent extent = {0};
    if (channels_first)
        extent_add(&extent, shape->dims[shape->rank - 1]);
    for (int i = 0; i < shape->rank - channels_first; i++)
        extent_add(&extent, shape->dims[i]);
    return extent;
}

/* The numbers of an image may be in the source model's order or flat, in the network's order, or,
 * for a picture, one plane per channel. */
static bool extent_fits(const struct infer_request *request, const struct infer_input *input,
                        const struct extent *extent, struct infer_order *ret_order) {
    const struct cn_network *network = request->prediction->model->model->network;
    const struct cn_tensor_form *form = input->form;
    const struct cn_shape *shape = &network->inputs[form->port].shape;
    const struct extent source = extent_of_form(form), own = extent_of_shape(shape, false);
    const struct extent turned = extent_of_shape(shape, shape->rank == 3);
    struct extent flat = {0};
    const int most = form->rank > shape->rank + 1 ? form->rank : shape->rank + 1;
    if (input->rank > (size_t)(form->batched ? most : most + 1))
        return false; /* too many dimensions to be valid */
    extent_add(&flat, (int64_t)form->size);
    *ret_order = (struct infer_order){0};
    if (extents_equal(extent, &source) || extents_equal(extent, &flat)) {
        ret_order->places = form->places;
        return true;
    }
    if (extents_equal(extent, &own))
        return true;
    if (shape->rank != 3 || !extents_equal(extent, &turned))
        return false;
    ret_order->channels = (size_t)shape->dims[2];
    ret_order->pixels = form->size / ret_order->channels;
    return true;
}

/* ---- Messages ---- */

/* "[n, 3, 32, 32]" */
static void form_format(const struct cn_tensor_form *form, char text[static INFER_SHAPE_TEXT]) {
    size_t used = (size_t)snprintf(text, INFER_SHAPE_TEXT, "[n");
    for (int i = form->batched; i < form->rank && used < INFER_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, INFER_SHAPE_TEXT - used, ", %d", form->dims[i]);
    if (used + 1 < INFER_SHAPE_TEXT)
        (void)snprintf(text + used, INFER_SHAPE_TEXT - used, "]");
}

static enum cn_status fail_shape(const struct infer_request *request,
                                 const struct infer_input *input, struct cn_error *error) {
    const struct cn_network *network = request->prediction->model->model->network;
    const struct cn_tensor_form *form = input->form;
    const struct cn_shape *shape = &network->inputs[form->port].shape;
    char text[INFER_SHAPE_TEXT], own[INFER_SHAPE_TEXT], forms[INFER_SHAPE_TEXT];
    const int *d = shape->dims;
    form_format(form, own);
    if (shape->rank == 3 && d[2] == 1)
        (void)snprintf(forms, sizeof forms, "[n, %d, %d], [n, %d, %d, 1], [n, 1, %d, %d]", d[0],
                       d[1], d[0], d[1], d[0], d[1]);
    else if (form->places != NULL && shape->rank == 3)
        (void)snprintf(forms, sizeof forms, "%.100s, [n, %d, %d, %d]", own, d[0], d[1], d[2]);
    else
        (void)snprintf(forms, sizeof forms, "%s", own);
    return cn_fail(error, CN_INVALID, "the shape %s is not the model's: %s or [n, %zu]",
                   format_shape(input, text), forms, form->size);
}

/* ---- The whole tensor ---- */

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

/* Strings: one per image, as [n] or [n, 1], or as many as there are. */
static bool pictures_fit(const struct infer_input *input) {
    return input->rank < 2 || (input->rank == 2 && input->dims[1] == 1);
}

static enum cn_status check_pictures_shape(const struct infer_input *input,
                                           struct cn_error *error) {
    char text[INFER_SHAPE_TEXT];
    if (pictures_fit(input))
        return CN_OK;
    return cn_fail(error, CN_INVALID, "the shape %s of pictures must be [n] or [n, 1]",
                   format_shape(input, text));
}

/* The number of images in a tensor of numbers: its first dimension, or 1 where the source model has
 * no batch dimension. */
static enum cn_status count_images(const struct infer_request *request,
                                   const struct infer_input *input, size_t *ret_images,
                                   struct infer_order *ret_order, struct cn_error *error) {
    const struct extent behind = extent_of_input(input, 1), whole = extent_of_input(input, 0);
    if (input->rank > 0 && extent_fits(request, input, &behind, ret_order)) {
        *ret_images = (size_t)input->dims[0];
        return CN_OK;
    }
    const struct extent source = extent_of_form(input->form);
    if (input->form->batched || input->rank != (size_t)input->form->rank ||
        !extents_equal(&whole, &source))
        return fail_shape(request, input, error);
    *ret_order = (struct infer_order){.places = input->form->places};
    *ret_images = 1;
    return CN_OK;
}

/* All inputs of a request must have the same number of images. */
static enum cn_status check_images(const struct infer_request *request,
                                   const struct infer_input *input, size_t images,
                                   struct cn_error *error) {
    const struct prediction *p = request->prediction;
    char text[INFER_SHAPE_TEXT];
    if (images == 0)
        return cn_fail(error, CN_INVALID, "the shape %s has no image", format_shape(input, text));
    if (prediction_check_count(p, images, error) != CN_OK)
        return CN_LIMIT;
    if (p->count > 0 && images != p->count)
        return cn_fail(error, CN_INVALID, "input '%s' has %zu images; another input has %zu",
                       input->form->name, images, p->count);
    return CN_OK;
}

/* Sets the number of images in a tensor of this type and shape, and their order in it, after
 * checking both against the model's input and the limit of images. The shape of encoded pictures
 * may be unknown: *ret_images is then 0. */
static enum cn_status order_images(const struct infer_request *request,
                                   const struct infer_input *input, size_t *ret_images,
                                   struct infer_order *ret_order, struct cn_error *error) {
    const struct cn_model *model = request->prediction->model->model;
    const bool pictures = input->type->kind == INFER_PICTURES;
    char text[INFER_SHAPE_TEXT];
    size_t count = 0;
    *ret_images = 0;
    *ret_order = (struct infer_order){0};
    if (model->input_forms > 1 && input->type->kind != INFER_FRACTIONS)
        return cn_fail(error, CN_INVALID,
                       "input '%s' has the datatype %s; a model with %zu inputs takes only FP32",
                       input->form->name, input->type->name, model->input_forms);
    if (pictures && (input->rank == 0 || input->dims[0] == -1) && pictures_fit(input))
        return CN_OK;
    if (!count_elements(input, &count))
        return cn_fail(error, CN_INVALID,
                       "the shape %s has a negative dimension or more elements than can be counted",
                       format_shape(input, text));
    enum cn_status status = pictures ? check_pictures_shape(input, error)
                                     : count_images(request, input, ret_images, ret_order, error);
    if (pictures)
        *ret_images = count;
    return status == CN_OK ? check_images(request, input, *ret_images, error) : status;
}

/* ---- Data ---- */

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
        return cn_fail(s->error, CN_INVALID, "%s cannot be written in JSON; send it as binary data",
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
        order_images(request, input, &ret_numbers->images, &ret_numbers->order, error);
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
        const size_t size = length - at < 4 ? SIZE_MAX : (size_t)cn_number_little(bytes + at, 4);
        if (size > left)
            return cn_fail(error, CN_INVALID,
                           "element %zu at byte %zu of the binary data is truncated: its length is "
                           "past the end",
                           p->count, at);
        const enum cn_status status = prediction_add_bytes(p, bytes + at + 4, size, NULL, error);
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
                       format_shape(input, text), type->name, n.count * type->size);
    /* UINT8 in the network's order is the raw form of /predict. */
    if (strcmp(type->name, "UINT8") == 0 && n.order.places == NULL && n.order.channels == 0)
        return prediction_add_raw(p, bytes, length, error);
    status = read_binary_numbers(&n, bytes, error);
    numbers_end(&n);
    return status;
}
