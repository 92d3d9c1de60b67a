/* preprocessing.c: the parameters of the preprocessing: defaults, text, rules, and the
 * normalisation at its end. preprocess.c applies the rest. Thread-safe. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "base/number.h"
#include "convnet/image.h"

const char *const cn_fit_names[] = {"mnist", "stretch", "crop", "pad", NULL};
const char *const cn_channels_names[] = {"grey", "rgb", "bgr", NULL};
const char *const cn_interpolation_names[] = {"area", "nearest", "bilinear", "bicubic", NULL};

/* The first versions used this name for `pad`. */
static const char former_pad[] = "scale";

/* A vector is treated as a row of grey pixels. */
static struct cn_shape picture_shape(const struct cn_shape *shape) {
    return shape->rank == 3 ? *shape : cn_shape_image(1, shape->dims[0], 1);
}

struct cn_preprocessing cn_preprocessing_default(const struct cn_shape *input_shape) {
    const struct cn_shape shape = picture_shape(input_shape);
    const int side = shape.dims[0] < shape.dims[1] ? shape.dims[0] : shape.dims[1];
    const int box = (int)((long long)side * 20 / 28);
    return (struct cn_preprocessing){.fit = CN_FIT_STRETCH,
                                     .box = box > 0 ? box : 1,
                                     .channels =
                                         shape.dims[2] == 3 ? CN_CHANNELS_RGB : CN_CHANNELS_GREY,
                                     .scale = 255.0F,
                                     .std = {1.0F, 1.0F, 1.0F}};
}

struct cn_preprocessing cn_preprocessing_digits(const struct cn_shape *input_shape) {
    struct cn_preprocessing preprocessing = cn_preprocessing_default(input_shape);
    preprocessing.fit = CN_FIT_MNIST;
    preprocessing.invert = true;
    return preprocessing;
}

struct cn_preprocessing
cn_preprocessing_without_normalization(const struct cn_preprocessing *preprocessing) {
    struct cn_preprocessing plain = *preprocessing;
    plain.channels = plain.channels == CN_CHANNELS_BGR ? CN_CHANNELS_RGB : plain.channels;
    plain.scale = 255.0F;
    for (int c = 0; c < CN_CHANNELS_MOST; c++) {
        plain.mean[c] = 0.0F;
        plain.std[c] = 1.0F;
    }
    return plain;
}

/* ---- Text ---- */

static enum cn_status set_name(const char *name, const char *value, const char *const *names,
                               int *ret_index, struct cn_error *error) {
    char list[80];
    const int index = cn_name_index(names, value);
    if (index < 0)
        return cn_fail(error, CN_INVALID, "preprocessing: %s is \"%.40s\"; it must be one of %s",
                       name, value, cn_name_list(names, list, sizeof list));
    *ret_index = index;
    return CN_OK;
}

/* Parses one number for all channels, or one per channel with colons between them. */
static enum cn_status set_numbers(const char *name, const char *value, float *ret_values,
                                  struct cn_error *error) {
    float values[CN_CHANNELS_MOST] = {0};
    const char *at = value;
    char *end = NULL;
    int count = 0;
    for (; count < CN_CHANNELS_MOST; at = end + 1) {
        values[count] = strtof(at, &end);
        if (end == at || !isfinite(values[count++]) || *end != ':')
            break;
    }
    if (end == at || *end != '\0' || !isfinite(values[count - 1]) ||
        (count != 1 && count != CN_CHANNELS_MOST))
        return cn_fail(error, CN_INVALID,
                       "preprocessing: %s is \"%.80s\"; it must be a number, or three with colons "
                       "between them",
                       name, value);
    for (int c = 0; c < CN_CHANNELS_MOST; c++)
        ret_values[c] = values[count == 1 ? 0 : c];
    return CN_OK;
}

static enum cn_status set_fit(struct cn_preprocessing *preprocessing, const char *value,
                              struct cn_error *error) {
    int index = 0;
    const enum cn_status status = set_name("fit", strcmp(value, former_pad) == 0 ? "pad" : value,
                                           cn_fit_names, &index, error);
    if (status != CN_OK)
        return status;
    preprocessing->fit = (enum cn_fit)index;
    preprocessing->invert = preprocessing->fit == CN_FIT_MNIST;
    return CN_OK;
}

static enum cn_status set_box(struct cn_preprocessing *preprocessing, const char *value,
                              struct cn_error *error) {
    char *end = NULL;
    const long box = strtol(value, &end, 10);
    if (end == value || *end != '\0' || box < 1 || box > CN_SHAPE_MAX_ELEMENTS)
        return cn_fail(error, CN_INVALID,
                       "preprocessing: box is \"%.40s\"; it must be an integer of at least 1",
                       value);
    preprocessing->box = (int)box;
    return CN_OK;
}

