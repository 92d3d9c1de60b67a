/* tfserving_parse.c: the body of TensorFlow Serving's predict: "instances" (rows) or "inputs"
 * (columns), which for a model with one input are two spellings of a list of images. An image is
 * numbers, {"b64": "..."}, a base64 string, or one of these under any name. Numbers carry no type
 * here: an image of whole numbers with one above 1 is 0 to 255, every other one must lie in 0 to 1.
 * No state. */
#include <stdlib.h>

#include "api/oip/infer.h"
#include "api/tfserving.h"

enum { MAX_RANK = 3 };

/* A list of numbers as it is read: nested, all leaves at one depth, lists of one depth equally
 * long.
 */
struct leaves {
    float *values;
    size_t count, wanted;
    int rank; /* 0: no number yet */
    int64_t dims[MAX_RANK];
};

static enum cn_status fail_image(struct json_scan *s, const struct prediction *p) {
    char text[CN_SHAPE_TEXT];
    return cn_fail(s->error, CN_INVALID,
                   "image %zu is not of the model's shape, %s, nor a list of its %zu numbers",
                   p->count, cn_shape_format(&p->model->model->network->input_shape, text),
                   p->image_size);
}

/* Behind the '[' of depth `depth`, 0 for the image. */
static enum cn_status read_leaves(struct json_scan *s, struct leaves *leaves, int depth,
                                  const struct prediction *p) {
    int64_t got = 0;
    if (depth == MAX_RANK)
        return fail_image(s, p);
    do {
        enum cn_status status = CN_OK;
        if (cn_json_take(s, '[')) {
            status = read_leaves(s, leaves, depth + 1, p);
        } else if (leaves->count == leaves->wanted ||
                   (leaves->rank > 0 && leaves->rank != depth + 1)) {
            status = fail_image(s, p);
        } else {
            leaves->rank = depth + 1;
            status = cn_json_number(s, &leaves->values[leaves->count++]);
        }
        if (status != CN_OK)
            return status;
        got++;
    } while (cn_json_take(s, ','));
    if (!cn_json_take(s, ']'))
        return cn_json_fail(s, "',' or ']'");
    if (leaves->dims[depth] != 0 && leaves->dims[depth] != got)
        return fail_image(s, p);
    leaves->dims[depth] = got;
    return CN_OK;
}

static bool shape_fits(const struct leaves *leaves, const struct cn_shape *shape) {
    const int64_t *d = leaves->dims;
    if (leaves->count != leaves->wanted)
        return false;
    if (leaves->rank == 1)
        return true;
    if (shape->rank != 3)
        return false;
    const int height = shape->dims[0], width = shape->dims[1], channels = shape->dims[2];
    if (leaves->rank == 2)
        return channels == 1 && d[0] == height && d[1] == width;
    return (d[0] == height && d[1] == width && d[2] == channels) ||
           (channels == 1 && d[0] == 1 && d[1] == height && d[2] == width);
}

static enum cn_status scale(struct json_scan *s, const struct prediction *p, float *values) {
    bool whole = true, above = false;
    for (size_t i = 0; i < p->image_size; i++) {
        const float value = values[i];
        if (!(value >= 0 && value <= 255))
            return cn_fail(s->error, CN_INVALID,
                           "image %zu holds %g; samples are from 0 to 1, or whole from 0 to 255",
                           p->count, (double)value);
        whole &= value == (float)(int)value;
        above |= value > 1;
    }
    if (above && !whole)
        return cn_fail(s->error, CN_INVALID,
                       "image %zu holds fractions and numbers above 1; samples are from 0 to 1, or "
                       "whole from 0 to 255",
                       p->count);
    for (size_t i = 0; i < p->image_size; i++)
        values[i] = above ? values[i] / 255 : values[i] + 0.0f; /* no negative zero */
    return CN_OK;
}

