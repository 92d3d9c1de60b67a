/* model_read.c: reads a model file and checks it completely before it is used: container,
 * architecture, tensors, weights, labels, preprocessing, training record, probes.
 *
 * Cheap checks precede large allocations. No state. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/task.h"
#include "layers/layer_type.h"
#include "model/architecture.h"
#include "model/model_file.h"
#include "model/quantized_weights.h"
#include "model/safetensors.h"
#include "model/signature.h"

/* The rounding of other instruction sets makes a difference of about 1e-6 of the largest number at
 * most. */
static const double probe_tolerance = 1e-4;

/* The same of a quantized network, where a layer of floats between layers of bytes may round to the
 * next byte. */
static const double quantized_probe_tolerance = 1e-2;

static enum cn_status check_format(const struct cn_safetensors *file, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const char *format = cn_safetensors_metadata(file, "format");
    if (format == NULL)
        return cn_fail(error, CN_MALFORMED,
                       "the metadata has no format; a model's is \"" CN_MODEL_FORMAT "\"");
    if (strcmp(format, CN_MODEL_FORMAT) != 0)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the format is \"%s\"; only \"" CN_MODEL_FORMAT "\" is supported",
                       cn_text_show(format, shown));
    return CN_OK;
}

static void format_file_dims(const struct cn_safetensor *tensor, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < tensor->rank && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%zu", i > 0 ? ", " : "", tensor->dims[i]);
    if (used < size)
        (void)snprintf(text + used, size - used, ")");
}

/* True if tensor `k` of a layer may have bytes, with a tensor of scales beside it. */
static bool may_be_bytes(const struct cn_safetensors *file, const struct cn_layer *layer,
                         size_t k) {
    return k == 0 && cn_layer_has_scales(layer) &&
           cn_safetensors_metadata(file, CN_MODEL_QUANTIZATION) != NULL;
}

static enum cn_status check_tensor(const struct cn_safetensors *file, const char *name,
                                   const struct cn_tensor_spec *spec, bool bytes,
                                   struct cn_error *error) {
    const struct cn_safetensor *tensor = cn_safetensors_tensor(file, name);
    struct cn_safetensor expected = {.rank = spec->rank};
    char is[100], must[100];
    if (tensor == NULL)
        return cn_fail(error, CN_MALFORMED, "tensor \"%s\" is missing", name);
    if (tensor->bytes != NULL && !bytes)
        return cn_fail(error, CN_MALFORMED,
                       "tensor \"%s\" has dtype I8; nothing but the kernels of a model "
                       "with " CN_MODEL_QUANTIZATION " may have it",
                       name);
    bool equal = tensor->rank == spec->rank;
    for (int i = 0; i < spec->rank; i++) {
        expected.dims[i] = (size_t)spec->dims[i];
        equal = equal && tensor->dims[i] == expected.dims[i];
    }
    if (equal)
        return CN_OK;
    format_file_dims(tensor, is, sizeof is);
    format_file_dims(&expected, must, sizeof must);
    return cn_fail(error, CN_MALFORMED, "tensor \"%s\" has shape %s; the architecture needs %s",
                   name, is, must);
}

static bool is_expected(const struct cn_safetensors *file, const struct cn_network *network,
                        const char *name) {
    char expected[CN_TENSOR_NAME];
    for (size_t i = 0; i < network->layer_count; i++)
        for (size_t k = 0; k < network->layers[i].tensor_count; k++) {
            (void)snprintf(expected, sizeof expected, "%s/%s", network->layers[i].name,
                           network->layers[i].tensors[k].name);
            if (strcmp(expected, name) == 0)
                return true;
            const size_t length = strlen(expected);
            if (may_be_bytes(file, &network->layers[i], k) &&
                strncmp(expected, name, length) == 0 && strcmp(name + length, CN_MODEL_SCALE) == 0)
                return true;
        }
    return false;
}

/* Checks that the file's tensors are exactly those that the layers need. Works on a network that is
 * not built yet. */
