/* match.c: matches the tensors of a foreign file with the network's weights, and reorders them.
 *
 * It matches by the names of the format; PyTorch's modules have free names, so match_modules.c
 * finds theirs. One thread. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/match.h"
#include "model/architecture.h"
#include "json/load.h"

/* The reordering of a tensor's elements that makes it a weight. */
enum transposition { ORDER_NONE, ORDER_TORCH, ORDER_DEPTHWISE };

/* Different names of the same weight. */
static const char *const synonyms[][2] = {
    {"weight", "kernel"},
    {"weight", "gamma"},
    {"weight", "alpha"},
    {"weight", "depthwise_kernel"},
    {"bias", "beta"},
    {"running_mean", "moving_mean"},
    {"running_var", "moving_variance"},
    {"depthwise_kernel", "kernel"},
    {"kernel", "depthwise_kernel"},
    {"running_std", "moving_variance"},
    {"moving_var", "moving_variance"},
};

/* "conv/kernel:0" -> "kernel". */
static void leaf_name(const char *name, char leaf[static 64]) {
    const char *slash = strrchr(name, '/');
    (void)snprintf(leaf, 64, "%.63s", slash != NULL ? slash + 1 : name);
    leaf[strcspn(leaf, ":")] = '\0';
}

bool import_match_named(const struct import_tensor *tensor, const char *expected) {
    char leaf[64];
    leaf_name(tensor->name, leaf);
    bool same = strcmp(leaf, expected) == 0;
    for (size_t i = 0; !same && i < sizeof synonyms / sizeof synonyms[0]; i++)
        same = strcmp(leaf, synonyms[i][0]) == 0 && strcmp(expected, synonyms[i][1]) == 0;
    return same;
}

/* True if the shapes are equal without axes of length 1. */
static bool fits_squeezed(const struct import_tensor *tensor, const struct cn_tensor_spec *spec) {
    int k = 0;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] == 1)
            continue;
        while (k < spec->rank && spec->dims[k] == 1)
            k++;
        if (k == spec->rank || (size_t)spec->dims[k] != tensor->dims[i])
            return false;
        k++;
    }
    while (k < spec->rank && spec->dims[k] == 1)
        k++;
    return k == spec->rank;
}

/* True if PyTorch's [a, b, rows, columns] can become Keras's [rows, columns, b, a]; axes of size 1
 * may be missing. */
static bool fits_torch(const struct import_tensor *tensor, const struct cn_tensor_spec *spec) {
    const int rank = tensor->rank, places = spec->rank - 2;
    int k = 0;
    if (rank < 2 || places < 0 || tensor->dims[0] != (size_t)spec->dims[places + 1] ||
        tensor->dims[1] != (size_t)spec->dims[places])
        return false;
    for (int i = 2; i < rank; i++) {
        if (tensor->dims[i] == 1)
            continue;
        while (k < places && spec->dims[k] == 1)
            k++;
        if (k == places || (size_t)spec->dims[k++] != tensor->dims[i])
            return false;
    }
    while (k < places && spec->dims[k] == 1)
        k++;
    return k == places;
}

/* True if PyTorch's [channels * multiplier, 1, rows, columns] can become [rows, columns, channels,
 * multiplier]. */
static bool fits_depthwise(const struct import_tensor *tensor, const struct cn_tensor_spec *spec) {
    return tensor->rank == spec->rank && tensor->rank >= 3 && tensor->dims[1] == 1 &&
           strcmp(spec->name, "depthwise_kernel") == 0 &&
           tensor->dims[0] ==
               (size_t)spec->dims[spec->rank - 2] * (size_t)spec->dims[spec->rank - 1] &&
           tensor->dims[2] == (size_t)spec->dims[0] &&
           tensor->dims[tensor->rank - 1] == (size_t)spec->dims[spec->rank - 3];
}

