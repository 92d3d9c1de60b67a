/* model.h: the model file, a network with all it needs to be served.
 *
 * A .safetensors file: 8-byte little-endian header length, JSON header, F32 tensors named
 * "<layer>/<tensor>". __metadata__ holds strings only:
 *   format         "convnet/1"
 *   architecture   Keras Sequential or Functional JSON, as model.to_json() prints it
 *   labels         JSON array of class names, one per output
 *   preprocessing  JSON object, see struct cn_preprocessing
 *   training       JSON object: how it was made (data checksum, epochs, optimizer, seed, metrics)
 *   checksum       "sha256:" and the SHA-256 of the file, these digits taken as zeros
 *   probes         JSON object: the expected outputs for fixed inputs, verified at load
 *   calibration    JSON object: the temperature of the final softmax, 1 if missing
 *   tensors        JSON object: inputs and outputs as the program that made the network has them
 * docs/model-format.md describes it field by field.
 */
#ifndef CONVNET_MODEL_H
#define CONVNET_MODEL_H

#include "convnet/image.h"
#include "convnet/network.h"

CN_DECLARATIONS_BEGIN

/* An input or an output as a tensor: the names, shapes and order of numbers that clients see. For
 * an imported network they are those of the program that made it. */
enum { CN_TENSOR_FORM_RANK = 8, CN_TENSOR_FORM_NAME = 256 };
struct cn_tensor_form {
    char name[CN_TENSOR_FORM_NAME];
    size_t port;                         /* of the network's inputs or outputs */
    bool batched;                        /* the first dimension counts images */
    int rank, dims[CN_TENSOR_FORM_RANK]; /* dims[0] -1: any number of images */
    size_t size;                         /* numbers of one image */
    uint32_t *places; /* [size]: where each number lies in the network's order; NULL: the same */
};

struct cn_model {
    struct cn_network *network;
    enum cn_output_kind kind; /* of the network's first output */
    size_t output_size;       /* floats of it */
    /* One per output that is a class; two for a sigmoid alone: below and above one half; none for a
     * number and for a map, unless a map's channels were given some. */
    size_t label_count;
    char **labels;
    struct cn_preprocessing preprocessing;
    size_t input_forms, output_forms;        /* the network's counts */
    struct cn_tensor_form *inputs, *outputs; /* in the source's order */
    char *tensors;       /* JSON that says them; NULL: they are the network's own */
    bool answers;        /* the network's first output is the answer to a picture */
    char *training;      /* JSON object text, "{}" if nothing is known */
    char sha256[65];     /* of the file it was read from, lower-case hex; "" for a new model */
    bool sealed;         /* that file carries a checksum, and it was right */
    long long signed_at; /* when that file was signed, seconds since 1970; 0: nobody asked */
};

/* A model around `network`, labels "0", "1", ... where it answers classes, the preprocessing that
 * suits them. Takes ownership of `network`. Caller frees with cn_model_free. */
enum cn_status cn_model_create(struct cn_network *network, struct cn_model **ret_model,
                               struct cn_error *error);

/* Replaces the labels (copied); `count` must be the number that the kind of output has, see above.
 */
enum cn_status cn_model_set_labels(struct cn_model *model, const char *const *labels, size_t count,
                                   struct cn_error *error);

/* The preprocessing that suits input and labels where nobody said one: cn_preprocessing_digits for
 * one channel and the labels "0" to "9", else cn_preprocessing_default. For whoever makes a model,
 * after setting its labels; a file without preprocessing is no digit reader. */
void cn_model_reset_preprocessing(struct cn_model *model);

/* What one row of outputs says, by the kind of output. */
struct cn_answer {
    int class_index;   /* -1: the outputs are no classes that exclude each other */
    const char *label; /* the class's; NULL without one. Borrowed from the model */
    bool is_probable;  /* there is a confidence: nothing but a probability is one */
    float confidence;  /* in the class, 0 to 1: calibrated for a softmax, and low too where there is
                          nothing to read if the network was trained with outliers */
};

/* The answer of outputs [output_size]. Every route and command says this. */
struct cn_answer cn_model_answer(const struct cn_model *model, const float *outputs);

/* Replaces the forms of the inputs and outputs by those that `json` says: docs/model-format.md.
 * CN_MALFORMED unless they fit the network. */
enum cn_status cn_model_set_tensors(struct cn_model *model, const char *json,
                                    struct cn_error *error);

/* Makes the output of this name the network's first one, which answers pictures. Its labels become
 * numbers unless it was the first already. */
enum cn_status cn_model_choose_answer(struct cn_model *model, const char *name,
                                      struct cn_error *error);

/* CN_UNSUPPORTED, and what to ask instead, unless the network has one input and an output that
 * answers: everything that takes pictures needs both. */
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
 * any failure or kill the path holds the old file or the new one, whole. Computes checksum and
 * probes. */
enum cn_status cn_model_write(const struct cn_model *model, const char *path,
                              struct cn_error *error);

void cn_model_free(struct cn_model *model);

/* Reads a Keras Sequential or Functional JSON file (Keras 1, 2 and 3 spellings, nested models) into
 * an unbuilt-then-built network with zero parameters. Caller frees with cn_network_free.
 * CN_UNSUPPORTED names what is not supported and lists what is. */
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