static enum cn_status check_tensors(const struct cn_safetensors *file,
                                    const struct cn_network *network, struct cn_error *error) {
    char name[CN_TENSOR_NAME], shown[CN_JSON_TEXT];
    size_t expected = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct cn_layer *layer = &network->layers[i];
        for (size_t k = 0; k < layer->tensor_count; k++) {
            (void)snprintf(name, sizeof name, "%s/%s", layer->name, layer->tensors[k].name);
            const enum cn_status status =
                check_tensor(file, name, &layer->tensors[k], may_be_bytes(file, layer, k), error);
            if (status != CN_OK)
                return status;
            expected += cn_safetensors_tensor(file, name)->bytes != NULL ? 2 : 1;
        }
    }
    if (expected == file->tensor_count) /* names differ on both sides: they are the same ones */
        return CN_OK;
    for (size_t i = 0; i < file->tensor_count; i++)
        if (!is_expected(file, network, file->tensors[i].name))
            return cn_fail(error, CN_MALFORMED, "tensor \"%s\" belongs to no layer",
                           cn_text_show(file->tensors[i].name, shown));
    return cn_fail(error, CN_MALFORMED, "the file has %zu tensors; the architecture needs %zu",
                   file->tensor_count, expected);
}

static enum cn_status read_network(const struct cn_safetensors *file, const char *source,
                                   struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    const char *json = cn_safetensors_metadata(file, "architecture");
    if (json == NULL)
        return cn_fail(error, CN_MALFORMED, "the metadata has no architecture");
    enum cn_status status =
        cn_architecture_assemble(json, strlen(json), source, NULL, &network, NULL, error);
    if (status == CN_OK)
        status = check_tensors(file, network, error);
    if (status == CN_OK)
        status = cn_network_build(network, error);
    if (status != CN_OK)
        goto out;
    for (size_t i = 0; i < network->tensor_count; i++) {
        const struct cn_tensor *tensor = &network->tensors[i];
        const struct cn_safetensor *stored = cn_safetensors_tensor(file, tensor->name);
        if (stored == NULL || stored->size != tensor->size) {
            status = cn_fail(error, CN_MALFORMED, "tensor \"%s\" is missing", tensor->name);
            goto out;
        }
        if (stored->data != NULL)
            memcpy(network->parameters + tensor->offset, stored->data,
                   tensor->size * sizeof(float));
    }
    status = cn_quantized_read(file, network, error);
    if (status == CN_OK)
        status = cn_model_check_weights(network, error);
    if (status != CN_OK)
        goto out;
    *ret_network = network;
    network = NULL;
out:
    cn_network_free(network);
    return status;
}

/* Parses the metadata string `key` if it exists (*ret_json NULL if not). */
static enum cn_status read_json(const struct cn_safetensors *file, const char *key,
                                json_t **ret_json, struct cn_error *error) {
    const char *text = cn_safetensors_metadata(file, key);
    *ret_json = NULL;
    return text == NULL ? CN_OK : cn_json_parse(text, strlen(text), key, NULL, -1, ret_json, error);
}

static enum cn_status read_labels(const struct cn_safetensors *file, struct cn_model *model,
                                  struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const char **labels = NULL;
    json_t *json = NULL, *value;
    size_t i;
    enum cn_status status = read_json(file, "labels", &json, error);
    if (status != CN_OK || json == NULL)
        return status;
    if (!json_is_array(json)) {
        status = cn_fail(error, CN_MALFORMED, "labels is %s; it must be a list of strings",
                         cn_json_show(json, shown));
        goto out;
    }
    labels = calloc(json_array_size(json) + 1, sizeof *labels);
    if (labels == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu labels", json_array_size(json));
        goto out;
    }
    json_array_foreach(json, i, value) {
        labels[i] = json_string_value(value);
        if (labels[i] == NULL) {
            status = cn_fail(error, CN_MALFORMED, "label %zu is %s; it must be a string", i,
                             cn_json_show(value, shown));
            goto out;
        }
    }
    status = cn_model_set_labels(model, labels, json_array_size(json), error);
out:
    free(labels);
    json_decref(json);
    return status;
}

/* Writes a value in the form of cn_preprocessing_set: a list's numbers with colons between them.
 * False: another kind of value, or too long. */