static bool fits(const struct import_matcher *matcher, const struct import_tensor *tensor,
                 const struct cn_tensor_spec *spec, enum transposition *ret_order) {
    const bool torch = matcher->source->naming == IMPORT_BY_SHAPE;
    *ret_order = ORDER_NONE;
    if (torch && fits_depthwise(tensor, spec)) {
        *ret_order = ORDER_DEPTHWISE;
        return true;
    }
    if ((torch || matcher->source->keras_1) && tensor->rank > 1 && fits_torch(tensor, spec) &&
        (torch || tensor->rank == 4) &&
        !(matcher->source->keras_1 && fits_squeezed(tensor, spec))) {
        *ret_order = ORDER_TORCH;
        return true;
    }
    if (!torch && spec->rank == 1 && (tensor->size == 1 || tensor->size == (size_t)spec->dims[0]))
        return true; /* one number for all, or several axes that are one here */
    return !(torch && tensor->rank > 1 && spec->rank > 1) && fits_squeezed(tensor, spec);
}

bool import_match_fits(const struct import_matcher *matcher, const struct import_tensor *tensor,
                       const struct cn_tensor_spec *spec) {
    enum transposition order;
    return fits(matcher, tensor, spec, &order);
}

static void copy_reordered(const struct import_tensor *tensor, enum transposition order,
                           float *to) {
    const int rank = tensor->rank;
    const size_t a = rank > 0 ? tensor->dims[0] : 1, b = rank > 1 ? tensor->dims[1] : 1;
    if (order == ORDER_NONE) {
        memcpy(to, tensor->values, tensor->size * sizeof *to);
        return;
    }
    const size_t places = a * b > 0 ? tensor->size / (a * b) : 0;
    for (size_t i = 0; i < a; i++)
        for (size_t k = 0; k < b; k++)
            for (size_t p = 0; p < places; p++)
                to[order == ORDER_TORCH ? (p * b + k) * a + i : p * a + i] =
                    tensor->values[(i * b + k) * places + p];
}

/* Rotates a kernel [rows, columns, in, out] by 180 degrees. */
static void flip_kernel(float *kernel, const struct cn_tensor_spec *spec) {
    const size_t places = (size_t)spec->dims[0] * (size_t)(spec->rank == 4 ? spec->dims[1] : 1);
    const size_t rest = (size_t)spec->dims[spec->rank - 2] * (size_t)spec->dims[spec->rank - 1];
    for (size_t p = 0; p < places / 2; p++)
        for (size_t i = 0; i < rest; i++) {
            const float other = kernel[(places - 1 - p) * rest + i];
            kernel[(places - 1 - p) * rest + i] = kernel[p * rest + i];
            kernel[p * rest + i] = other;
        }
}

/* ---- The order that Flatten makes of a picture ---- */

static const struct cn_layer *layer_of_value(const struct cn_network *network, size_t value) {
    return value >= network->input_count ? &network->layers[value - network->input_count] : NULL;
}

/* True if a Permute has brought the value into PyTorch's order, channels first. */
static bool is_channels_first(const struct cn_network *network, size_t value) {
    const struct cn_layer *layer = layer_of_value(network, value);
    return layer != NULL && strcmp(cn_layer_type_name(layer->type), "Permute") == 0 &&
           layer->output_shape.dims[0] == layer->input_shape.dims[layer->input_shape.rank - 1] &&
           layer->output_shape.dims[1] == layer->input_shape.dims[0];
}

/* The picture from which a layer's vector was flattened; false if there is none. */
static bool flattened_from(const struct cn_network *network, const struct cn_layer *layer,
                           struct cn_shape *ret_picture) {
    for (size_t steps = 0; steps < network->layer_count; steps++) {
        if (layer->input_count == 0 || layer->inputs == NULL)
            return false;
        const struct cn_layer *before = layer_of_value(network, layer->inputs[0].value);
        if (before == NULL || before->output_shape.rank != 1 ||
            strcmp(cn_layer_type_name(before->type), "Dense") == 0)
            return false;
        if (before->input_shape.rank > 1) {
            *ret_picture = before->input_shape;
            return (strcmp(cn_layer_type_name(before->type), "Flatten") == 0 ||
                    strcmp(cn_layer_type_name(before->type), "Reshape") == 0) &&
                   !is_channels_first(network, before->inputs[0].value);
        }
        layer = before;
    }
    return false;
}

