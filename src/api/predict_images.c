/* predict_images.c: a request's images: room for them, and the forms that are bytes. JSON is in
 * predict_json.c, multipart in predict_multipart.c. Runs where the
 * prediction is read (compute.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/predict.h"

float *prediction_add(struct prediction *p, struct cn_error *error) {
    if (p->count >= p->max_images) {
        (void)cn_fail(error, CN_LIMIT, "the request has over %zu images", p->max_images);
        return NULL;
    }
    if (p->count == p->capacity) {
        size_t capacity = p->capacity > 0 ? 2 * p->capacity : 1;
        if (capacity > p->max_images)
            capacity = p->max_images;
        const size_t more = (capacity - p->capacity) * p->image_size * sizeof(float);
        if (!http_hold(p->exchange, more)) {
            (void)cn_fail(error, CN_MEMORY, "no memory for %zu images", capacity);
            return NULL;
        }
        float *images = realloc(p->images, capacity * p->image_size * sizeof *images);
        if (images != NULL)
            p->images = images;
        struct picture_report *reports = realloc(p->reports, capacity * sizeof *reports);
        if (reports != NULL)
            p->reports = reports;
        if (images == NULL || reports == NULL) {
            (void)cn_fail(error, CN_MEMORY, "no memory for %zu images", capacity);
            return NULL;
        }
        p->capacity = capacity;
    }
    p->reports[p->count].is_picture = false;
    return p->images + p->count++ * p->image_size;
}

/* Room for one source more. */
static bool sources_grow(struct prediction *p) {
    if (p->source_count < p->source_capacity)
        return true;
    const size_t capacity = 2 * p->source_capacity + 1;
    struct picture_source *sources = realloc(p->sources, capacity * sizeof *sources);
    if (sources == NULL)
        return false;
    p->sources = sources;
    p->source_capacity = capacity;
    return true;
}

enum cn_status prediction_add_picture(struct prediction *p, const void *bytes, size_t length,
                                      void *owned, struct cn_error *error) {
    const size_t pixels = picture_pixels(bytes, length, &p->picture_limits);
    const bool room = sources_grow(p) && (owned == NULL || http_hold(p->exchange, length));
    if (!room || prediction_add(p, error) == NULL) {
        free(owned);
        return room ? error->status : cn_fail(error, CN_MEMORY, "no memory for the pictures");
    }
    p->sources[p->source_count++] =
        (struct picture_source){bytes, length, owned, p->count - 1, pixels};
    /* One picture has its own limit, and its own error. */
    p->pixels += pixels;
    if (p->source_count > 1 && p->pixels > p->max_pixels)
        return cn_fail(error, CN_LIMIT,
                       "the request's pictures have over %zu pixels in all, max-pixels",
                       p->max_pixels);
    return CN_OK;
}

enum cn_status prediction_decode(struct prediction *p, const struct picture_source *source,
                                 struct cn_error *error) {
    struct cn_error fault = {0};
    const enum cn_status status = picture_read(
        p->model->model, &p->picture_limits, &p->options, source->bytes, source->length,
        p->images + source->image * p->image_size, &p->reports[source->image], &fault);
    if (status == CN_OK)
        return CN_OK;
    return cn_fail(error, status, "picture %zu: %s", source->image + 1, fault.text);
}

enum cn_status prediction_add_raw(struct prediction *p, const void *bytes, size_t length,
                                  struct cn_error *error) {
    const unsigned char *from = bytes;
    char text[CN_SHAPE_TEXT];
    if (length == 0 || length % p->image_size != 0)
        return cn_fail(
            error, CN_INVALID, "%zu bytes are not a whole number of raw images of %zu bytes, %s",
            length, p->image_size, cn_shape_format(&p->model->model->network->input_shape, text));
    if (length / p->image_size > p->max_images - p->count)
        return cn_fail(error, CN_LIMIT, "the request has %zu images; the limit is %zu",
                       length / p->image_size, p->max_images);
    for (; length > 0; from += p->image_size, length -= p->image_size) {
        float *image = prediction_add(p, error);
        if (image == NULL)
            return CN_MEMORY;
        cn_image_from_bytes(from, p->image_size, image);
        cn_preprocessing_normalize(&p->model->model->preprocessing,
                                   &p->model->model->network->input_shape, 1, image);
    }
    return CN_OK;
}

/* True if the media type of `header`, up to its parameters, is `type`. */
static bool is_type(const char *header, const char *type) {
    const size_t length = strlen(type);
    return strncasecmp(header, type, length) == 0 && strchr("; \t", header[length]) != NULL;
}

static enum cn_status add_recognized(struct prediction *p, const unsigned char *body, size_t length,
                                     struct cn_error *error) {
    size_t blank = 0;
    if (cn_picture_recognize(body, length))
        return prediction_add_picture(p, body, length, NULL, error);
    while (blank < length && strchr(" \t\r\n", body[blank]) != NULL && body[blank] != '\0')
        blank++;
    if (blank < length && body[blank] == '{')
        return prediction_add_json(p, (const char *)body, length, error);
    if (body[0] == '@')
        return cn_fail(error, CN_UNSUPPORTED,
                       "the body is the text \"%.*s\": curl reads a file with --data-binary @FILE, "
                       "and not with --data-raw",
                       length < 40 ? (int)length : 40, (const char *)body);
    return cn_fail(error, CN_UNSUPPORTED,
                   "the %zu bytes are neither a picture (%s) nor JSON; raw images of %zu bytes "
                   "each need Content-Type: application/octet-stream",
                   length, cn_picture_formats(), p->image_size);
}

enum cn_status prediction_add_body(struct prediction *p, const char *content_type,
                                   const unsigned char *body, size_t length,
                                   struct cn_error *error) {
    if (length == 0)
        return cn_fail(error, CN_INVALID, "the body is empty; send a picture, raw images or JSON");
    /* application/x-www-form-urlencoded is what `curl --data-binary` says of any file. */
    if (content_type == NULL || content_type[0] == '\0' ||
        is_type(content_type, "application/x-www-form-urlencoded"))
        return add_recognized(p, body, length, error);
    if (is_type(content_type, "application/json"))
        return prediction_add_json(p, (const char *)body, length, error);
    if (is_type(content_type, "multipart/form-data"))
        return prediction_add_multipart(p, content_type, body, length, error);
    /* What a picture is its bytes say, whatever it is called. */
    if (cn_picture_recognize(body, length) || strncasecmp(content_type, "image/", 6) == 0)
        return prediction_add_picture(p, body, length, NULL, error);
    if (is_type(content_type, "application/octet-stream"))
        return prediction_add_raw(p, body, length, error);
    return cn_fail(error, CN_UNSUPPORTED,
                   "Content-Type is \"%.80s\"; it must be a picture's (%s), "
                   "application/octet-stream, application/json or multipart/form-data",
                   content_type, cn_picture_formats());
}