static bool format_value(const json_t *value, char text[static CN_PREPROCESSING_TEXT]) {
    size_t length = 0;
    if (json_is_string(value) && strlen(json_string_value(value)) < CN_PREPROCESSING_TEXT)
        return stpcpy(text, json_string_value(value)) != NULL;
    if (json_is_boolean(value))
        return stpcpy(text, json_is_true(value) ? "true" : "false") != NULL;
    if (json_is_integer(value))
        return snprintf(text, CN_PREPROCESSING_TEXT, "%" JSON_INTEGER_FORMAT,
                        json_integer_value(value)) > 0;
    if (json_is_real(value))
        return snprintf(text, CN_PREPROCESSING_TEXT, "%.17g", json_real_value(value)) > 0;
    if (!json_is_array(value) || json_array_size(value) == 0 ||
        json_array_size(value) > CN_CHANNELS_MOST)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *element = json_array_get(value, i);
        if (!json_is_number(element))
            return false;
        length += (size_t)snprintf(text + length, CN_PREPROCESSING_TEXT - length, "%s%.17g",
                                   i > 0 ? ":" : "", json_number_value(element));
    }
    return true;
}

static enum cn_status parse_preprocessing(json_t *json, struct cn_preprocessing *preprocessing,
                                          struct cn_error *error) {
    char shown[CN_JSON_TEXT], text[CN_PREPROCESSING_TEXT];
    const json_t *fit = json_object_get(json, "fit");
    const char *key;
    json_t *value;
    if (!json_is_string(fit))
        return cn_fail(error, CN_MALFORMED, "preprocessing is %s; it must be an object with a fit",
                       cn_json_show(json, shown));
    if (cn_preprocessing_set(preprocessing, "fit", json_string_value(fit), error) != CN_OK)
        return error != NULL ? error->status = CN_MALFORMED : CN_MALFORMED;
    json_object_foreach(json, key, value) {
        if (!format_value(value, text))
            return cn_fail(
                error, CN_MALFORMED,
                "preprocessing: %.40s is %s; it must be a name, a number, true, false or "
                "a list of at most three numbers",
                key, cn_json_show(value, shown));
        if (strcmp(key, "fit") != 0 &&
            cn_preprocessing_set(preprocessing, key, text, error) != CN_OK)
            return error != NULL ? error->status = CN_MALFORMED : CN_MALFORMED;
    }
    /* In the first versions the fit "scale" could invert. */
    preprocessing->invert = preprocessing->invert && preprocessing->fit == CN_FIT_MNIST;
    return CN_OK;
}

static enum cn_status read_preprocessing(const struct cn_safetensors *file, struct cn_model *model,
                                         struct cn_error *error) {
    json_t *json = NULL;
    enum cn_status status = read_json(file, "preprocessing", &json, error);
    /* A model reads digits only if its file says so. */
    model->preprocessing = cn_preprocessing_default(&model->network->input_shape);
    if (status != CN_OK || json == NULL)
        return status;
    status = parse_preprocessing(json, &model->preprocessing, error);
    json_decref(json);
    if (status != CN_OK)
        return status;
    return cn_preprocessing_check(&model->preprocessing, &model->network->input_shape, error);
}

/* {"samples": N, "doubt": p, "levels": [[error, reject, label], ...]} */
static enum cn_status read_error_levels(const json_t *json, struct cn_model *model,
                                        struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    struct cn_error_levels *levels = &model->error_levels;
    const json_t *samples = json_object_get(json, "samples");
    const json_t *doubt = json_object_get(json, "doubt");
    const json_t *rows = json_object_get(json, "levels");
    bool good = json_object_size(json) == 3 && json_is_integer(samples) &&
                json_integer_value(samples) > 0 && json_is_number(doubt) && json_is_array(rows) &&
                json_array_size(rows) > 0 && json_array_size(rows) <= CN_ERROR_LEVELS &&
                model->kind == CN_OUTPUT_SOFTMAX;
    for (size_t i = 0; good && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        good = json_array_size(row) == 3; /* 0 unless it is an array */
        for (size_t k = 0; good && k < 3; k++)
            good = json_is_number(json_array_get(row, k));
        if (good)
            levels->levels[i] =
                (struct cn_error_level){.error = json_number_value(json_array_get(row, 0)),
                                        .reject = (float)json_number_value(json_array_get(row, 1)),
                                        .label = (float)json_number_value(json_array_get(row, 2))};
    }
    if (!good)
        return cn_fail(error, CN_MALFORMED,
                       "calibration's sets is %s; it must be an object of samples, doubt and 1 to "
                       "%d levels of three numbers each, and the model end with a softmax",
                       cn_json_show(json, shown), CN_ERROR_LEVELS);
    levels->samples = (size_t)json_integer_value(samples);
    levels->doubt = (float)json_number_value(doubt);
    levels->count = json_array_size(rows);
    return cn_error_levels_check(levels, error);
}