/* Reorders rows from channels, height, width to height, width, channels. */
static enum cn_status reorder_rows(float *values, size_t size, const struct cn_shape *picture,
                                   struct cn_error *error) {
    const size_t channels = (size_t)picture->dims[picture->rank - 1];
    const size_t rows = cn_shape_size(picture), width = rows > 0 ? size / rows : 0;
    const size_t places = rows / channels;
    if (width * rows != size)
        return CN_OK;
    float *old = malloc(size * sizeof *old);
    if (old == NULL)
        return cn_fail(error, CN_MEMORY, "no memory to reorder %zu weights", size);
    memcpy(old, values, size * sizeof *old);
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < places; p++)
            memcpy(values + (p * channels + c) * width, old + (c * places + p) * width,
                   width * sizeof *old);
    free(old);
    return CN_OK;
}

/* ---- Giving a layer its weights ---- */

static void describe_shape(char *text, size_t size, int rank, const size_t *dims) {
    size_t used = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i > 0 ? ", " : "", dims[i]);
    if (used < size)
        (void)snprintf(text + used, size - used, ")");
}

enum cn_status import_match_give(const struct import_matcher *matcher, const struct cn_layer *layer,
                                 size_t index, struct import_tensor *tensor) {
    const struct cn_tensor_spec *spec = &layer->tensors[index];
    float *to = matcher->network->parameters + layer->parameter_offset;
    struct cn_shape picture;
    enum transposition order;
    for (size_t i = 0; i < index; i++) {
        size_t size = 1;
        for (int k = 0; k < layer->tensors[i].rank; k++)
            size *= (size_t)layer->tensors[i].dims[k];
        to += size;
    }
    if (!fits(matcher, tensor, spec, &order)) {
        char has[80], needs[80], shown[CN_JSON_TEXT];
        size_t dims[CN_TENSOR_MAX_RANK];
        for (int i = 0; i < spec->rank; i++)
            dims[i] = (size_t)spec->dims[i];
        describe_shape(has, sizeof has, tensor->rank, tensor->dims);
        describe_shape(needs, sizeof needs, spec->rank, dims);
        return cn_fail(matcher->error, CN_INVALID,
                       "layer \"%s\": its %s must be %s, but the file's \"%s\" is %s", layer->name,
                       spec->name, needs, cn_text_show(tensor->name, shown), has);
    }
    tensor->used = true;
    copy_reordered(tensor, order, to);
    for (int i = 1; tensor->size == 1 && spec->rank == 1 && i < spec->dims[0]; i++)
        to[i] = to[0];
    if (matcher->source->flipped_kernels && spec->rank >= 3 && strcmp(spec->name, "kernel") == 0)
        flip_kernel(to, spec);
    const bool rows = matcher->source->naming == IMPORT_BY_SHAPE && layer->input_shape.rank == 1 &&
                      strcmp(spec->name, "bias") != 0;
    if (rows && flattened_from(matcher->network, layer, &picture))
        return reorder_rows(to, tensor->size, &picture, matcher->error);
    return CN_OK;
}

