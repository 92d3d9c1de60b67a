/* predict_json.c: {"images": [...]} straight into floats: one heap node a pixel would cost more
 * than the network. An image is nested numbers [height][width] or [height][width][channels], a flat
 * list of them, or a picture in base64. Numbers are samples from 0 to 255, as raw bytes are, or
 * from 0 to 1: "range" says which, and without it an image with no number above 1 is of the latter.
 * Runs on the exchange's HTTP thread. */
#include <stdlib.h>

#include "api/predict.h"
#include "json/scan.h"

/* A request as it is read. */
struct reading {
    struct prediction *prediction;
    float range;   /* 0: not said */
    bool seen;     /* "images" */
    bool *numeric; /* [images]: needs scaling */
};

/* Reads exactly `count` numbers after '['; `what` and `image` are for the message. */
static enum cn_status read_numbers(struct json_scan *s, float *values, size_t count,
                                   const char *what, size_t image) {
    size_t got = 0;
    if (!cn_json_take(s, ']')) {
        do {
            float value = 0;
            const enum cn_status status = cn_json_number(s, &value);
            if (status != CN_OK)
                return status;
            if (got < count)
                values[got] = value;
            got++;
        } while (cn_json_take(s, ','));
        if (!cn_json_take(s, ']'))
            return cn_json_fail(s, "',' or ']'");
    }
    if (got == count)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has %s of %zu numbers; the model takes %zu",
                   image, what, got, count);
}

/* One row after '[': numbers (one channel) or pixels. */
static enum cn_status read_row(struct json_scan *s, float *values, const struct cn_shape *shape,
                               size_t image) {
    const size_t width = (size_t)shape->dims[1], channels = (size_t)shape->dims[2];
    size_t got = 0;
    if (channels == 1 && cn_json_peek(s) != '[')
        return read_numbers(s, values, width, "a row", image);
    do {
        if (!cn_json_take(s, '['))
            return cn_json_fail(s, "'['");
        float *pixel = values + (got < width ? got : width - 1) * channels;
        const enum cn_status status = read_numbers(s, pixel, channels, "a pixel", image);
        if (status != CN_OK)
            return status;
        got++;
    } while (cn_json_take(s, ','));
    if (!cn_json_take(s, ']'))
        return cn_json_fail(s, "',' or ']'");
    if (got == width)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has a row of %zu pixels; the model takes %zu",
                   image, got, width);
}

/* An image of numbers after '['. */
static enum cn_status read_image(struct json_scan *s, struct prediction *p) {
    const struct cn_shape *shape = &p->model->model->network->input_shape;
    float *values = prediction_add(p, s->error);
    const size_t image = p->count;
    size_t rows = 0;
    if (values == NULL)
        return CN_LIMIT;
    if (cn_json_peek(s) != '[' || shape->rank != 3)
        return read_numbers(s, values, p->image_size, "a list", image);
    const size_t height = (size_t)shape->dims[0], row = p->image_size / height;
    do {
        if (!cn_json_take(s, '['))
            return cn_json_fail(s, "'['");
        const enum cn_status status =
            read_row(s, values + (rows < height ? rows : height - 1) * row, shape, image);
        if (status != CN_OK)
            return status;
        rows++;
    } while (cn_json_take(s, ','));
    if (!cn_json_take(s, ']'))
        return cn_json_fail(s, "',' or ']'");
    if (rows == height)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has %zu rows; the model takes %zu", image, rows,
                   height);
}

static enum cn_status read_base64(struct json_scan *s, struct prediction *p) {
    struct json_string string = {0};
    uint8_t *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_json_text(s, &string);
    if (status == CN_OK)
        status = cn_json_base64(string, &bytes, &length, NULL);
    if (status == CN_MALFORMED && string.begin != NULL)
        return cn_fail(s->error, CN_MALFORMED, "image %zu is a string, but not base64",
                       p->count + 1);
    if (status != CN_OK)
        return cn_fail(s->error, status, "no memory for a picture");
    return prediction_add_picture(p, bytes, length, bytes, s->error);
}

/* Samples of image `index` as read to floats in [0, 1], the raw bytes' own bits for whole numbers.
 */
