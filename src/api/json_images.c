/* json_images.c: see json_images.h. Numbers are read straight into floats: one heap node per pixel
 * would cost more than the network. No state; runs on the thread that reads the prediction
 * (compute.c). */
#include "api/json_images.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Numbers ---- */

/* The error for a list that is deeper or longer than the lists beside it. */
static enum cn_status tensor_fail(struct json_scan *s, struct json_tensor *tensor,
                                  const char *expected) {
    tensor->uneven = true;
    return cn_json_fail(s, expected);
}

static enum cn_status tensor_read_numbers(struct json_scan *s, struct json_tensor *tensor) {
    do {
        float value = 0;
        const enum cn_status status = cn_json_number(s, &value);
        if (status != CN_OK)
            return status;
        if (tensor->count < tensor->room)
            tensor->values[tensor->count] = value;
        tensor->count++;
    } while (cn_json_take(s, ','));
    return CN_OK;
}

/* Reads a list in dimension `depth`, after its '['; no deeper than most_rank. */
static enum cn_status tensor_read_list(struct json_scan *s, struct json_tensor *tensor,
                                       size_t depth) {
    const size_t before = tensor->count;
    enum cn_status status = CN_OK;
    int64_t length = 0;
    if (cn_json_peek(s) == '[') {
        if (depth + 1 == tensor->most_rank || depth + 1 == tensor->rank)
            return tensor_fail(s, tensor, "a number");
        do {
            if (!cn_json_take(s, '['))
                return tensor_fail(s, tensor, "'['");
            status = tensor_read_list(s, tensor, depth + 1);
            length++;
        } while (status == CN_OK && cn_json_take(s, ','));
    } else {
        if (tensor->rank > depth + 1)
            return tensor_fail(s, tensor, "'['");
        tensor->rank = depth + 1;
        status = tensor_read_numbers(s, tensor);
        length = (int64_t)(tensor->count - before);
    }
    if (status != CN_OK)
        return status;
    if (!cn_json_take(s, ']'))
        return cn_json_fail(s, "',' or ']'");
    if (tensor->dims[depth] != 0 && tensor->dims[depth] != length) {
        tensor->uneven = true;
        return cn_fail(s->error, CN_INVALID,
                       "lists of different lengths, %lld and %lld, are in dimension %zu",
                       (long long)tensor->dims[depth], (long long)length, depth);
    }
    tensor->dims[depth] = length;
    return CN_OK;
}

enum cn_status json_tensor_read(struct json_scan *s, struct json_tensor *tensor) {
    return tensor_read_list(s, tensor, 0);
}

/* ---- An image ---- */

static bool dims_are(const struct json_tensor *tensor, size_t rank, const int *dims) {
    bool same = tensor->rank == rank;
    for (size_t i = 0; i < rank && same; i++)
        same = tensor->dims[i] == dims[i];
    return same;
}

static bool image_fits(const struct json_tensor *tensor, const struct cn_shape *shape) {
    const int *d = shape->dims;
    if (tensor->count != tensor->room)
        return false;
    if (tensor->rank == 1 || dims_are(tensor, (size_t)shape->rank, d))
        return true;
    return shape->rank == 3 && d[2] == 1 &&
           (dims_are(tensor, 2, d) || dims_are(tensor, 3, (const int[]){1, d[0], d[1]}));
}

static enum cn_status image_fail(struct cn_error *error, const struct prediction *p,
                                 const struct json_tensor *tensor, const struct cn_error *fault) {
    char shape[CN_SHAPE_TEXT], what[sizeof fault->text];
    if (tensor->uneven)
        (void)snprintf(what, sizeof what, "%s", fault->text);
    else if (tensor->rank == 1)
        (void)snprintf(what, sizeof what, "it is a list of %zu", tensor->count);
    else
        (void)snprintf(what, sizeof what, "it has %lld rows of %lld", (long long)tensor->dims[0],
                       (long long)tensor->dims[1]);
    return cn_fail(error, CN_INVALID,
                   "image %zu is not of the model's shape, %s, nor a list of its %zu numbers: %s",
                   p->count, cn_shape_format(&p->model->model->network->input_shape, shape),
                   p->image_size, what);
}

enum cn_status json_image_read(struct json_scan *s, struct prediction *p) {
    struct json_tensor tensor = {.values = prediction_add(p, s->error),
                                 .room = p->image_size,
                                 .most_rank = CN_SHAPE_MAX_RANK};
    struct cn_error fault = {0}, *error = s->error;
    if (tensor.values == NULL)
        return error->status;
    s->error = &fault;
    const enum cn_status status = json_tensor_read(s, &tensor);
    s->error = error;
    if (status != CN_OK && !tensor.uneven)
        return cn_fail(error, status, "%s", fault.text);
    if (status != CN_OK || !image_fits(&tensor, &p->model->model->network->input_shape))
        return image_fail(error, p, &tensor, &fault);
    return CN_OK;
}

/* The smallest and the largest sample, and 0. No number of JSON is a NaN. */
struct sample_range {
    float least, most;
};

static struct sample_range sample_range_of(const float *values, size_t count) {
    float least = 0, most = 0;
#ifndef __clang__ /* clang 14 does not vectorise minima of floats, and warns */
#pragma omp simd reduction(min : least) reduction(max : most)
#endif
    for (size_t i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    return (struct sample_range){least, most};
}

static bool has_fraction(const float *values, size_t count) {
    bool fraction = false;
    for (size_t i = 0; i < count; i++)
        fraction |= values[i] != (float)(int)values[i];
    return fraction;
}

static enum cn_status fail_range(struct cn_error *error, size_t image, float value, float range,
                                 bool whole) {
    return cn_fail(error, CN_INVALID, "image %zu contains %g; samples are from 0 to 1%s", image + 1,
                   (double)value,
                   range == 1 ? ""
                   : whole    ? ", or whole from 0 to 255"
                              : " or from 0 to 255");
}

enum cn_status json_image_scale(struct prediction *p, size_t image, float range, bool whole,
                                struct cn_error *error) {
    float *values = p->images + image * p->image_size;
    const struct sample_range found = sample_range_of(values, p->image_size);
    if (range == 0) /* an image whose largest sample is 1 of 255 is unlikely: the range is 1 */
        range = found.most > 1 ? 255 : 1;
    if (found.least < 0)
        return fail_range(error, image, found.least, range, whole);
    if (found.most > range)
        return fail_range(error, image, found.most, range, whole);
    if (whole && range > 1 && has_fraction(values, p->image_size))
        return cn_fail(
            error, CN_INVALID,
            "image %zu has both fractions and numbers above 1; samples are from 0 to 1, or "
            "whole from 0 to 255",
            image + 1);
#pragma omp simd
    for (size_t i = 0; i < p->image_size; i++)
        values[i] = values[i] / range + 0.0f; /* -0 becomes 0 */
    cn_preprocessing_normalize(&p->model->model->preprocessing,
                               &p->model->model->network->input_shape, 1, values);
    return CN_OK;
}

/* ---- A picture ---- */

enum cn_status json_picture_read(struct json_scan *s, struct prediction *p) {
    struct json_string string = {0};
    struct cn_error fault = {0};
    uint8_t *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_json_text(s, &string);
    if (status != CN_OK)
        return status;
    status = cn_json_base64(string, &bytes, &length, &fault);
    if (status != CN_OK)
        return cn_fail(s->error, status, "image %zu: %s", p->count + 1, fault.text);
    return prediction_add_bytes(p, bytes, length, bytes, s->error);
}