/* The last component of a path. */
const char *import_match_leaf(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* True if `part` is a component of the path. */
static bool has_part(const char *path, const char *part) {
    const size_t length = strlen(part);
    for (const char *place = path; (place = strstr(place, part)) != NULL; place++)
        if ((place == path || place[-1] == '/') && (place[length] == '/' || place[length] == '\0'))
            return true;
    return false;
}

/* True if the tensor may belong to this layer. */
static bool is_candidate(const struct import_matcher *matcher, size_t layer,
                         const struct import_tensor *tensor) {
    const char *path = matcher->paths[layer], *leaf = import_match_leaf(path);
    const char *group;
    char before[IMPORT_NAME];
    switch (matcher->source->naming) {
    case IMPORT_BY_CLASS:
        group = json_string_value(json_object_get(matcher->groups, path));
        return group != NULL && strcmp(group, tensor->group) == 0;
    case IMPORT_BY_NAME:
        return strcmp(import_match_leaf(tensor->group), leaf) == 0;
    case IMPORT_BY_LAYER:
        if (strcmp(tensor->group, leaf) == 0)
            return true;
        (void)snprintf(before, sizeof before, "%s", tensor->name);
        if (strrchr(before, '/') != NULL)
            *strrchr(before, '/') = '\0';
        return has_part(path, tensor->group) && has_part(before, leaf);
    case IMPORT_BY_SHAPE:
        break;
    }
    return false;
}

static enum cn_status missing(const struct import_matcher *matcher, size_t layer,
                              const char *what) {
    return cn_fail(matcher->error, CN_INVALID, "layer \"%s\": the file has no %s for it",
                   matcher->paths[layer], what);
}

static long number_of(const struct import_tensor *tensor) {
    return strtol(import_match_leaf(tensor->name), NULL, 10);
}

/* Tensor `index` among the candidates, in the file's order or by its number. */
static struct import_tensor *by_order(const struct import_matcher *matcher, size_t layer,
                                      size_t index) {
    const struct import_source *source = matcher->source;
    const bool numbered = source->naming == IMPORT_BY_CLASS;
    struct import_tensor *found = NULL;
    size_t place = 0;
    for (size_t i = 0; i < source->tensor_count; i++) {
        struct import_tensor *tensor = &source->tensors[i];
        if (!is_candidate(matcher, layer, tensor))
            continue;
        if (numbered ? number_of(tensor) == (long)index : !tensor->used && place++ == 0) {
            found = tensor;
            break;
        }
    }
    return found;
}

static struct import_tensor *by_name(const struct import_matcher *matcher, size_t layer,
                                     const char *name) {
    const struct import_source *source = matcher->source;
    for (size_t i = 0; i < source->tensor_count; i++)
        if (!source->tensors[i].used && import_match_named(&source->tensors[i], name) &&
            is_candidate(matcher, layer, &source->tensors[i]))
            return &source->tensors[i];
    return NULL;
}

static enum cn_status match_named(const struct import_matcher *matcher, size_t index) {
    const struct cn_layer *layer = &matcher->network->layers[index];
    enum cn_status status = CN_OK;
    bool named = matcher->source->naming != IMPORT_BY_CLASS;
    for (size_t i = 0; named && i < layer->tensor_count; i++)
        named = by_name(matcher, index, layer->tensors[i].name) != NULL;
    for (size_t i = 0; i < layer->tensor_count && status == CN_OK; i++) {
        struct import_tensor *tensor =
            named ? by_name(matcher, index, layer->tensors[i].name) : by_order(matcher, index, i);
        status = tensor != NULL ? import_match_give(matcher, layer, i, tensor)
                                : missing(matcher, index, layer->tensors[i].name);
    }
    return status;
}

/* ---- Keras 3: the nth layer of a class has the nth group of that class ---- */

/* The number of `group` if it is "PLACE/STEM_3", 0 for "PLACE/STEM", else -1. */
static long group_number(const char *group, const char *place, const char *stem) {
    const size_t place_length = strlen(place), stem_length = strlen(stem);
    char *end = NULL;
    if (strncmp(group, place, place_length) != 0 ||
        strncmp(group + place_length, stem, stem_length) != 0)
        return -1;
    const char *rest = group + place_length + stem_length;
    if (rest[0] == '\0')
        return 0;
    if (rest[0] != '_' || !isdigit((unsigned char)rest[1]))
        return -1;
    const long number = strtol(rest + 1, &end, 10);
    return *end == '\0' ? number : -1;
}

/* The group with the smallest number above `above`; NULL: there is none. */
static const char *next_group(const struct import_source *source, const char *place,
                              const char *stem, long above, long *ret_number) {
    const char *found = NULL;
    for (size_t i = 0; i < source->group_count; i++) {
        const long number = group_number(source->groups[i], place, stem);
        if (number > above && (found == NULL || number < *ret_number)) {
            found = source->groups[i];
            *ret_number = number;
        }
    }
    return found;
}

static void resolve_groups(const struct import_matcher *matcher, json_t *config, const char *place,
                           const char *path, int depth) {
    json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers"), *layer;
    json_t *last = json_object(); /* class -> the last number used */
    size_t i;
    json_array_foreach(layers, i, layer) {
        json_t *inner = json_object_get(layer, "config");
        const char *class_name = json_string_value(json_object_get(layer, "class_name"));
        const char *name = json_string_value(json_object_get(inner, "name"));
        char stem[80], full[IMPORT_NAME], below[IMPORT_NAME];
        long number = 0;
        if (class_name == NULL || name == NULL)
            continue;
        cn_keras_group_name(class_name, stem);
        const json_t *taken = json_object_get(last, stem);
        const char *group =
            next_group(matcher->source, place, stem,
                       taken != NULL ? (long)json_integer_value(taken) : -1, &number);
        if (group == NULL)
            continue;
        (void)json_object_set_new(last, stem, json_integer(number));
        (void)snprintf(full, sizeof full, "%.250s%s%.250s", path, path[0] != '\0' ? "/" : "", name);
        (void)json_object_set_new(matcher->groups, full, json_string(group));
        (void)snprintf(below, sizeof below, "%.490s/layers/", group);
        if (depth < IMPORT_MAX_DEPTH &&
            (json_is_array(inner) || json_object_get(inner, "layers") != NULL))
            resolve_groups(matcher, inner, below, full, depth + 1);
    }
    json_decref(last);
}

/* Finds the group of the model's layers: "layers/", and "_layer_checkpoint_..." in Keras 2.12. */
static void resolve_all(const struct import_matcher *matcher) {
    static const char *const roots[] = {"layers/", "_layer_checkpoint_dependencies/"};
    json_t *config = json_object_get(matcher->source->architecture, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    const char *first = matcher->network->layer_count > 0 ? matcher->paths[0] : "";
    /* The paths may begin with the outermost model's own name or not. */
    const size_t length = name != NULL ? strlen(name) : 0;
    const bool rooted = length > 0 && strncmp(first, name, length) == 0 && first[length] == '/';
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        if (json_object_size(matcher->groups) == 0)
            resolve_groups(matcher, config, roots[i], rooted ? name : "", 0);
}

bool import_match_counter(const struct import_tensor *tensor) {
    return strcmp(tensor->name, "num_batches_tracked") == 0;
}

static enum cn_status refuse_leftovers(const struct import_matcher *matcher) {
    size_t left = 0;
    const char *first = NULL;
    for (size_t i = 0; i < matcher->source->tensor_count; i++) {
        const struct import_tensor *tensor = &matcher->source->tensors[i];
        if (tensor->used || import_match_counter(tensor) || tensor->size == 0)
            continue;
        left++;
        first = first != NULL ? first : tensor->group;
    }
    if (left == 0)
        return CN_OK;
    if (matcher->source->naming == IMPORT_BY_SHAPE)
        return cn_fail(matcher->error, CN_INVALID,
                       "%zu tensors of the file belong to no layer of the architecture, the first "
                       "to \"%s\"",
                       left, first);
    import_note(matcher->report->notes, "%zu tensors that the network does not need were left out",
                left);
    return CN_OK;
}

enum cn_status import_match(struct import_source *source, struct cn_network *network,
                            char *const *paths, struct import_report *report,
                            struct cn_error *error) {
    struct import_matcher matcher = {.source = source,
                                     .network = network,
                                     .paths = paths,
                                     .groups = json_object(),
                                     .report = report,
                                     .error = error};
    enum cn_status status = CN_OK;
    if (source->naming == IMPORT_BY_CLASS)
        resolve_all(&matcher);
    if (source->naming == IMPORT_BY_SHAPE)
        status = import_match_modules(&matcher);
    for (size_t i = 0;
         source->naming != IMPORT_BY_SHAPE && i < network->layer_count && status == CN_OK; i++)
        if (network->layers[i].tensor_count > 0)
            status = match_named(&matcher, i);
    if (status == CN_OK)
        status = refuse_leftovers(&matcher);
    json_decref(matcher.groups);
    return status;
}
