/* predict.h: a prediction on its way: body -> images -> lane -> probabilities -> answer. */
#ifndef CONVNET_API_PREDICT_H
#define CONVNET_API_PREDICT_H

#include "api/picture.h"
#include "data/picture_archive.h"
#include "serving/preparer.h"

/* Reads the body of `exchange` into its prediction's images and pictures. On the HTTP thread, or on
 * one of the preparer's while the exchange is deferred. */
typedef enum cn_status prediction_reader(struct http_exchange *exchange, struct cn_error *error);

/* Writes the answer and returns its media type; NULL: the prediction's failure is the answer. On
 * the exchange's HTTP thread. */
typedef const char *prediction_renderer(struct http_exchange *exchange, struct cn_text *text);

/* A picture that waits to be decoded. */
struct picture_source {
    const void *bytes;
    size_t length;
    void *owned; /* the same bytes when they are not the body's; freed after decoding */
    size_t image;
    size_t pixels; /* as its header says, or about so many */
    /* Of an archive: its member that is still to be unpacked, malloc'd; else NULL. */
    struct cn_archive_member *member;
};

/* What a request says of one of its images. */
struct prediction_item {
    char *name;    /* the picture's file, or its field; NULL: it has none; malloc'd */
    char *failure; /* why it has no answer, NULL: it has one; malloc'd */
    enum cn_status status;
};

/* One request's images and what becomes of them. Freed by prediction_free. */
struct prediction {
    struct http_exchange *exchange;
    struct served_model *model; /* a reference */
    size_t max_images, max_pixels;
    struct cn_picture_limits picture_limits;
    struct picture_options options;
    size_t image_size;              /* floats of one image: all inputs */
    size_t count, capacity;         /* images */
    float *images, *outputs;        /* [count, image_size], [count, output row] */
    struct picture_report *reports; /* [count] */
    struct prediction_item *items;  /* [count] */
    /* The body is of a form that holds many: its images have their numbers, and if `lenient` one
     * that cannot be used has its own error, where it is not the only one. */
    bool many, lenient;
    size_t unpacked; /* bytes of an archive's pictures, as it says */
    struct picture_source *sources;
    size_t source_count, source_capacity, decoded;
    size_t pixels;     /* of all sources */
    uint64_t deadline; /* cn_clock_nanoseconds; 0: none; may be shortened before it runs */
    bool is_read;
    struct preparation preparation;
    struct job job;
    uint64_t begun_nanoseconds; /* reading the images began */
    prediction_reader *read;
    prediction_renderer *render;
    /* NULL: the images through the model's plan. Else this, in either lane; it costs about
     * `work_cost` times as much. With `work_prepares` it decodes, too: the preparer runs it, and
     * nothing goes to a lane. */
    void (*work)(struct prediction *prediction);
    double work_cost;
    bool work_prepares, work_ended;
    struct cn_error failure; /* why there is nothing to answer */
    void *protocol_state;    /* what a protocol wants to know when it answers */
    void (*protocol_state_free)(void *state);
};

/* Frees what a prediction holds, but for its reference to the model. */
void prediction_clear(struct prediction *prediction);

/* Frees a prediction with all that it holds; NULL is fine. */
void prediction_free(void *data);

/* ---- compute.c ---- */

/* Makes a prediction without images the exchange's state, for the model and version that the path
 * names; false when the request has been answered with an error. */
bool prediction_begin(struct http_exchange *exchange);

/* The same with a zeroed protocol_state of `size` bytes, which is returned and which `state_free`
 * frees; NULL when the request has been answered. */
void *prediction_begin_protocol(struct http_exchange *exchange, size_t size,
                                void (*state_free)(void *state));

/* False when no picture is for the model of a prediction that has begun, and the request has been
 * answered with what to ask; the second one begins it, too. */
bool prediction_takes_pictures(struct http_exchange *exchange);
bool prediction_begin_pictures(struct http_exchange *exchange);

/* The outputs of image `index`, the one that answers first. */
const float *prediction_outputs(const struct prediction *prediction, size_t index);

/* Reads the body by `read`, decodes its pictures, computes its images in the lane that their cost
 * calls for, and answers 200 with what `render` writes; or answers that it cannot. */
enum http_outcome prediction_run(struct http_exchange *exchange, prediction_reader *read,
                                 prediction_renderer *render);

/* ---- predict_images.c ---- */

/* Room for one image more: [image_size] floats for the caller to fill; NULL and an error over the
 * limit of images or without memory. */
float *prediction_add(struct prediction *prediction, struct cn_error *error);

/* Room for one picture's image; the picture is decoded later. `owned` is NULL when the bytes are
 * the body's; else it is what free() gets after that, also when this fails. CN_LIMIT: over the
 * request's images or pixels. */
enum cn_status prediction_add_picture(struct prediction *prediction, const void *bytes,
                                      size_t length, void *owned, struct cn_error *error);

/* The same for bytes that are a picture or one raw image; CN_INVALID: neither. */
enum cn_status prediction_add_bytes(struct prediction *prediction, const void *bytes, size_t length,
                                    void *owned, struct cn_error *error);

/* Names the image that was added last, by what a part or an archive says; it is copied. */
void prediction_name(struct prediction *prediction, const char *name, size_t length);

/* Gives an image its own error instead of an answer, if the request is one for that and the fault
 * is the image's: then CN_OK. Else, and without memory, the fault is the request's. */
enum cn_status prediction_forgive(struct prediction *prediction, size_t image,
                                  const struct cn_error *fault, struct cn_error *error);

/* After the body has been read: a request's only image has no error of its own. */
enum cn_status prediction_check_only(const struct prediction *prediction, struct cn_error *error);

/* Decodes one picture by the request's options, unpacking it first. Errors name it by its place. */
enum cn_status prediction_decode(struct prediction *prediction, struct picture_source *source,
                                 struct cn_error *error);

/* A zip or tar whose files are pictures. CN_LIMIT: over the request's images, or the pictures would
 * have more bytes than a body. */
enum cn_status prediction_add_archive(struct prediction *prediction, const void *bytes,
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

enum predict_format { PREDICT_JSON = 0, PREDICT_CSV, PREDICT_NDJSON, PREDICT_PNG };

/* What the client's Accept asks for; NULL: JSON. */
enum predict_format predict_format_of(const char *accept);

/* The answer for image `index` as the members of a JSON object: see cn_outputs_add_json. */
void predict_add_json(struct cn_text *text, const struct prediction *prediction, size_t index);

/* The answer's text and its type; see docs/http-api.md. */
const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct cn_text *text);

#endif
