/* tfserving_parse.c: the body of TensorFlow Serving's predict: "instances" (rows) or "inputs"
 * (columns), which for a model with one input are two spellings of a list of images. An image is
 * numbers, {"b64": "..."}, a base64 string, or an object with one of these under any name. Numbers
 * have no type here: an image of whole numbers with one above 1 has the range 0 to 255, every other
 * one the range 0 to 1. No state. */
#include "api/json_images.h"
#include "api/tfserving.h"

/* Reads numbers after their '['. */
static enum cn_status read_numbers(struct json_scan *s, struct prediction *p) {
    const enum cn_status status = json_image_read(s, p);
    return status == CN_OK ? json_image_scale(p, p->count - 1, 0, true, s->error) : status;
}

/* An object around an image: its only member is the image, whatever its name. */
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
        return json_picture_read(s, p);
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
        return json_picture_read(s, request->prediction);
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
