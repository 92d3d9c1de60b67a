/* predict_json.c: {"images": [...]}. Numbers are samples from 0 to 255, as raw bytes are, or from 0
 * to 1: "range" says which; without it an image with no number above 1 has the range 1.
 * json_images.c reads an image. Runs on the thread that reads the prediction (compute.c). */
#include <stdlib.h>

#include "api/json_images.h"

/* The state while a request is read. */
struct reading {
    struct prediction *prediction;
    float range;   /* 0: not given */
    bool seen;     /* "images" was seen */
    bool *numeric; /* [images]: needs scaling */
};

static enum cn_status fail_as(struct cn_error *error, const struct cn_error *fault) {
    return cn_fail_at(error, fault->status, fault->source, fault->offset, "%s", fault->text);
}

/* A JSON value that is not an image has its own error, and reading continues with the next one. */
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
        status = string ? json_picture_read(s, p) : json_image_read(s, p);
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
    return prediction_record_failure(p, image, &fault, error);
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
        return cn_fail(s->error, CN_MALFORMED, "\"images\" occurs twice");
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
        if (reading.numeric[i] && json_image_scale(p, i, reading.range, false, &fault) != CN_OK)
            status = prediction_record_failure(p, i, &fault, error);
    }
    free(reading.numeric);
    return status;
}