static enum cn_status set_invert(struct cn_preprocessing *preprocessing, const char *value,
                                 struct cn_error *error) {
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return cn_fail(error, CN_INVALID,
                       "preprocessing: invert is \"%.40s\"; it must be true or false", value);
    preprocessing->invert = value[0] == 't';
    return CN_OK;
}

static enum cn_status set_channels(struct cn_preprocessing *preprocessing, const char *value,
                                   struct cn_error *error) {
    int index = 0;
    const enum cn_status status = set_name("channels", value, cn_channels_names, &index, error);
    if (status == CN_OK)
        preprocessing->channels = (enum cn_channels)index;
    return status;
}

static enum cn_status set_interpolation(struct cn_preprocessing *preprocessing, const char *value,
                                        struct cn_error *error) {
    int index = 0;
    const enum cn_status status =
        set_name("interpolation", value, cn_interpolation_names, &index, error);
    if (status == CN_OK)
        preprocessing->interpolation = (enum cn_interpolation)index;
    return status;
}

static enum cn_status set_scale(struct cn_preprocessing *preprocessing, const char *value,
                                struct cn_error *error) {
    char *end = NULL;
    const float scale = strtof(value, &end);
    if (end == value || *end != '\0' || !(scale > 0) || !isfinite(scale))
        return cn_fail(error, CN_INVALID,
                       "preprocessing: scale is \"%.40s\"; it must be a number above 0", value);
    preprocessing->scale = scale;
    return CN_OK;
}

static enum cn_status set_mean(struct cn_preprocessing *preprocessing, const char *value,
                               struct cn_error *error) {
    return set_numbers("mean", value, preprocessing->mean, error);
}

static enum cn_status set_std(struct cn_preprocessing *preprocessing, const char *value,
                              struct cn_error *error) {
    return set_numbers("std", value, preprocessing->std, error);
}

/* THE list of parameters. */
static const struct parameter {
    const char *name;
    enum cn_status (*set)(struct cn_preprocessing *preprocessing, const char *value,
                          struct cn_error *error);
} parameters[] = {{"fit", set_fit},
                  {"box", set_box},
                  {"invert", set_invert},
                  {"channels", set_channels},
                  {"interpolation", set_interpolation},
                  {"scale", set_scale},
                  {"mean", set_mean},
                  {"std", set_std}};

enum cn_status cn_preprocessing_set(struct cn_preprocessing *preprocessing, const char *name,
                                    const char *value, struct cn_error *error) {
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(name, parameters[i].name) == 0)
            return parameters[i].set(preprocessing, value, error);
    return cn_fail(
        error, CN_INVALID,
        "preprocessing: there is no parameter \"%.40s\"; use fit, box, invert, channels, "
        "interpolation, scale, mean or std",
        name);
}

