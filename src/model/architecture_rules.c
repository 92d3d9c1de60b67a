/* architecture_rules.c: Keras's initializers, regularizers and constraints of a layer's weights,
 * read from and written to its configuration. No state. */
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "model/architecture.h"

static const char *const constraint_names[] = {"none",   "MaxNorm",    "UnitNorm",
                                               "NonNeg", "MinMaxNorm", NULL};
static const char *const fan_modes[] = {"fan_in", "fan_out", "fan_avg", NULL};
static const char *const distributions[] = {"truncated_normal", "untruncated_normal", "uniform",
                                            NULL};
static const char *const initializer_classes[] = {
    "GlorotUniform",   "HeNormal",    "Zeros",        "Ones",         "GlorotNormal",
    "HeUniform",       "LecunNormal", "LecunUniform", "RandomNormal", "RandomUniform",
    "TruncatedNormal", "Constant",    "Orthogonal",   "Identity",     "VarianceScaling"};

bool cn_keras_is_rule(const char *key) {
    return (cn_name_ends(key, "_initializer") || cn_name_ends(key, "_constraint") ||
            cn_name_ends(key, "_regularizer")) &&
           strcmp(key, "activity_regularizer") != 0;
}

/* "depthwise_kernel" has its "depthwise_initializer". */
static void rule_key(const char *tensor, const char *end, char key[static 64]) {
    const size_t length = strlen(tensor);
    const bool part = length > 7 && strcmp(tensor + length - 7, "_kernel") == 0;
    (void)snprintf(key, 64, "%.*s_%s", (int)(part ? length - 7 : length), tensor, end);
}

static int word_index(const char *const *names, const json_t *config, const char *key,
                      int otherwise) {
    const char *word = json_string_value(json_object_get(config, key));
    if (word != NULL && names == distributions && strcmp(word, "normal") == 0)
        return CN_SCALED_TRUNCATED;
    const int index = word != NULL ? cn_name_index(names, word) : -1;
    return index >= 0 ? index : otherwise;
}

static enum cn_status rule_refuse(const struct cn_keras_layer *entry, const char *key,
                                  const json_t *value, const char *supported) {
    char shown[CN_JSON_TEXT];
    if (entry->lenient)
        return CN_OK;
    return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is %s; supported are %s", entry->label,
                   key, cn_json_show(value, shown), supported);
}

static enum cn_status initializer_read(const struct cn_keras_layer *entry, const char *key,
                                       const json_t *value, struct cn_tensor_spec *spec) {
    char word[CN_JSON_TEXT], names[256];
    const json_t *config = json_object_get(value, "config");
    const int index = cn_keras_word(value, word) ? cn_name_index(cn_initializer_names, word) : -1;
    if (index < 0)
        return rule_refuse(entry, key, value,
                           cn_name_list(cn_initializer_names, names, sizeof names));
    struct cn_initializer_numbers n = {.given = json_is_object(config)};
    spec->initializer = (enum cn_initializer)index;
    switch (spec->initializer) {
    case CN_INITIALIZER_RANDOM_NORMAL:
    case CN_INITIALIZER_TRUNCATED_NORMAL:
        n.a = (float)cn_keras_number(config, "mean", 0);
        n.b = (float)cn_keras_number(config, "stddev", 0.05);
        break;
    case CN_INITIALIZER_RANDOM_UNIFORM:
        n.a = (float)cn_keras_number(config, "minval", -0.05);
        n.b = (float)cn_keras_number(config, "maxval", 0.05);
        break;
    case CN_INITIALIZER_CONSTANT:
        n.a = (float)cn_keras_number(config, "value", 0);
        break;
    case CN_INITIALIZER_ORTHOGONAL:
    case CN_INITIALIZER_IDENTITY:
        n.a = (float)cn_keras_number(config, "gain", 1);
        break;
    case CN_INITIALIZER_VARIANCE_SCALING:
        n.a = (float)cn_keras_number(config, "scale", 1);
        n.fan_mode = (enum cn_fan_mode)word_index(fan_modes, config, "mode", CN_FAN_IN);
        n.distribution = (enum cn_scaled_distribution)word_index(
            distributions, config, "distribution", CN_SCALED_TRUNCATED);
        break;
    default:
        n.given = false;
    }
    spec->initializer_numbers = n;
    spec->initializer_read = true;
    return CN_OK;
}

