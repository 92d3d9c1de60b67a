/* model.h: the model file: a network with everything that is needed to serve it.
 *
 * A .safetensors file: 8-byte little-endian header length, JSON header, F32 tensors named
 * "<layer>/<tensor>". Its __metadata__ has only strings; docs/model-format.md describes it field by
 * field: format, architecture (Keras JSON), labels, preprocessing, training (the record), checksum,
 * probes, calibration, tensors. */
#ifndef CONVNET_MODEL_H
#define CONVNET_MODEL_H

#include "convnet/image.h"
#include "convnet/network.h"

CN_DECLARATIONS_BEGIN

/* An input or an output as clients see it: name, shape and order of its numbers. For an imported
 * network they are those of the source model. */
enum { CN_TENSOR_FORM_RANK = 8, CN_TENSOR_FORM_NAME = 256 };
struct cn_tensor_form {
    char name[CN_TENSOR_FORM_NAME];
    size_t port;                         /* index among the network's inputs or outputs */
    bool batched;                        /* the first dimension is the number of images */
    int rank, dims[CN_TENSOR_FORM_RANK]; /* dims[0] -1: any number of images */
    size_t size;                         /* numbers per image */
    uint32_t
        *places; /* [size]: the index of each number in the network's order; NULL: the same order */
};

/* Thresholds for sets of labels, each a probability, made by cn_calibrate_sets. */
struct cn_error_level {
    double error; /* at most this share of the pictures gets a set without the right label */
    float reject; /* an answer with a lower confidence has no label */
    float label;  /* the least probability of a further label in the set */
};
enum { CN_ERROR_LEVELS = 8 };
struct cn_error_levels {
    size_t samples; /* that they were made from */
    float doubt;  /* an answer of a lower confidence that is not rejected has two labels or more */
    size_t count; /* 0: none were made */
    struct cn_error_level levels[CN_ERROR_LEVELS]; /* by rising errors */
};

struct cn_model {
    struct cn_network *network;
    enum cn_output_kind kind; /* of the network's first output */
    size_t output_size;       /* floats per image of that output */
    /* One label per class; two for a single sigmoid (below and above one half); none for a number,
     * or for a map whose channels have no labels. */
    size_t label_count;
    char **labels;
    struct cn_preprocessing preprocessing;
    struct cn_error_levels error_levels; /* of a softmax; count 0: `convnet calibrate` made none */
    size_t input_forms, output_forms;    /* as many as the network has */
    struct cn_tensor_form *inputs, *outputs; /* in the order of the source model */
    char *tensors;       /* the JSON that describes them; NULL: they are the network's own */
    bool answers;        /* the network's first output is the answer to a picture */
    char *training;      /* JSON object as text; "{}" if nothing is known */
    char sha256[65];     /* of the file it was read from, in lower-case hex; "" for a new model */
    bool sealed;         /* that file has a checksum, which was right */
    int weights_file;    /* descriptor of that file, from which the network's parameters, which are
                          * NULL, can be read again; -1: they are there */
    long long signed_at; /* when that file was signed, in seconds since 1970; 0: not checked */
};

/* Makes a model of `network`, with labels "0", "1", ... if it answers classes, and the default
 * preprocessing. Takes ownership of `network`. Caller frees with cn_model_free. */
enum cn_status cn_model_create(struct cn_network *network, struct cn_model **ret_model,
                               struct cn_error *error);

/* Replaces the labels by copies of these; `count` must suit the kind of output, see above. */
enum cn_status cn_model_set_labels(struct cn_model *model, const char *const *labels, size_t count,
                                   struct cn_error *error);

/* Sets the default preprocessing for the input and the labels: cn_preprocessing_digits for one
 * channel and the labels "0" to "9", else cn_preprocessing_default. Call it after setting the
 * labels of a new model. (A file without preprocessing is not treated as a digit reader.) */
void cn_model_reset_preprocessing(struct cn_model *model);