/* {"temperature": T, "sets": {...}}, each of which may be missing; a file without it is as trained.
 */
static enum cn_status read_calibration(const struct cn_safetensors *file, struct cn_model *model,
                                       struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    json_t *json = NULL;
    enum cn_status status = read_json(file, "calibration", &json, error);
    if (status != CN_OK || json == NULL)
        return status;
    const json_t *temperature = json_object_get(json, "temperature");
    const json_t *sets = json_object_get(json, "sets");
    const size_t known = (size_t)(temperature != NULL) + (size_t)(sets != NULL);
    if (known == 0 || json_object_size(json) != known ||
        (temperature != NULL && !json_is_number(temperature)))
        status = cn_fail(error, CN_MALFORMED,
                         "calibration is %s; it must be an object of the number temperature and "
                         "the object sets, or one of them",
                         cn_json_show(json, shown));
    if (status == CN_OK && temperature != NULL) {
        model->network->temperature = (float)json_number_value(temperature);
        status = cn_model_check_temperature(model->network->temperature, error);
    }
    if (status == CN_OK && sets != NULL)
        status = read_error_levels(sets, model, error);
    json_decref(json);
    return status;
}

/* Compares one probe's stored numbers with the computed ones. `logits`: the form of `probes`,
 * compared relative to the largest; `probe`, in older files, has outputs. */
static enum cn_status compare_probe(const struct cn_model *model, const json_t *stored, bool logits,
                                    size_t probe, const float *outputs, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const size_t count = model->output_size, stride = cn_model_probe_stride(count);
    const size_t numbers = (count + stride - 1) / stride;
    const double tolerance =
        model->network->quantization != NULL ? quantized_probe_tolerance : probe_tolerance;
    double largest = 0;
    if (!json_is_array(stored) || json_array_size(stored) != numbers)
        return cn_fail(error, CN_MALFORMED, "probe %zu's output is %s; it must be %zu numbers",
                       probe, cn_json_show(stored, shown), numbers);
    for (size_t i = 0; i < numbers; i++)
        largest = fmax(largest, fabs(json_number_value(json_array_get(stored, i))));
    for (size_t i = 0; i < count; i += stride) {
        const json_t *value = json_array_get(stored, i / stride);
        const double expected = json_number_value(value);
        const double is =
            logits ? cn_model_probe_number(model->kind, outputs[i]) : (double)outputs[i];
        const double unit = logits ? largest : fmax(1, fabs(expected));
        if (!json_is_number(value) || !(fabs(expected - is) <= tolerance * unit))
            return cn_fail(error, CN_MALFORMED,
                           "output %zu for probe %zu is %.9g; the file says %s (tolerance %g)", i,
                           probe, is, cn_json_show(value, shown), tolerance * unit);
    }
    return CN_OK;
}

/* Checks that the network's answers to the probes are finite, and equal to those in the file if it
 * has some; *ret_plan is the plan that gave them. */
static enum cn_status read_probe(const struct cn_safetensors *file, const struct cn_model *model,
                                 struct cn_plan **ret_plan, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    json_t *one = NULL, *several = NULL;
    struct cn_plan *plan = NULL;
    float *outputs = NULL;
    enum cn_status status = read_json(file, "probe", &one, error);
    if (status == CN_OK)
        status = read_json(file, "probes", &several, error);
    const json_t *list = json_object_get(several, "logits");
    const size_t count = several != NULL ? json_array_size(list) : 1;
    if (status == CN_OK && (count < 1 || count > CN_MODEL_PROBES))
        status = cn_fail(error, CN_MALFORMED,
                         "the probes are %s; they must be an object with logits, 1 to %d lists",
                         cn_json_show(several, shown), CN_MODEL_PROBES);
    if (status == CN_OK)
        status = cn_model_probe(model->network, count, &outputs, &plan, error);
    if (status == CN_OK && one != NULL)
        status = compare_probe(model, json_object_get(one, "output"), false, 0, outputs, error);
    for (size_t k = 0; k < count && several != NULL && status == CN_OK; k++)
        status = compare_probe(model, json_array_get(list, k), true, k,
                               outputs + k * model->output_size, error);
    if (status == CN_OK && ret_plan != NULL) {
        *ret_plan = plan;
        plan = NULL;
    }
    cn_plan_free(plan);
    free(outputs);
    json_decref(one);
    json_decref(several);
    return status;
}