static enum cn_status regularizer_read(const struct cn_keras_layer *entry, const char *key,
                                       const json_t *value, struct cn_weight_rule *rule) {
    char word[CN_JSON_TEXT];
    const json_t *config = json_object_get(value, "config");
    const bool known = cn_keras_word(value, word);
    const bool l1 = known && (strcmp(word, "l1") == 0 || strcmp(word, "l1_l2") == 0 ||
                              strcmp(word, "l1l2") == 0),
               l2 = known && (strcmp(word, "l2") == 0 || strcmp(word, "l1_l2") == 0 ||
                              strcmp(word, "l1l2") == 0);
    if (!l1 && !l2)
        return rule_refuse(entry, key, value, "L1, L2, L1L2");
    const double otherwise = json_is_object(config) ? 0 : 0.01;
    rule->l1 = (float)(l1 ? cn_keras_number(config, "l1", otherwise) : 0);
    rule->l2 = (float)(l2 ? cn_keras_number(config, "l2", otherwise) : 0);
    return CN_OK;
}

enum cn_status cn_keras_take_activity(struct cn_keras_layer *entry, struct cn_weight_rule *rule) {
    static const char key[] = "activity_regularizer";
    const json_t *value = json_object_get(entry->config, key);
    struct cn_keras_layer quiet = *entry;
    struct cn_weight_rule given = *rule;
    enum cn_status status = CN_OK;
    if (value == NULL)
        return CN_OK;
    if (entry->lenient)
        quiet.error = NULL;
    if (!json_is_null(value))
        status = regularizer_read(&quiet, key, value, &given);
    if (status == CN_OK)
        *rule = given;
    (void)json_object_del(entry->config, key);
    return entry->lenient ? CN_OK : status;
}

/* Adds an axis, which may be counted from the end, to a set of bits; false: it is none. */
static bool axis_add(const json_t *value, int rank, unsigned *axes) {
    const json_int_t axis = json_integer_value(value);
    if (!json_is_integer(value) || axis < -rank || axis >= rank)
        return false;
    *axes |= 1U << (axis < 0 ? axis + rank : axis);
    return true;
}

static enum cn_status constraint_read(const struct cn_keras_layer *entry, const char *key,
                                      const json_t *value, int rank, struct cn_weight_rule *rule) {
    static const char *const words[] = {"none",    "max_norm",     "unit_norm",
                                        "non_neg", "min_max_norm", NULL};
    static const char range[] = "axes of the weights";
    char word[CN_JSON_TEXT];
    const json_t *config = json_object_get(value, "config"), *axis, *element;
    const int index = cn_keras_word(value, word) ? cn_name_index(words, word) : -1;
    size_t i;
    if (index <= 0)
        return rule_refuse(entry, key, value, "MaxNorm, UnitNorm, NonNeg, MinMaxNorm");
    rule->constraint = (enum cn_constraint)index;
    rule->least = (float)cn_keras_number(config, "min_value", 0);
    rule->most = (float)cn_keras_number(config, "max_value",
                                        rule->constraint == CN_CONSTRAINT_MIN_MAX_NORM ? 1 : 2);
    rule->rate = (float)cn_keras_number(config, "rate", 1);
    axis = json_object_get(config, "axis");
    rule->axes = json_is_integer(axis) || json_is_array(axis) ? 0 : 1;
    if (json_is_integer(axis) && !axis_add(axis, rank, &rule->axes))
        return rule_refuse(entry, key, value, range);
    json_array_foreach(axis, i, element) {
        if (!axis_add(element, rank, &rule->axes))
            return rule_refuse(entry, key, value, range);
    }
    return CN_OK;
}

