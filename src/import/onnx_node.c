/* onnx_node.c: reads the present node: attributes, inputs, axes. Used by one thread. */
#include <string.h>

#include "import/onnx_private.h"

enum { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR };

const Onnx__AttributeProto *onnx_attribute(const struct onnx_node *node, const char *name) {
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        if (strcmp(node->proto->attribute[i]->name, name) == 0)
            return node->proto->attribute[i];
    return NULL;
}

int64_t onnx_int(const struct onnx_node *node, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *attribute = onnx_attribute(node, name);
    return attribute != NULL && attribute->has_i ? attribute->i : otherwise;
}

float onnx_float(const struct onnx_node *node, const char *name, float otherwise) {
    const Onnx__AttributeProto *attribute = onnx_attribute(node, name);
    return attribute != NULL && attribute->has_f ? attribute->f : otherwise;
}

const char *onnx_string(struct onnx_import *import, const struct onnx_node *node, const char *name,
                        const char *otherwise) {
    const Onnx__AttributeProto *attribute = onnx_attribute(node, name);
    if (attribute == NULL || !attribute->has_s)
        return otherwise;
    char *text = onnx_allocate(import, attribute->s.len + 1, 1);
    if (text == NULL)
        return "";
    if (attribute->s.len > 0)
        memcpy(text, attribute->s.data, attribute->s.len);
    return text;
}

const int64_t *onnx_ints(const struct onnx_node *node, const char *name, size_t *ret_count) {
    static const int64_t none[1];
    const Onnx__AttributeProto *attribute = onnx_attribute(node, name);
    *ret_count = attribute != NULL ? attribute->n_ints : 0;
    if (attribute == NULL)
        return NULL;
    return attribute->n_ints > 0 ? attribute->ints : none;
}

struct onnx_value *onnx_input(struct onnx_import *import, size_t i) {
    if (i >= import->node->input_count || import->node->inputs[i] < 0)
        return NULL;
    return &import->values[import->node->inputs[i]];
}

struct onnx_value *onnx_output(struct onnx_import *import, size_t i) {
    if (i >= import->node->output_count || import->node->outputs[i] < 0)
        return NULL;
    return &import->values[import->node->outputs[i]];
}

struct onnx_value *onnx_dynamic(struct onnx_import *import, size_t i) {
    struct onnx_value *value = onnx_input(import, i);
    if (value != NULL && value->state == ONNX_DYNAMIC)
        return value;
    if (value == NULL)
        onnx_refuse(import, "its input %zu is missing", i);
    else
        onnx_refuse(import, "its input %zu, '%s', is constant", i, value->name);
    return NULL;
}

const struct onnx_tensor *onnx_constant(struct onnx_import *import, size_t i, const char *what) {
    struct onnx_value *value = onnx_input(import, i);
    if (value != NULL && value->state == ONNX_CONSTANT)
        return value->tensor;
    if (value == NULL)
        onnx_refuse(import, "its %s is missing", what);
    else
        onnx_refuse(import, "its %s, '%s', must be constant, and is computed from the input", what,
                    value->name);
    return NULL;
}

bool onnx_integers_of(struct onnx_import *import, size_t input, const char *attribute,
                      const int64_t **ret_values, size_t *ret_count) {
    *ret_values = NULL;
    *ret_count = 0;
    if (onnx_input(import, input) != NULL) {
        const struct onnx_tensor *tensor = onnx_constant(import, input, attribute);
        if (tensor == NULL)
            return false;
        if (tensor->integers == NULL)
            return onnx_refuse(import, "its %s is of %s; integers are required", attribute,
                               onnx_type_name(tensor->type));
        *ret_values = tensor->integers;
        *ret_count = tensor->count;
        return true;
    }
    *ret_values = onnx_ints(import->node, attribute, ret_count);
    return true;
}

bool onnx_axis(struct onnx_import *import, int64_t axis, int rank, int *ret_axis) {
    if (axis < -rank || axis >= rank)
        return onnx_refuse(import, "its axis %lld is not one of %d dimensions", (long long)axis,
                           rank);
    *ret_axis = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

void onnx_set_constant(struct onnx_value *value, const struct onnx_tensor *tensor) {
    value->state = ONNX_CONSTANT;
    value->type = tensor->type;
    value->rank = tensor->rank;
    memcpy(value->dims, tensor->dims, sizeof value->dims);
    value->tensor = tensor;
}

bool onnx_broadcast(struct onnx_import *import, int rank_a, const int64_t *a, int rank_b,
                    const int64_t *b, int *ret_rank, int64_t *ret_dims) {
    const int rank = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 1; i <= rank; i++) {
        const int64_t x = i <= rank_a ? a[rank_a - i] : 1, y = i <= rank_b ? b[rank_b - i] : 1;
        if (x != y && x != 1 && y != 1)
            return onnx_refuse(import, "its inputs have %lld and %lld along one axis", (long long)x,
                               (long long)y);
        ret_dims[rank - i] = x == 1 ? y : x;
    }
    *ret_rank = rank;
    return true;
}