/* Numbers behind '['. */
static enum cn_status read_numbers(struct json_scan *s, struct prediction *p) {
    struct leaves leaves = {.values = prediction_add(p, s->error), .wanted = p->image_size};
    if (leaves.values == NULL)
        return s->error->status;
    const enum cn_status status = read_leaves(s, &leaves, 0, p);
    if (status != CN_OK)
        return status;
    if (!shape_fits(&leaves, &p->model->model->network->input_shape))
        return fail_image(s, p);
    return scale(s, p, leaves.values);
}

static enum cn_status read_string(struct json_scan *s, struct prediction *p) {
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
    return infer_add_picture(p, bytes, length, bytes, p->count, s->error);
}

/* An object around an image: its member is the image, whatever its name. */
struct wrapping {
    struct prediction *prediction;
    int depth;
    size_t members;
};

static enum cn_status read_image(struct json_scan *s, struct prediction *p, int depth);

static enum cn_status read_wrapped(struct json_scan *s, struct json_string key, void *data) {
    struct wrapping *wrapping = data;
    if (wrapping->members++ > 0)
        return cn_fail(
            s->error, CN_INVALID, "image %zu has a second input, '%.*s'; this model has one",
            wrapping->prediction->count, (int)(key.length < 64 ? key.length : 64), key.begin);
    return read_image(s, wrapping->prediction, wrapping->depth + 1);
}

static enum cn_status read_image(struct json_scan *s, struct prediction *p, int depth) {
    struct wrapping wrapping = {p, depth, 0};
    const char c = cn_json_peek(s);
    if (c == '"')
        return read_string(s, p);
    if (cn_json_take(s, '['))
        return read_numbers(s, p);
    if (c != '{' || depth == 2)
        return cn_json_fail(s, "an image: '[', a base64 string or {\"b64\": ...}");
    const enum cn_status status = cn_json_object(s, read_wrapped, &wrapping);
    if (status == CN_OK && wrapping.members == 0)
        return cn_fail(s->error, CN_INVALID, "image %zu is an empty object", p->count + 1);
    return status;
}

static enum cn_status read_element(struct json_scan *s, size_t index, void *data) {
    struct tfserving_request *request = data;
    (void)index;
    return read_image(s, request->prediction, 0);
}

static enum cn_status read_column(struct json_scan *s, struct json_string key, void *data) {
    struct tfserving_request *request = data;
    if (request->named++ > 0)
        return cn_fail(s->error, CN_INVALID, "there is a second input, '%.*s'; this model has one",
                       (int)(key.length < 64 ? key.length : 64), key.begin);
    if (cn_json_is(key, "b64"))
        return read_string(s, request->prediction);
    return cn_json_list(s, read_element, request);
}

static enum cn_status read_member(struct json_scan *s, struct json_string key, void *data) {
    struct tfserving_request *request = data;
    const bool columns = cn_json_is(key, "inputs");
    if (!columns && !cn_json_is(key, "instances"))
        return cn_json_skip(s); /* signature_name */
    if (request->seen)
        return cn_fail(s->error, CN_INVALID,
                       "the request must have one of \"instances\" and \"inputs\", once");
    request->seen = true;
    request->columns = columns;
    if (columns && cn_json_peek(s) == '{')
        return cn_json_object(s, read_column, request);
    return cn_json_list(s, read_element, request);
}

enum cn_status tfserving_parse(struct tfserving_request *request, const char *text, size_t length,
                               struct cn_error *error) {
    struct json_scan scan = {text, text, length, error};
    enum cn_status status = cn_json_object(&scan, read_member, request);
    if (status == CN_OK)
        status = cn_json_end(&scan);
    if (status == CN_OK && !request->seen)
        status = cn_fail(error, CN_INVALID,
                         "the JSON object has neither \"instances\" nor "
                         "\"inputs\"");
    if (status == CN_OK && request->prediction->count == 0)
        status = cn_fail(error, CN_INVALID, "the request has no image");
    return status;
}