enum cn_status cn_keras_read_rules(const struct cn_keras_layer *entry, struct cn_layer *layer) {
    enum cn_status status = CN_OK;
    for (size_t t = 0; t < layer->tensor_count && status == CN_OK; t++) {
        struct cn_tensor_spec *spec = &layer->tensors[t];
        char key[64];
        const json_t *value;
        rule_key(spec->name, "initializer", key);
        value = json_object_get(entry->config, key);
        if (value != NULL && !json_is_null(value))
            status = initializer_read(entry, key, value, spec);
        rule_key(spec->name, "regularizer", key);
        value = json_object_get(entry->config, key);
        if (status == CN_OK && value != NULL && !json_is_null(value))
            status = regularizer_read(entry, key, value, &spec->rule);
        rule_key(spec->name, "constraint", key);
        value = json_object_get(entry->config, key);
        if (status == CN_OK && value != NULL && !json_is_null(value))
            status = constraint_read(entry, key, value, spec->rank, &spec->rule);
    }
    return status;
}

/* ---- And back ---- */

static json_t *object_of(const char *class_name, json_t *config) {
    return json_pack("{s:s, s:o}", "class_name", class_name, "config", config);
}

static json_t *initializer_format(const struct cn_tensor_spec *spec) {
    const struct cn_initializer_numbers *n = &spec->initializer_numbers;
    const char *name = initializer_classes[spec->initializer];
    if (!n->given)
        return json_string(cn_initializer_names[spec->initializer]);
    switch (spec->initializer) {
    case CN_INITIALIZER_RANDOM_NORMAL:
    case CN_INITIALIZER_TRUNCATED_NORMAL:
        return object_of(name,
                         json_pack("{s:f, s:f}", "mean", (double)n->a, "stddev", (double)n->b));
    case CN_INITIALIZER_RANDOM_UNIFORM:
        return object_of(name,
                         json_pack("{s:f, s:f}", "minval", (double)n->a, "maxval", (double)n->b));
    case CN_INITIALIZER_CONSTANT:
        return object_of(name, json_pack("{s:f}", "value", (double)n->a));
    case CN_INITIALIZER_VARIANCE_SCALING:
        return object_of(name, json_pack("{s:f, s:s, s:s}", "scale", (double)n->a, "mode",
                                         fan_modes[n->fan_mode], "distribution",
                                         distributions[n->distribution]));
    default:
        return object_of(name, json_pack("{s:f}", "gain", (double)n->a));
    }
}

static json_t *constraint_format(const struct cn_weight_rule *rule) {
    const char *name = constraint_names[rule->constraint];
    json_t *axes = json_array();
    for (int i = 0; i < CN_TENSOR_MAX_RANK; i++)
        if ((rule->axes >> i & 1) != 0)
            (void)json_array_append_new(axes, json_integer(i));
    json_t *config = rule->constraint == CN_CONSTRAINT_NON_NEG ? json_object()
                                                               : json_pack("{s:O}", "axis", axes);
    json_decref(axes);
    if (rule->constraint == CN_CONSTRAINT_MAX_NORM ||
        rule->constraint == CN_CONSTRAINT_MIN_MAX_NORM)
        (void)json_object_set_new(config, "max_value", json_real((double)rule->most));
    if (rule->constraint == CN_CONSTRAINT_MIN_MAX_NORM) {
        (void)json_object_set_new(config, "min_value", json_real((double)rule->least));
        (void)json_object_set_new(config, "rate", json_real((double)rule->rate));
    }
    return object_of(name, config);
}

int cn_keras_format_rules(const struct cn_layer *layer, json_t *config) {
    int failed = 0;
    for (size_t t = 0; t < layer->tensor_count; t++) {
        const struct cn_tensor_spec *spec = &layer->tensors[t];
        char key[64];
        rule_key(spec->name, "initializer", key);
        if (spec->initializer_read &&
            (spec->initializer_numbers.given || json_object_get(config, key) != NULL ||
             spec->initializer != spec->own_initializer))
            failed |= json_object_set_new(config, key, initializer_format(spec));
        rule_key(spec->name, "regularizer", key);
        if (spec->rule.l1 != 0 || spec->rule.l2 != 0)
            failed |= json_object_set_new(
                config, key,
                object_of("L1L2", json_pack("{s:f, s:f}", "l1", (double)spec->rule.l1, "l2",
                                            (double)spec->rule.l2)));
        rule_key(spec->name, "constraint", key);
        if (spec->rule.constraint != CN_CONSTRAINT_NONE)
            failed |= json_object_set_new(config, key, constraint_format(&spec->rule));
    }
    return failed;
}
