/* predict.h: a prediction from the request to the answer: body -> images -> lane -> probabilities.
 */
#ifndef CONVNET_API_PREDICT_H
#define CONVNET_API_PREDICT_H

#include "api/picture.h"
#include "data/picture_archive.h"
#include "serving/preparer.h"

/* Reads the body of `exchange` into the images and pictures of its prediction. Runs on the HTTP
 * thread, or on a thread of the preparer while the exchange is deferred. */
typedef enum cn_status prediction_reader(struct http_exchange *exchange, struct cn_error *error);

/* Writes the answer and returns its media type; NULL: the prediction's failure is the answer. Runs
 * on the exchange's HTTP thread. */
typedef const char *prediction_renderer(struct http_exchange *exchange, struct cn_text *text);

/* A picture that is not decoded yet. */
struct picture_source {
    const void *bytes;
    size_t length;
    void *owned; /* the bytes, if they are not the body's; freed after decoding */
    size_t image;
    size_t pixels; /* as picture_pixels counts them; 0: not yet counted, or refused at once */
    /* For an archive's picture: its member, which is still to be unpacked, malloc'd; else NULL. */
    struct cn_archive_member *member;
};

/* The name and the failure of one of a request's images. */
struct prediction_item {
    char *name;    /* file name or field name; NULL: none; malloc'd */
    char *failure; /* why it has no answer, NULL: it has one; malloc'd */
    enum cn_status status;
};

/* The images of one request and their results. */
struct prediction {
    struct http_exchange *exchange;
    struct served_model *model; /* holds a reference */
    size_t max_images, max_pixels;
    struct cn_picture_limits picture_limits;
    struct picture_options options;
    const struct cn_error_level *level; /* ?error=: sets of labels too; NULL: none; the model's */
    size_t image_size;                  /* floats of one image, all inputs together */
    size_t count, capacity;             /* in images */
    float *images, *outputs;            /* [count, image_size], [count, output row] */
    struct picture_report *reports;     /* [count] */
    struct prediction_item *items;      /* [count] */
    /* many: the body has a form that can hold several images, so that errors name an image by its
     * number. lenient: an image that cannot be used gets an error of its own, unless it is the only
     * one. */
    bool many, lenient;
    size_t unpacked; /* total size that an archive states for its pictures, in bytes */
    struct picture_source *sources;
    size_t source_count, source_capacity, decoded;
    size_t sent;   /* bytes of the body as they came, before http_body_inflate */
    bool coded;    /* these were compressed, which lowered max_images */
    size_t pixels; /* of all sources together */
    uint64_t
        deadline; /* by cn_clock_nanoseconds; 0: none; may be shortened before the computation */
    bool is_read;
    struct preparation preparation;
    struct job job;
    uint64_t begun_nanoseconds; /* when reading the images began */
    prediction_reader *read;
    prediction_renderer *render;
    /* NULL: the images are computed by the model's plan, in a lane. Else the preparer runs this
     * after the decoding, and no lane is used. */
    void (*work)(struct prediction *prediction);
    bool work_ended;
    struct cn_error failure; /* the error, if the request as a whole has no result */
    void *protocol_state;    /* what a protocol needs for its answer */
    void (*protocol_state_free)(void *state);
};

/* Frees what a prediction owns, but keeps its reference to the model. */
void prediction_clear(struct prediction *prediction);

/* ---- compute.c ---- */

/* Makes a prediction without images the exchange's state, for the model and version in the path,
 * with a zeroed protocol_state of `size` bytes, which is returned and later freed by
 * `state_free`. NULL when the request has been answered. */
void *prediction_begin_protocol(struct http_exchange *exchange, size_t size,
                                void (*state_free)(void *state));

/* False when the model of a prediction that has begun takes no pictures, and the request has been
 * answered with advice; the second function also begins the prediction. */
bool prediction_takes_pictures(struct http_exchange *exchange);
bool prediction_begin_pictures(struct http_exchange *exchange);

/* Reads ?error=0.01, which asks for label sets of this error rate. Fails as cn_model_error_level
 * does. */
