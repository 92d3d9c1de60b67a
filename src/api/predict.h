/* predict.h: a prediction on its way: body -> images -> lane -> probabilities -> answer. */
#ifndef CONVNET_API_PREDICT_H
#define CONVNET_API_PREDICT_H

#include "api/picture.h"

/* One request's images and what becomes of them. Freed by prediction_free. */
struct prediction {
    struct served_model *model; /* a reference */
    size_t max_images;
    struct cn_picture_limits picture_limits;
    struct picture_options options;
    size_t image_size;              /* floats of one image */
    size_t count, capacity;         /* images */
    float *images, *outputs;        /* [count, image_size], [count, classes] */
    struct picture_report *reports; /* [count] */
    uint64_t deadline; /* cn_clock_nanoseconds; 0: none; may be shortened before it runs */
    struct job job;
    uint64_t begun_nanoseconds; /* reading the images began */
    const char *(*render)(struct http_exchange *exchange, struct cn_text *text);
    /* NULL: the images through the model's plan. Else this, in either lane; it costs about
     * `work_cost` times as much. */
    void (*work)(struct prediction *prediction);
    double work_cost;
    struct cn_error failure; /* why `render` has nothing to write */
    void *wish;              /* what a protocol wants to know when it answers */
    void (*wish_free)(void *wish);
};

void prediction_free(void *prediction);

/* Makes a prediction without images the exchange's state, for the model and version that the path
 * names; false when the request has been answered with an error. */
bool prediction_begin(struct http_exchange *exchange);

/* Computes the prediction's images, in the lane that their cost calls for, and answers 200 with
 * what `render` writes and the media type that it returns; or answers that it cannot: also when
 * `render` returns NULL, because `work` left a failure. `render` runs on the exchange's HTTP
 * thread. */
enum http_outcome prediction_run(struct http_exchange *exchange,
                                 const char *(*render)(struct http_exchange *exchange,
                                                       struct cn_text *text));

/* Room for one image more: [image_size] floats for the caller to fill; NULL and an error over the
 * limit of images or without memory. */
float *prediction_add(struct prediction *prediction, struct cn_error *error);

/* One picture of any format, by the request's options. Errors name the picture by its place. */
enum cn_status prediction_add_picture(struct prediction *prediction, const void *bytes,
                                      size_t length, struct cn_error *error);

/* Raw images, one byte a sample, one after another. CN_INVALID unless a whole number of them. */
enum cn_status prediction_add_raw(struct prediction *prediction, const void *bytes, size_t length,
                                  struct cn_error *error);

/* {"images": [...]}: see predict_json.c. `text` ends with a NUL that `length` does not count. */
enum cn_status prediction_add_json(struct prediction *prediction, const char *text, size_t length,
                                   struct cn_error *error);

/* multipart/form-data: each part is a picture or one raw image. `content_type` holds the boundary.
 */
enum cn_status prediction_add_multipart(struct prediction *prediction, const char *content_type,
                                        const unsigned char *body, size_t length,
                                        struct cn_error *error);

/* The whole body in any of the forms; an absent type or the one that curl sends is recognised by
 * the bytes. CN_UNSUPPORTED names the types that are taken. */
enum cn_status prediction_add_body(struct prediction *prediction, const char *content_type,
                                   const unsigned char *body, size_t length,
                                   struct cn_error *error);

enum predict_format { PREDICT_JSON = 0, PREDICT_CSV, PREDICT_NDJSON };

/* What the client's Accept asks for; NULL: JSON. */
enum predict_format predict_format_of(const char *accept);

/* The answer for image `index` as a JSON object: class, label, confidence, probabilities ... */
void predict_add_json(struct cn_text *text, const struct prediction *prediction, size_t index);

/* The answer's text and its type; see docs/http-api.md. */
const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct cn_text *text);

#endif