enum cn_status cn_preprocessing_parse(const char *text, const struct cn_shape *input_shape,
                                      struct cn_preprocessing *preprocessing,
                                      struct cn_error *error) {
    struct cn_preprocessing parsed = *preprocessing;
    enum cn_status status = CN_OK;
    char *rest = NULL, *copy = strdup(text);
    if (copy == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the preprocessing's text");
    for (char *item = strtok_r(copy, ",", &rest); item != NULL && status == CN_OK;
         item = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(item, '=');
        if (value == NULL) {
            status = cn_fail(error, CN_INVALID,
                             "preprocessing: \"%.40s\" is not NAME=VALUE, as in fit=crop,scale=255",
                             item);
            break;
        }
        *value = '\0';
        status = cn_preprocessing_set(&parsed, item, value + 1, error);
    }
    free(copy);
    if (status == CN_OK)
        status = cn_preprocessing_check(&parsed, input_shape, error);
    if (status == CN_OK)
        *preprocessing = parsed;
    return status;
}

static void add_text(char text[CN_PREPROCESSING_TEXT], const char *name, const char *value) {
    const size_t length = strlen(text);
    (void)snprintf(text + length, CN_PREPROCESSING_TEXT - length, "%s%s=%s", length > 0 ? "," : "",
                   name, value);
}

static void add_numbers(char text[CN_PREPROCESSING_TEXT], const char *name, const float *values,
                        float usual) {
    char list[CN_CHANNELS_MOST * CN_FLOAT_TEXT] = "";
    const bool alike = values[0] == values[1] && values[0] == values[2];
    size_t length = 0;
    if (alike && values[0] == usual)
        return;
    for (int c = 0; c < (alike ? 1 : CN_CHANNELS_MOST); c++) {
        if (c > 0)
            list[length++] = ':';
        length += cn_float_format(list + length, values[c]);
    }
    add_text(text, name, list);
}

const char *cn_preprocessing_format(const struct cn_preprocessing *preprocessing,
                                    char text[CN_PREPROCESSING_TEXT]) {
    char number[CN_FLOAT_TEXT];
    text[0] = '\0';
    add_text(text, "fit", cn_fit_names[preprocessing->fit]);
    if (preprocessing->fit == CN_FIT_MNIST) {
        (void)snprintf(number, sizeof number, "%d", preprocessing->box);
        add_text(text, "box", number);
        add_text(text, "invert", preprocessing->invert ? "true" : "false");
    }
    add_text(text, "channels", cn_channels_names[preprocessing->channels]);
    if (preprocessing->interpolation != CN_INTERPOLATION_AREA)
        add_text(text, "interpolation", cn_interpolation_names[preprocessing->interpolation]);
    (void)cn_float_format(number, preprocessing->scale);
    if (preprocessing->scale != 255.0F)
        add_text(text, "scale", number);
    add_numbers(text, "mean", preprocessing->mean, 0.0F);
    add_numbers(text, "std", preprocessing->std, 1.0F);
    return text;
}

/* ---- Rules ---- */

static bool takes_colour(const struct cn_preprocessing *preprocessing) {
    return preprocessing->channels != CN_CHANNELS_GREY;
}

enum cn_status cn_preprocessing_check(const struct cn_preprocessing *preprocessing,
                                      const struct cn_shape *input_shape, struct cn_error *error) {
    const struct cn_shape shape = picture_shape(input_shape);
    const int side = shape.dims[0] < shape.dims[1] ? shape.dims[0] : shape.dims[1];
    if (preprocessing->box < 1 || preprocessing->box > side)
        return cn_fail(
            error, CN_INVALID,
            "preprocessing: box is %d; it must be from 1 to %d, the input's smaller side",
            preprocessing->box, side);
    if (preprocessing->invert && preprocessing->fit != CN_FIT_MNIST)
        return cn_fail(error, CN_INVALID,
                       "preprocessing: invert applies to fit mnist only; fit %s never inverts",
                       cn_fit_names[preprocessing->fit]);
    if ((shape.dims[2] == 1 && takes_colour(preprocessing)) ||
        (shape.dims[2] == CN_CHANNELS_MOST && !takes_colour(preprocessing)))
        return cn_fail(error, CN_INVALID, "preprocessing: channels %s for an input of %d",
                       cn_channels_names[preprocessing->channels], shape.dims[2]);
    if (preprocessing->fit == CN_FIT_MNIST && shape.dims[2] != 1)
        return cn_fail(error, CN_INVALID,
                       "preprocessing: fit mnist reads grey pictures; the input has %d channels",
                       shape.dims[2]);
    if (!(preprocessing->scale > 0))
        return cn_fail(error, CN_INVALID, "preprocessing: scale is %g; it must be above 0",
                       (double)preprocessing->scale);
    for (int c = 0; c < CN_CHANNELS_MOST; c++)
        if (!(fabsf(preprocessing->std[c]) >= 1e-12F) || !isfinite(preprocessing->mean[c]))
            return cn_fail(error, CN_INVALID,
                           "preprocessing: std is %g and mean is %g; std must not be 0, and "
                           "mean must be finite",
                           (double)preprocessing->std[c], (double)preprocessing->mean[c]);
    return CN_OK;
}

/* ---- Normalisation ---- */

/* Zeroed parameters, as in a dataset that was made by hand, change nothing either. */
static bool changes_nothing(const struct cn_preprocessing *preprocessing, size_t channels) {
    if (preprocessing->scale == 0.0F)
        return true;
    bool plain = preprocessing->scale == 255.0F && preprocessing->channels != CN_CHANNELS_BGR;
    for (size_t c = 0; c < channels && c < CN_CHANNELS_MOST; c++)
        plain = plain && preprocessing->mean[c] == 0.0F && preprocessing->std[c] == 1.0F;
    return plain;
}

void cn_preprocessing_normalize(const struct cn_preprocessing *preprocessing,
                                const struct cn_shape *input_shape, size_t count, float *images) {
    const struct cn_shape shape = picture_shape(input_shape);
    const size_t channels = (size_t)shape.dims[2];
    const bool swapped = preprocessing->channels == CN_CHANNELS_BGR && channels == CN_CHANNELS_MOST;
    const float factor = 255.0F / preprocessing->scale;
    if (changes_nothing(preprocessing, channels))
        return;
    const size_t end = count * cn_shape_size(input_shape);
    for (size_t i = 0; i < end; i += channels) {
        if (swapped) {
            const float red = images[i];
            images[i] = images[i + 2];
            images[i + 2] = red;
        }
        for (size_t c = 0; c < channels; c++) {
            const size_t of = c < CN_CHANNELS_MOST ? c : 0;
            images[i + c] =
                (images[i + c] * factor - preprocessing->mean[of]) / preprocessing->std[of];
        }
    }
}