/* True if the checksum of so many bytes takes so long that a thread of its own is worth it. */
static bool is_large(size_t length) {
    return length >= 1 << 20;
}

/* The check of a file's own checksum. */
struct seal_check {
    const struct cn_safetensors *file;
    bool sealed;
    enum cn_status status;
    struct cn_error error;
};

/* Files with `probes` must have a checksum; older and foreign ones may. */
static void seal_check_run(void *data) {
    struct seal_check *check = data;
    check->status = cn_safetensors_check_seal(check->file, &check->sealed, &check->error);
    if (check->status == CN_OK && !check->sealed &&
        cn_safetensors_metadata(check->file, "probes") != NULL)
        check->status = cn_fail(&check->error, CN_MALFORMED,
                                "the metadata has probes but no " CN_SAFETENSORS_CHECKSUM
                                ", which a program that writes the one writes too");
}

/* Everything but the checksum. The plan is optional: ret_plan may be NULL. */
static enum cn_status read_contents(const struct cn_safetensors *file, const char *source,
                                    struct cn_model **ret_model, struct cn_plan **ret_plan,
                                    struct cn_error *error) {
    struct cn_network *network = NULL;
    const char *training = cn_safetensors_metadata(file, "training");
    const char *tensors = cn_safetensors_metadata(file, "tensors");
    enum cn_status status = read_network(file, source, &network, error);
    if (status == CN_OK)
        status = cn_model_create(network, ret_model, error);
    if (status == CN_OK)
        status = read_labels(file, *ret_model, error);
    if (status == CN_OK && tensors != NULL)
        status = cn_model_set_tensors(*ret_model, tensors, error);
    if (status == CN_OK)
        status = read_preprocessing(file, *ret_model, error);
    if (status == CN_OK && training != NULL)
        status = cn_model_set_training(*ret_model, training, error);
    if (status == CN_OK)
        status = read_calibration(file, *ret_model, error);
    if (status == CN_OK)
        status = read_probe(file, *ret_model, ret_plan, error);
    return status;
}

/* Reads a model. A thread computes the checksum of a large file meanwhile; a wrong checksum is
 * reported before any other fault. */
static enum cn_status read_model(const struct cn_safetensors *file, const char *source,
                                 struct cn_model **ret_model, struct cn_plan **ret_plan,
                                 struct cn_error *error) {
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_task task;
    struct seal_check check = {.file = file};
    enum cn_status status = check_format(file, error);
    if (status == CN_OK) {
        const bool large = is_large(file->raw_length);
        cn_task_start(&task, seal_check_run, &check, large);
        if (!large)
            cn_task_finish(&task);
        if (large || check.status == CN_OK)
            status = read_contents(file, source, &model, ret_plan != NULL ? &plan : NULL, error);
        if (large)
            cn_task_finish(&task);
    }
    if (check.status != CN_OK) {
        status = check.status;
        if (error != NULL)
            *error = check.error;
    }
    if (status != CN_OK) {
        cn_error_set_source(error, source);
        cn_plan_free(plan);
        cn_model_free(model);
        return status;
    }
    model->sealed = check.sealed;
    *ret_model = model;
    if (ret_plan != NULL)
        *ret_plan = plan;
    return CN_OK;
}

/* Frees the parameters of a network that has a plan, unless they are few; they can be read again
 * from `fd`, which then belongs to the model. */
static void give_parameters_back(struct cn_model *model, int *fd) {
    enum { FEW = 1 << 20 };
    struct cn_network *network = model->network;
    if (network->parameter_count < FEW)
        return;
    free(network->parameters);
    network->parameters = NULL;
    model->weights_file = *fd;
    *fd = -1;
}

/* The checksum of a whole file. */
struct file_hash {
    struct cn_file_part part;
    char text[CN_SHA256_TEXT];
};

static void file_hash_compute(void *data) {
    struct file_hash *hash = data;
    cn_sha256(&hash->part, 1, hash->text);
}

