/* predict_images.c: a request's images: adding them, their own errors, and the binary forms of a
 * body. JSON is in predict_json.c, multipart in predict_multipart.c. Runs on the thread that reads
 * the prediction (compute.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/predict.h"
#include "data/picture_list.h"

enum { COUNT_RULE_TEXT = 96 };

/* Makes room for `capacity` images in all. */
static enum cn_status images_grow(struct prediction *p, size_t capacity, struct cn_error *error) {
    if (!http_hold(p->exchange, (capacity - p->capacity) * p->image_size * sizeof(float)))
        return cn_fail(error, CN_MEMORY, "no memory for %zu images", capacity);
    float *images = realloc(p->images, capacity * p->image_size * sizeof *images);
    if (images != NULL)
        p->images = images;
    struct picture_report *reports = realloc(p->reports, capacity * sizeof *reports);
    if (reports != NULL)
        p->reports = reports;
    struct prediction_item *items = realloc(p->items, capacity * sizeof *items);
    if (items != NULL)
        p->items = items;
    if (images == NULL || reports == NULL || items == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu images", capacity);
    p->capacity = capacity;
    return CN_OK;
}

/* Ends a sentence about the limit of images. */
static const char *count_rule(const struct prediction *p, char text[COUNT_RULE_TEXT]) {
    if (!p->coded)
        return "";
    (void)snprintf(text, COUNT_RULE_TEXT,
                   " for a compressed body of %zu bytes; send it uncompressed", p->sent);
    return text;
}

enum cn_status prediction_check_count(const struct prediction *p, size_t count,
                                      struct cn_error *error) {
    char text[COUNT_RULE_TEXT];
    return count <= p->max_images
               ? CN_OK
               : cn_fail(error, CN_LIMIT, "the request has %zu images; the limit is %zu%s", count,
                         p->max_images, count_rule(p, text));
}

float *prediction_add(struct prediction *p, struct cn_error *error) {
    char text[COUNT_RULE_TEXT];
    if (p->count >= p->max_images) {
        (void)cn_fail(error, CN_LIMIT, "the request has more than %zu images, the limit%s",
                      p->max_images, count_rule(p, text));
        return NULL;
    }
    if (p->count == p->capacity) {
        const size_t capacity = p->capacity > 0 ? 2 * p->capacity : 1;
        if (images_grow(p, capacity < p->max_images ? capacity : p->max_images, error) != CN_OK)
            return NULL;
    }
    p->reports[p->count].is_picture = false;
    p->items[p->count] = (struct prediction_item){0};
    return p->images + p->count++ * p->image_size;
}

void prediction_name(struct prediction *p, const char *name, size_t length) {
    if (p->count > 0 && length > 0 && p->items[p->count - 1].name == NULL)
        p->items[p->count - 1].name = strndup(name, length);
}

enum cn_status prediction_record_failure(struct prediction *p, size_t image,
                                         const struct cn_error *fault, struct cn_error *error) {
    const bool own = fault->status == CN_INVALID || fault->status == CN_MALFORMED ||
                     fault->status == CN_UNSUPPORTED || fault->status == CN_UNUSABLE ||
                     fault->status == CN_LIMIT;
    struct prediction_item *item = &p->items[image];
    if (!p->lenient || !p->many || !own)
        return cn_fail(error, fault->status, "%s", fault->text);
    if (item->failure == NULL)
        item->failure = strdup(fault->text);
    if (item->failure == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for an error");
    item->status = fault->status;
    memset(p->images + image * p->image_size, 0, p->image_size * sizeof *p->images);
    return CN_OK;
}

enum cn_status prediction_check_only(const struct prediction *p, struct cn_error *error) {
    return p->count == 1 && p->items[0].failure != NULL
               ? cn_fail(error, p->items[0].status, "%s", p->items[0].failure)
               : CN_OK;
}

/* Grows the array for one more source. */
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

/* Counts the source's pixels, and checks the request's limits. */
static enum cn_status pixels_count(struct prediction *p, struct picture_source *source,
                                   struct cn_error *error) {
    source->pixels = picture_pixels(source->bytes, source->length, &p->picture_limits);
    p->pixels += source->pixels;
    if (p->picture_limits.max_pixels > 0 && p->pixels > p->picture_limits.max_pixels)
        return cn_fail(error, CN_LIMIT,
                       "the request's pictures have %zu pixels; the limit for a body of %zu bytes "
                       "is %zu pixels",
                       p->pixels, p->sent, p->picture_limits.max_pixels);
    if (p->source_count > 1 && p->pixels > p->max_pixels)
        return cn_fail(
            error, CN_LIMIT,
            "the request's pictures have more than %zu pixels in all, the limit max-pixels",
            p->max_pixels);
    return CN_OK;
}

enum cn_status prediction_add_picture(struct prediction *p, const void *bytes, size_t length,
                                      void *owned, struct cn_error *error) {
    const bool room = sources_grow(p) && (owned == NULL || http_hold(p->exchange, length));
    if (!room || prediction_add(p, error) == NULL) {
        free(owned);
        return room ? error->status : cn_fail(error, CN_MEMORY, "no memory for the pictures");
    }
    struct picture_source *source = &p->sources[p->source_count++];
    *source = (struct picture_source){bytes, length, owned, p->count - 1, 0, NULL};
    return pixels_count(p, source, error);
}

enum cn_status prediction_add_bytes(struct prediction *p, const void *bytes, size_t length,
                                    void *owned, struct cn_error *error) {
    if (cn_picture_recognize(bytes, length))
        return prediction_add_picture(p, bytes, length, owned, error);
    const enum cn_status status =
        length == p->image_size
            ? prediction_add_raw(p, bytes, length, error)
            : cn_fail(error, CN_INVALID,
                      "picture %zu has %zu bytes; it must be a picture or one raw image of %zu "
                      "bytes",
                      p->count + 1, length, p->image_size);
    free(owned);
    return status;
}

/* Unpacks the archive's member into the source and counts its pixels. */
static enum cn_status source_unpack(struct prediction *p, struct picture_source *source,
                                    struct cn_error *fault, struct cn_error *error) {
    const struct cn_archive_member *member = source->member;
    const enum cn_status status = cn_archive_unpack(member, p->exchange->context->max_body,
                                                    &source->bytes, &source->owned, fault);
    source->length = member->size;
    return status == CN_OK ? pixels_count(p, source, error) : status;
}

enum cn_status prediction_decode(struct prediction *p, struct picture_source *source,
                                 struct cn_error *error) {
    struct cn_picture_limits limits = p->picture_limits;
    struct cn_error fault = {0};
    enum cn_status status =
        source->member != NULL ? source_unpack(p, source, &fault, error) : CN_OK;
    if (status != CN_OK && fault.status == CN_OK) /* the error is the request's */
        return status;
    limits.max_pixels = source->pixels > 0 ? source->pixels : 1; /* and no more than were counted */
    if (status == CN_OK)
        status = picture_read(p->model->model, &limits, &p->options, source->bytes, source->length,
                              p->images + source->image * p->image_size, &p->reports[source->image],
                              &fault);
    if (status == CN_OK ||
        (p->count > 1 && prediction_record_failure(p, source->image, &fault, NULL) == CN_OK))
        return CN_OK;
    return cn_fail(error, status, "picture %zu: %s", source->image + 1, fault.text);
}

enum cn_status prediction_add_archive(struct prediction *p, const void *bytes, size_t length,
                                      struct cn_error *error) {
    const size_t most = p->exchange->context->max_body;
    struct cn_archive archive;
    struct cn_archive_member member;
    bool found = false;
    enum cn_status status = cn_archive_open(bytes, length, &archive, error);
    p->many = true;
    while (status == CN_OK) {
        status = cn_archive_next(&archive, &member, &found, error);
        if (status != CN_OK || !found)
            break;
        if (!cn_archive_is_picture(&member))
            continue;
        p->unpacked += member.size < most ? member.size : most + 1;
        if (p->unpacked > most)
            return cn_fail(
                error, CN_LIMIT,
                "the archive's files have more than %zu bytes, the limit max-body, when unpacked",
                most);
        if (!sources_grow(p) || !http_hold(p->exchange, sizeof member))
            return cn_fail(error, CN_MEMORY, "no memory for the archive");
        struct cn_archive_member *copy = malloc(sizeof *copy);
        if (copy == NULL || prediction_add(p, error) == NULL) {
            free(copy);
            return cn_fail(error, CN_MEMORY, "no memory for the archive");
        }
        *copy = member;
        prediction_name(p, member.name, strlen(member.name));
        p->sources[p->source_count++] =
            (struct picture_source){.image = p->count - 1, .member = copy};
    }
    if (status == CN_OK && p->count == 0)
        status = cn_fail(error, CN_INVALID, "the archive contains no picture");
    return status;
}

enum cn_status prediction_add_raw(struct prediction *p, const void *bytes, size_t length,
                                  struct cn_error *error) {
    const unsigned char *from = bytes;
    char text[CN_SHAPE_TEXT];
    if (length == 0 || length % p->image_size != 0)
        return cn_fail(
            error, CN_INVALID, "%zu bytes are not a whole number of raw images of %zu bytes, %s",
            length, p->image_size, cn_shape_format(&p->model->model->network->input_shape, text));
    const size_t count = p->count + length / p->image_size;
    if (prediction_check_count(p, count, error) != CN_OK)
        return CN_LIMIT;
    p->many = p->many || length > p->image_size;
    if (count > p->capacity && images_grow(p, count, error) != CN_OK)
        return CN_MEMORY;
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

/* True if the body is the name of a file. curl sends it with --data FILE, where "@" is missing, and
 * with --data-raw @FILE. */
static bool is_file_name(const unsigned char *body, size_t length) {
    char name[256];
    if (length >= sizeof name)
        return false;
    memcpy(name, body, length);
    name[length] = '\0';
    bool named = name[0] == '@' || cn_picture_is_named(name);
    for (size_t i = 0; i < length && named; i++)
        named = body[i] >= ' ' && body[i] != 0x7f;
    return named;
}

/* Looks for two mistakes in the use of curl in a body that is not a complete picture; CN_OK if it
 * finds none. */
static enum cn_status check_curl(const unsigned char *body, size_t length, struct cn_error *error) {
    if (is_file_name(body, length))
        return cn_fail(error, CN_UNSUPPORTED,
                       "the body is the text \"%.*s\": curl reads a file with --data-binary @FILE, "
                       "and not with --data-raw or without the @",
                       length < 40 ? (int)length : 40, (const char *)body);
    if (length >= 4 && memcmp(body, "\x89PNG", 4) == 0)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the %zu bytes begin as a PNG that has lost its line ends: curl drops them "
                       "with -d; send the file with --data-binary @FILE",
                       length);
    return CN_OK;
}

static enum cn_status add_recognized(struct prediction *p, const unsigned char *body, size_t length,
                                     struct cn_error *error) {
    size_t blank = 0;
    if (cn_archive_recognize(body, length))
        return prediction_add_archive(p, body, length, error);
    if (cn_picture_recognize(body, length))
        return prediction_add_picture(p, body, length, NULL, error);
    while (blank < length && strchr(" \t\r\n", body[blank]) != NULL && body[blank] != '\0')
        blank++;
    if (blank < length && body[blank] == '{')
        return prediction_add_json(p, (const char *)body, length, error);
    const enum cn_status slip = check_curl(body, length, error);
    if (slip != CN_OK)
        return slip;
    return cn_fail(error, CN_UNSUPPORTED,
                   "the %zu bytes are neither a picture (%s), a zip or tar of them, nor JSON; raw "
                   "images of %zu bytes each need Content-Type: application/octet-stream",
                   length, cn_picture_formats(), p->image_size);
}

enum cn_status prediction_add_body(struct prediction *p, const char *content_type,
                                   const unsigned char *body, size_t length,
                                   struct cn_error *error) {
    if (length == 0)
        return cn_fail(error, CN_INVALID, "the body is empty; send a picture, raw images or JSON");
    /* `curl --data-binary` sends application/x-www-form-urlencoded for any file. */
    if (content_type == NULL || content_type[0] == '\0' ||
        is_type(content_type, "application/x-www-form-urlencoded"))
        return add_recognized(p, body, length, error);
    if (is_type(content_type, "application/json"))
        return prediction_add_json(p, (const char *)body, length, error);
    if (is_type(content_type, "multipart/form-data"))
        return prediction_add_multipart(p, content_type, body, length, error);
    /* The bytes alone tell whether the body is a picture or an archive, whatever the type says. */
    if (cn_archive_recognize(body, length))
        return prediction_add_archive(p, body, length, error);
    if (cn_picture_recognize(body, length) || strncasecmp(content_type, "image/", 6) == 0)
        return prediction_add_picture(p, body, length, NULL, error);
    if (is_type(content_type, "application/octet-stream"))
        return prediction_add_raw(p, body, length, error);
    return cn_fail(error, CN_UNSUPPORTED,
                   "Content-Type is \"%.80s\"; it must be a picture's (%s), "
                   "application/zip, application/x-tar, application/octet-stream, "
                   "application/json or multipart/form-data",
                   content_type, cn_picture_formats());
}