static enum cn_status scale(struct prediction *p, size_t index, float range,
                            struct cn_error *error) {
    float *values = p->images + index * p->image_size, most = 0;
    for (size_t i = 0; i < p->image_size; i++)
        most = values[i] > most ? values[i] : most;
    if (range == 0) /* nobody meant a picture of 1 of 255 */
        range = most > 1 ? 255 : 1;
    for (size_t i = 0; i < p->image_size; i++) {
        if (!(values[i] >= 0 && values[i] <= range))
            return cn_fail(error, CN_INVALID, "image %zu holds %g; samples are from 0 to %g%s",
                           index + 1, (double)values[i], (double)range,
                           range > 1 ? " (or 0 to 1 with \"range\": 1)" : "");
        values[i] /= range;
    }
    cn_preprocessing_normalize(&p->model->model->preprocessing,
                               &p->model->model->network->input_shape, 1, values);
    return CN_OK;
}

static enum cn_status fail_as(struct cn_error *error, const struct cn_error *fault) {
    return cn_fail_at(error, fault->status, fault->source, fault->offset, "%s", fault->text);
}

/* What cannot be an image but is JSON has its own error, and the next one is read. */
static enum cn_status read_any(struct json_scan *s, struct reading *reading) {
    struct prediction *p = reading->prediction;
    struct cn_error fault = {0}, *error = s->error;
    const size_t image = p->count;
    const bool string = cn_json_peek(s) == '"';
    const char *begin = s->at;
    enum cn_status status = CN_OK;
    reading->numeric[image] = !string;
    s->error = &fault;
    if (!string && !cn_json_take(s, '['))
        status = cn_json_fail(s, "an image: '[' or a base64 string");
    else
        status = string ? read_base64(s, p) : read_image(s, p);
    s->error = error;
    if (status == CN_OK || !p->lenient || (status != CN_INVALID && status != CN_MALFORMED))
        return status == CN_OK ? CN_OK : fail_as(error, &fault);
    s->at = begin;
    s->error = &(struct cn_error){0};
    const bool is_json = cn_json_skip(s) == CN_OK;
    s->error = error;
    if (!is_json || (p->count == image && prediction_add(p, error) == NULL))
        return fail_as(error, &fault);
    reading->numeric[image] = false;
    return prediction_forgive(p, image, &fault, error);
}

static enum cn_status read_element(struct json_scan *s, size_t index, void *data) {
    struct reading *reading = data;
    struct prediction *p = reading->prediction;
    (void)index;
    if ((p->count & (p->count + 1)) == 0) { /* at 0, 1, 3, 7 ...: room for twice as many */
        bool *grown = realloc(reading->numeric, 2 * p->count + 2);
        if (grown == NULL)
            return cn_fail(s->error, CN_MEMORY, "no memory for the images");
        reading->numeric = grown;
    }
    return read_any(s, reading);
}

static enum cn_status read_range(struct json_scan *s, float *range) {
    const enum cn_status status = cn_json_number(s, range);
    if (status == CN_OK && *range != 1 && *range != 255)
        return cn_fail(s->error, CN_INVALID, "\"range\" is %g; it must be 1 or 255",
                       (double)*range);
    return status;
}

static enum cn_status read_member(struct json_scan *s, struct json_string key, void *data) {
    struct reading *reading = data;
    if (cn_json_is(key, "range"))
        return read_range(s, &reading->range);
    if (!cn_json_is(key, "images"))
        return cn_json_skip(s);
    if (reading->seen)
        return cn_fail(s->error, CN_MALFORMED, "\"images\" is there twice");
    reading->seen = true;
    if (cn_json_peek(s) != '[')
        return cn_json_fail(s, "'[', the list of images");
    const size_t before = reading->prediction->count;
    const enum cn_status status = cn_json_list(s, read_element, reading);
    if (status == CN_OK && reading->prediction->count == before)
        return cn_fail(s->error, CN_INVALID, "\"images\" is empty");
    return status;
}

enum cn_status prediction_add_json(struct prediction *p, const char *text, size_t length,
                                   struct cn_error *error) {
    struct cn_error local = {0};
    struct json_scan scan = {text, text, length, error != NULL ? error : &local};
    struct reading reading = {.prediction = p};
    const size_t first = p->count;
    p->many = true;
    enum cn_status status = cn_json_object(&scan, read_member, &reading);
    if (status == CN_OK)
        status = cn_json_end(&scan);
    if (status == CN_OK && !reading.seen)
        status = cn_fail(error, CN_INVALID, "the JSON object has no \"images\"");
    for (size_t i = first; i < p->count && status == CN_OK; i++) {
        struct cn_error fault = {0};
        if (reading.numeric[i] && scale(p, i, reading.range, &fault) != CN_OK)
            status = prediction_forgive(p, i, &fault, error);
    }
    free(reading.numeric);
    return status;
}
