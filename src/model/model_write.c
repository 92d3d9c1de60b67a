/* model_write.c: writes a model to a file. Refuses what the reader would refuse. Writing is atomic
 * (see cn_file_write). No state. */
#include <stdlib.h>
#include <string.h>

#include "model/model_file.h"
#include "model/quantized_weights.h"
#include "model/safetensors.h"
#include "json/load.h"

enum {
    FORMAT,
    CHECKSUM,
    ARCHITECTURE,
    LABELS,
    PREPROCESSING,
    TRAINING,
    PROBES,
    CALIBRATION,
    TENSORS,
    QUANTIZATION,
    KEY_COUNT
};

/* Dumps and releases `json`; NULL if this or an earlier step ran out of memory. */
static char *dump(json_t *json) {
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    return text;
}

static char *format_labels(const struct cn_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->label_count; i++)
        if (json_array_append_new(list, json_string(model->labels[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return dump(list);
}

/* The numbers of all channels; NULL: they are the defaults, or there is no memory. */
static json_t *numbers_json(const float *values, float usual) {
    const bool usual_all = values[0] == usual && values[1] == usual && values[2] == usual;
    return usual_all
               ? NULL
               : json_pack("[f, f, f]", (double)values[0], (double)values[1], (double)values[2]);
}

/* Omits default values, so that files of digit readers do not change between versions. */
static char *format_preprocessing(const struct cn_preprocessing *preprocessing) {
    const bool digits = preprocessing->fit == CN_FIT_MNIST;
    const bool colour = preprocessing->channels != CN_CHANNELS_GREY;
    const bool area = preprocessing->interpolation == CN_INTERPOLATION_AREA;
    json_t *json = json_pack("{s:s}", "fit", cn_fit_names[preprocessing->fit]);
    if (digits)
        (void)json_object_update_new(json, json_pack("{s:i, s:b}", "box", preprocessing->box,
                                                     "invert", (int)preprocessing->invert));
    if (colour || !digits)
        (void)json_object_set_new(json, "channels",
                                  json_string(cn_channels_names[preprocessing->channels]));
    if (!area)
        (void)json_object_set_new(
            json, "interpolation",
            json_string(cn_interpolation_names[preprocessing->interpolation]));
    if (preprocessing->scale != 255.0F)
        (void)json_object_set_new(json, "scale", json_real((double)preprocessing->scale));
    json_t *mean = numbers_json(preprocessing->mean, 0.0F);
    json_t *std = numbers_json(preprocessing->std, 1.0F);
    if (mean != NULL)
        (void)json_object_set_new(json, "mean", mean);
    if (std != NULL)
        (void)json_object_set_new(json, "std", std);
    return dump(json);
}

static json_t *sets_json(const struct cn_error_levels *levels) {
    json_t *rows = json_array();
    for (size_t i = 0; i < levels->count; i++) {
        const struct cn_error_level *level = &levels->levels[i];
        (void)json_array_append_new(rows, json_pack("[f, f, f]", level->error,
                                                    (double)level->reject, (double)level->label));
    }
    return json_pack("{s:I, s:f, s:o}", "samples", (json_int_t)levels->samples, "doubt",
                     (double)levels->doubt, "levels", rows);
}

static char *format_calibration(const struct cn_model *model) {
    json_t *json = json_object();
    if (model->network->temperature != 1)
        (void)json_object_set_new(json, "temperature",
                                  json_real((double)model->network->temperature));
    if (model->error_levels.count > 0)
        (void)json_object_set_new(json, "sets", sets_json(&model->error_levels));
    return dump(json);
}

/* One list of numbers per probe. */
static char *format_probes(const struct cn_model *model, const float *outputs, size_t probes) {
    const size_t count = model->output_size, stride = cn_model_probe_stride(count);
    json_t *lists = json_array();
    bool good = lists != NULL;
    for (size_t k = 0; k < probes && good; k++) {
        json_t *list = json_array();
        good = json_array_append_new(lists, list) == 0;
        for (size_t i = 0; i < count && good; i += stride) {
            const float output = outputs[k * count + i];
            const double number = cn_model_probe_number(model->kind, output);
            good = json_array_append_new(list, json_real(number)) == 0;
        }
    }
    if (good)
        return dump(json_pack("{s:o}", "logits", lists));
    json_decref(lists);
    return NULL;
}

static enum cn_status format_metadata(const struct cn_model *model, char *values[KEY_COUNT],
                                      struct cn_error *error) {
    float *outputs = NULL;
    enum cn_status status = cn_architecture_format(model->network, &values[ARCHITECTURE], error);
    const size_t probes = cn_model_probe_count(model->network);
    if (status == CN_OK)
        status = cn_model_probe(model->network, probes, &outputs, NULL, error);
    if (status != CN_OK)
        return status;
    values[FORMAT] = strdup(CN_MODEL_FORMAT);
    values[CHECKSUM] = strdup(""); /* cn_safetensors_write fills it in */
    values[LABELS] = format_labels(model);
    values[PREPROCESSING] = format_preprocessing(&model->preprocessing);
    values[TRAINING] = strdup(model->training);
    values[PROBES] = format_probes(model, outputs, probes);
    values[CALIBRATION] = format_calibration(model);
    values[TENSORS] = strdup(model->tensors != NULL ? model->tensors : "");
    values[QUANTIZATION] = model->network->quantization != NULL
                               ? cn_quantized_format_ranges(model->network)
                               : strdup("");
    free(outputs);
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (values[i] == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for the model's metadata");
    return CN_OK;
}

static struct cn_safetensor tensor_of(const struct cn_network *network, size_t i) {
    const struct cn_tensor *from = &network->tensors[i];
    struct cn_safetensor to = {
        .rank = from->rank, .size = from->size, .data = network->parameters + from->offset};
    memcpy(to.name, from->name, strlen(from->name) + 1);
    for (int k = 0; k < from->rank; k++)
        to.dims[k] = (size_t)from->dims[k];
    return to;
}

/* Describes the tensors, floats first; `kernels` of them become bytes, which are written to
 * `bytes`. */
static void describe_tensors(const struct cn_network *network, size_t kernels, int8_t *bytes,
                             struct cn_safetensor *tensors) {
    struct cn_safetensor *next = tensors, *next_kernel = tensors + network->tensor_count;
    size_t i = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t k = 0; k < network->layers[l].tensor_count; k++, i++) {
            if (k > 0 || kernels == 0 || cn_quantization_scales(network, l) == NULL) {
                *next++ = tensor_of(network, i);
                continue;
            }
            *next_kernel = tensor_of(network, i);
            cn_quantized_describe(network, l, bytes, next_kernel, next++);
            bytes += next_kernel++->size;
        }
}

/* Writes to `path`, or to the descriptor `fd` if path is NULL. */
static enum cn_status write_model(const struct cn_model *model, const char *path, int fd,
                                  struct cn_error *error) {
    static const char *const keys[KEY_COUNT] = {"format",        CN_SAFETENSORS_CHECKSUM,
                                                "architecture",  "labels",
                                                "preprocessing", "training",
                                                "probes",        "calibration",
                                                "tensors",       CN_MODEL_QUANTIZATION};
    const struct cn_network *network = model->network;
    size_t bytes = 0;
    const size_t kernels = cn_quantized_kernels(network, &bytes);
    const size_t tensor_count = network->tensor_count + kernels;
    struct cn_safetensor *tensors = calloc(tensor_count + 1, sizeof *tensors);
    int8_t *kernel_bytes = malloc(bytes + 1);
    struct cn_metadata metadata[KEY_COUNT];
    size_t count = 0;
    char *values[KEY_COUNT] = {NULL};
    enum cn_status status = CN_OK;
    if (tensors == NULL || kernel_bytes == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu tensors", network->tensor_count);
        goto out;
    }
    status = cn_model_check_weights(network, error);
    if (status == CN_OK)
        status = cn_preprocessing_check(&model->preprocessing, &network->input_shape, error);
    if (status == CN_OK)
        status = cn_model_check_temperature(network->temperature, error);
    if (status == CN_OK)
        status = format_metadata(model, values, error);
    if (status != CN_OK)
        goto out;
    /* Omits optional keys, so that files of uncalibrated models trained here do not change between
     * versions. */
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (!(i == CALIBRATION && network->temperature == 1 && model->error_levels.count == 0) &&
            !(i == TENSORS && model->tensors == NULL) &&
            !(i == QUANTIZATION && network->quantization == NULL))
            metadata[count++] = (struct cn_metadata){(char *)(uintptr_t)keys[i], values[i]};
    describe_tensors(network, kernels, kernel_bytes, tensors);
    status = path != NULL
                 ? cn_safetensors_write(path, tensors, tensor_count, metadata, count, error)
                 : cn_safetensors_write_descriptor(fd, tensors, network->tensor_count, metadata,
                                                   count, error);
out:
    if (path != NULL)
        cn_error_set_source(error, path);
    for (size_t i = 0; i < KEY_COUNT; i++)
        free(values[i]);
    free(tensors);
    free(kernel_bytes);
    return status;
}

enum cn_status cn_model_write(const struct cn_model *model, const char *path,
                              struct cn_error *error) {
    return write_model(model, path, -1, error);
}

enum cn_status cn_model_write_descriptor(const struct cn_model *model, int fd,
                                         struct cn_error *error) {
    return write_model(model, NULL, fd, error);
}