/* The meaning of one row of outputs, by the kind of output. */
struct cn_answer {
    int class_index;   /* -1: the outputs are not mutually exclusive classes */
    const char *label; /* of the class; NULL: none. Borrowed from the model */
    bool is_probable;  /* `confidence` is valid: the outputs are probabilities */
    float confidence;  /* of the class, 0 to 1. Calibrated for a softmax; also low for inputs of no
                          class if the network was trained with outliers */
};

/* The answer in outputs [output_size]; every route and command uses it. */
struct cn_answer cn_model_answer(const struct cn_model *model, const float *outputs);

/* The set of labels of an answer, which contains the right one except for the level's share of the
 * pictures: the labels whose probability is `least` or more. A picture with an empty set belongs to
 * no class (rejected); one with several labels is undecided. */
struct cn_label_set {
    float least;
    size_t count;
};
struct cn_label_set cn_model_label_set(const struct cn_model *model,
                                       const struct cn_error_level *level, const float *outputs);

/* The thresholds for sets that miss the right label in at most `error` of the pictures. CN_INVALID
 * unless 0 < error < 1 and the model has thresholds, from enough samples to promise it. Borrowed
 * from the model. */
enum cn_status cn_model_error_level(const struct cn_model *model, double error_share,
                                    const struct cn_error_level **ret_level,
                                    struct cn_error *error);

/* Replaces the forms of the inputs and outputs by those that `json` describes:
 * docs/model-format.md. CN_MALFORMED unless they fit the network. */
enum cn_status cn_model_set_tensors(struct cn_model *model, const char *json,
                                    struct cn_error *error);

/* Makes the output with this name the network's first one, which answers pictures. Its labels
 * become numbers unless it was the first already. */
enum cn_status cn_model_choose_answer(struct cn_model *model, const char *name,
                                      struct cn_error *error);

/* CN_UNSUPPORTED with advice unless the network has one input and an output that answers;
 * everything that takes pictures needs both. */
enum cn_status cn_model_check_input(const struct cn_model *model, struct cn_error *error);

/* Replaces the training record by a copy of `json`, which must be a JSON object. */
enum cn_status cn_model_set_training(struct cn_model *model, const char *json,
                                     struct cn_error *error);

/* Reads and checks a model file in full: checksum, structure, offsets, shapes, finite
 * weights, probes.
 * Caller frees with cn_model_free. error->source is `path`. */
enum cn_status cn_model_read(const char *path, struct cn_model **ret_model, struct cn_error *error);

/* The same from memory; `source` names it in errors. For the reader's fuzzer and tests. */
enum cn_status cn_model_parse(const void *bytes, size_t length, const char *source,
                              struct cn_model **ret_model, struct cn_error *error);

/* Writes atomically: temporary file in the same folder, fsync, rename, fsync of the folder. After
 * any failure or kill the path has the whole old file or the whole new one. Computes checksum and
 * probes. */
enum cn_status cn_model_write(const struct cn_model *model, const char *path,
                              struct cn_error *error);

void cn_model_free(struct cn_model *model);

/* Reads a Keras Sequential or Functional JSON file (Keras 1, 2 and 3 spellings, nested models) into
 * a built network with zero parameters. Caller frees with cn_network_free. CN_UNSUPPORTED names
 * what is not supported and lists what is. */
enum cn_status cn_architecture_read(const char *path, struct cn_network **ret_network,
                                    struct cn_error *error);

/* The same from memory. */
enum cn_status cn_architecture_parse(const char *json, size_t length, const char *source,
                                     struct cn_network **ret_network, struct cn_error *error);

/* The network as Keras 3 JSON, Sequential if it is a chain and else Functional, compact, malloc'd;
 * caller frees with free(). */
enum cn_status cn_architecture_format(const struct cn_network *network, char **ret_json,
                                      struct cn_error *error);

CN_DECLARATIONS_END

#endif