enum cn_status prediction_read_error(struct http_exchange *exchange, struct cn_error *error);

/* The outputs of image `index`. */
const float *prediction_outputs(const struct prediction *prediction, size_t index);

/* Reads the body with `read`, decodes its pictures, computes its images in the lane that their cost
 * calls for, and answers 200 with what `render` writes, or with an error. */
enum http_outcome prediction_run(struct http_exchange *exchange, prediction_reader *read,
                                 prediction_renderer *render);

/* ---- predict_images.c ---- */

/* CN_LIMIT if the request may not have `count` images in all. */
enum cn_status prediction_check_count(const struct prediction *prediction, size_t count,
                                      struct cn_error *error);

/* Adds one image: [image_size] floats for the caller to fill. NULL and an error over the limit of
 * images or if memory runs out. */
float *prediction_add(struct prediction *prediction, struct cn_error *error);

/* Adds one picture, which is decoded later. `owned` is NULL when the bytes are part of the body;
 * else it is passed to free() after decoding, and also when this function fails. CN_LIMIT: over the
 * request's limit of images or pixels. */
enum cn_status prediction_add_picture(struct prediction *prediction, const void *bytes,
                                      size_t length, void *owned, struct cn_error *error);

/* The same for bytes that are a picture or one raw image. CN_INVALID: they are neither. */
enum cn_status prediction_add_bytes(struct prediction *prediction, const void *bytes, size_t length,
                                    void *owned, struct cn_error *error);

/* Copies the name, from a part or an archive, of the image that was added last. */
void prediction_name(struct prediction *prediction, const char *name, size_t length);

/* Records the error as the image's own, if the request allows it and the fault is the image's:
 * returns CN_OK. Else, and if memory runs out, returns the error as the request's. */
enum cn_status prediction_record_failure(struct prediction *prediction, size_t image,
                                         const struct cn_error *fault, struct cn_error *error);

/* Called after the body has been read: the error of a request's only image becomes the request's.
 */
enum cn_status prediction_check_only(const struct prediction *prediction, struct cn_error *error);

/* Unpacks and decodes one picture by the request's options. Errors name the picture by its
 * position. */
enum cn_status prediction_decode(struct prediction *prediction, struct picture_source *source,
                                 struct cn_error *error);

/* Adds the pictures of a zip or tar archive. CN_LIMIT: more than the request's images, or more
 * bytes of pictures than a body may have. */
enum cn_status prediction_add_archive(struct prediction *prediction, const void *bytes,
                                      size_t length, struct cn_error *error);

/* Adds raw images of one byte per sample. CN_INVALID unless their number is whole. */
enum cn_status prediction_add_raw(struct prediction *prediction, const void *bytes, size_t length,
                                  struct cn_error *error);

/* Adds {"images": [...]}: see predict_json.c. `text` ends with a NUL that `length` does not count.
 */
enum cn_status prediction_add_json(struct prediction *prediction, const char *text, size_t length,
                                   struct cn_error *error);

/* Adds multipart/form-data: each part is a picture or one raw image. `content_type` holds the
 * boundary. */
enum cn_status prediction_add_multipart(struct prediction *prediction, const char *content_type,
                                        const unsigned char *body, size_t length,
                                        struct cn_error *error);

/* Adds the whole body in any of the forms. The bytes tell the form when the type is absent or the
 * one that curl sends by default. CN_UNSUPPORTED names the accepted types. */
enum cn_status prediction_add_body(struct prediction *prediction, const char *content_type,
                                   const unsigned char *body, size_t length,
                                   struct cn_error *error);

enum predict_format { PREDICT_JSON = 0, PREDICT_CSV, PREDICT_NDJSON, PREDICT_PNG };

/* The format that the client's Accept header asks for; NULL: JSON. */
enum predict_format predict_format_of(const char *accept);

/* Adds the answer for image `index` as members of a JSON object: see cn_outputs_add_json. */
void predict_add_json(struct cn_text *text, const struct prediction *prediction, size_t index);

/* The answer's text and its type; see docs/http-api.md. */
const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct cn_text *text);

#endif