enum cn_status cn_model_read_trusted(const char *path, const struct cn_trusted_keys *keys,
                                     struct cn_model **ret_model, struct cn_plan **ret_plan,
                                     struct cn_error *error) {
    struct cn_safetensors *file = NULL;
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_task hashing;
    struct file_hash hash = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    long long time = 0;
    int fd = -1;
    enum cn_status status = cn_file_open(path, &fd, error);
    if (status == CN_OK)
        status = cn_file_read_open(fd, path, CN_SAFETENSORS_MAX_FILE, &bytes, &length, error);
    if (status != CN_OK)
        goto out;
    hash.part = (struct cn_file_part){bytes, length};
    cn_task_start(&hashing, file_hash_compute, &hash, is_large(length) && keys == NULL);
    if (keys != NULL) {
        cn_task_finish(&hashing);
        status = cn_signature_check(keys, path, hash.text, &time, error);
    }
    if (status == CN_OK)
        status = cn_safetensors_parse(bytes, length, path, &file, error);
    if (status == CN_OK)
        status = read_model(file, path, &model, ret_plan != NULL ? &plan : NULL, error);
    if (status == CN_OK && keys != NULL && !model->sealed)
        status = cn_fail_at(error, CN_INVALID, path, -1,
                            "is an older model, without a checksum: convnet edit writes it anew, "
                            "and then it is to be signed again");
    if (keys == NULL)
        cn_task_finish(&hashing);
out:
    cn_safetensors_free(file);
    free(bytes);
    if (status == CN_OK) {
        memcpy(model->sha256, hash.text, sizeof hash.text);
        model->signed_at = time;
        if (ret_plan != NULL)
            give_parameters_back(model, &fd);
        *ret_model = model;
        if (ret_plan != NULL)
            *ret_plan = plan;
    } else {
        cn_plan_free(plan);
        cn_model_free(model);
    }
    if (fd >= 0)
        (void)close(fd);
    return status;
}

size_t cn_model_read_again_bytes(const struct cn_model *model) {
    struct stat info;
    unsigned char length = 0; /* the lowest byte of the header's; the data follow it */
    if (model->weights_file < 0 || fstat(model->weights_file, &info) != 0)
        return 0;
    const bool aligned =
        pread(model->weights_file, &length, 1, 0) == 1 && length % sizeof(float) == 0;
    /* cn_safetensors_parse copies data that are not aligned */
    return (size_t)info.st_size * (aligned ? 1 : 2) +
           model->network->parameter_count * sizeof(float);
}

enum cn_status cn_model_read_again(const struct cn_model *model, struct cn_network **ret_network,
                                   struct cn_error *error) {
    static const char source[] = "the model's file";
    struct cn_safetensors *file = NULL;
    char sha256[CN_SHA256_TEXT];
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read_open(model->weights_file, source, CN_SAFETENSORS_MAX_FILE,
                                              &bytes, &length, error);
    if (status != CN_OK)
        return status;
    cn_sha256(&(struct cn_file_part){bytes, length}, 1, sha256);
    if (strcmp(sha256, model->sha256) != 0)
        status = cn_fail(error, CN_IO,
                         "the model's file was changed after it was loaded, so its weights cannot "
                         "be shown; reload the model");
    if (status == CN_OK)
        status = cn_safetensors_parse(bytes, length, source, &file, error);
    if (status == CN_OK)
        status = read_network(file, source, ret_network, error);
    cn_safetensors_free(file);
    free(bytes);
    return status;
}

enum cn_status cn_model_read(const char *path, struct cn_model **ret_model,
                             struct cn_error *error) {
    return cn_model_read_trusted(path, NULL, ret_model, NULL, error);
}

enum cn_status cn_model_parse(const void *bytes, size_t length, const char *source,
                              struct cn_model **ret_model, struct cn_error *error) {
    struct cn_safetensors *file = NULL;
    enum cn_status status = cn_safetensors_parse(bytes, length, source, &file, error);
    if (status != CN_OK)
        return status;
    status = read_model(file, source, ret_model, NULL, error);
    if (status == CN_OK)
        cn_sha256(&(struct cn_file_part){.bytes = bytes, .length = length}, 1,
                  (*ret_model)->sha256);
    cn_safetensors_free(file);
    return status;
}
