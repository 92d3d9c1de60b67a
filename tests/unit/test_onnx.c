/* test_onnx.c: ONNX files as networks: what a small one becomes, and that invalid ones are refused:
 * cut, changed, endless, or with false sizes. ONNX's own cases test the operators. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "import/onnx.h"
#include "import/onnx_private.h"

/* A model of a few nodes, assembled by hand; all pointers are borrowed from the test. */
struct sample {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__NodeProto nodes[6], *node_list[6];
    Onnx__AttributeProto attributes[6], *attribute_list[6];
    Onnx__TensorProto tensors[4], *tensor_list[4];
    Onnx__ValueInfoProto infos[2], *inputs[1], *outputs[1];
    Onnx__TypeProto type;
    Onnx__TensorTypeProto tensor_type;
    Onnx__TensorShapeProto shape;
    Onnx__Dimension dims[4], *dim_list[4];
    char *names[6][4];
    int64_t tensor_dims[4][4];
    float numbers[512];
};

static void sample_node(struct sample *sample, const char *type, const char *a, const char *b,
                        const char *output) {
    const size_t i = sample->graph.n_node++;
    Onnx__NodeProto *node = &sample->nodes[i];
    onnx__node_proto__init(node);
    sample->names[i][0] = (char *)(uintptr_t)a;
    sample->names[i][1] = (char *)(uintptr_t)b;
    sample->names[i][2] = (char *)(uintptr_t)output;
    node->op_type = (char *)(uintptr_t)type;
    node->input = sample->names[i];
    node->n_input = b != NULL ? 2 : 1;
    node->output = sample->names[i] + 2;
    node->n_output = 1;
    sample->node_list[i] = node;
}

static void sample_tensor(struct sample *sample, const char *name, size_t rank,
                          const int64_t *dims) {
    const size_t i = sample->graph.n_initializer++;
    Onnx__TensorProto *tensor = &sample->tensors[i];
    onnx__tensor_proto__init(tensor);
    size_t count = 1;
    for (size_t k = 0; k < rank; k++)
        count *= (size_t)(sample->tensor_dims[i][k] = dims[k]);
    tensor->name = (char *)(uintptr_t)name;
    tensor->n_dims = rank;
    tensor->dims = sample->tensor_dims[i];
    tensor->has_data_type = 1;
    tensor->data_type = ONNX_FLOAT;
    tensor->has_raw_data = 1;
    tensor->raw_data.data = (uint8_t *)sample->numbers;
    tensor->raw_data.len = count * sizeof(float);
    sample->tensor_list[i] = tensor;
}

/* [n, 2, 5, 4] -> Conv 3x3 of 3 -> Relu -> Flatten -> MatMul of 4 -> Softmax */
static void sample_make(struct sample *sample) {
    static const int64_t kernel[4] = {3, 2, 3, 3}, matrix[2] = {18, 4};
    memset(sample, 0, sizeof *sample);
    onnx__model_proto__init(&sample->model);
    onnx__graph_proto__init(&sample->graph);
    onnx__operator_set_id_proto__init(&sample->opset);
    sample->opset.has_version = 1;
    sample->opset.version = 13;
    sample->opsets[0] = &sample->opset;
    sample->model.n_opset_import = 1;
    sample->model.opset_import = sample->opsets;
    sample->model.graph = &sample->graph;
    sample->graph.node = sample->node_list;
    sample->graph.initializer = sample->tensor_list;
    for (size_t i = 0; i < 512; i++)
        sample->numbers[i] = (float)((i * 37) % 101) / 50 - 1;
    sample_node(sample, "Conv", "x", "kernel", "a");
    sample_node(sample, "Relu", "a", NULL, "b");
    sample_node(sample, "Flatten", "b", NULL, "c");
    sample_node(sample, "MatMul", "c", "matrix", "d");
    sample_node(sample, "Softmax", "d", NULL, "y");
    sample_tensor(sample, "kernel", 4, kernel);
    sample_tensor(sample, "matrix", 2, matrix);
    onnx__type_proto__init(&sample->type);
    onnx__tensor_type_proto__init(&sample->tensor_type);
    onnx__tensor_shape_proto__init(&sample->shape);
    static const int64_t dims[4] = {0, 2, 5, 4};
    for (size_t i = 0; i < 4; i++) {
        onnx__dimension__init(&sample->dims[i]);
        sample->dims[i].has_dim_value = i > 0;
        sample->dims[i].dim_value = dims[i];
        sample->dim_list[i] = &sample->dims[i];
    }
    sample->shape.n_dim = 4;
    sample->shape.dim = sample->dim_list;
    sample->tensor_type.has_elem_type = 1;
    sample->tensor_type.elem_type = ONNX_FLOAT;
    sample->tensor_type.shape = &sample->shape;
    sample->type.tensor_type = &sample->tensor_type;
    for (size_t i = 0; i < 2; i++)
        onnx__value_info_proto__init(&sample->infos[i]);
    sample->infos[0].name = (char *)(uintptr_t) "x";
    sample->infos[0].type = &sample->type;
    sample->infos[1].name = (char *)(uintptr_t) "y";
    sample->inputs[0] = &sample->infos[0];
    sample->outputs[0] = &sample->infos[1];
    sample->graph.n_input = sample->graph.n_output = 1;
    sample->graph.input = sample->inputs;
    sample->graph.output = sample->outputs;
}

static enum cn_status bytes_import(const unsigned char *bytes, size_t length,
                                   struct import_onnx_result *ret, struct cn_error *error) {
    const struct import_onnx_options options = {
        .name = "test.onnx", .bytes = bytes, .length = length, .folder = -1};
    return import_onnx(&options, ret, error);
}

static unsigned char *sample_pack(const struct sample *sample, size_t *ret_length) {
    *ret_length = onnx__model_proto__get_packed_size(&sample->model);
    unsigned char *bytes = malloc(*ret_length);
    onnx__model_proto__pack(&sample->model, bytes);
    return bytes;
}

/* Imports the sample, which must be refused with a message that contains `text`. */
static void expect_refusal(const struct sample *sample, const char *text) {
    struct import_onnx_result result = {0};
    struct cn_error error = {0};
    size_t length;
    unsigned char *bytes = sample_pack(sample, &length);
    cr_assert_neq(bytes_import(bytes, length, &result, &error), CN_OK, "%s", text);
    cr_assert_not_null(strstr(error.text, text), "\"%s\" does not say \"%s\"", error.text, text);
    cr_assert_null(result.network);
    import_onnx_clear(&result);
    free(bytes);
}

Test(onnx, a_small_network) {
    struct sample sample;
    struct import_onnx_result result = {0};
    struct cn_error error = {0};
    size_t length;
    sample_make(&sample);
    unsigned char *bytes = sample_pack(&sample, &length);
    cr_assert_eq(bytes_import(bytes, length, &result, &error), CN_OK, "%s", error.text);
    const struct cn_network *network = result.network;
    cr_assert_eq(network->input_shape.rank, 3);
    cr_assert_eq(network->input_shape.dims[2], 2, "channels go last");
    cr_assert_eq(cn_shape_size(&network->output_shape), 4u);
    cr_assert_eq(network->parameter_count, 3u * 2 * 3 * 3 + 18 * 4);
    /* The dense kernel's rows follow the pixels: source row (c, y, x) = (1, 2, 0) is row
     * (y, x, c) = (2, 0, 1) here. */
    const size_t from = (1 * 3 + 2) * 2 + 0, to = (2 * 2 + 0) * 3 + 1;
    const struct cn_tensor *kernel = &network->tensors[network->tensor_count - 1];
    for (size_t u = 0; u < 4; u++)
        cr_assert_eq(network->parameters[kernel->offset + to * 4 + u],
                     sample.numbers[from * 4 + u]);
    const json_t *input = json_array_get(json_object_get(result.tensors, "inputs"), 0);
    cr_assert(json_is_true(json_object_get(input, "batched")));
    cr_assert_eq(json_integer_value(json_array_get(json_object_get(input, "axes"), 2)), 1);
    import_onnx_clear(&result);
    free(bytes);
}

/* Gives node `i` of the sample ONNX Runtime's operator `type` with its activation, and `alpha` as
 * the activation's attribute. */
static void sample_fuse(struct sample *sample, size_t i, const char *type, const char *activation,
                        float alpha) {
    Onnx__AttributeProto *word = &sample->attributes[2 * (i > 0)], *number = word + 1;
    onnx__attribute_proto__init(word);
    onnx__attribute_proto__init(number);
    word->name = (char *)(uintptr_t) "activation";
    word->has_s = 1;
    word->s.data = (uint8_t *)(uintptr_t)activation;
    word->s.len = strlen(activation);
    number->name = (char *)(uintptr_t) "activation_alpha";
    number->has_f = 1;
    number->f = alpha;
    sample->attribute_list[2 * (i > 0)] = word;
    sample->attribute_list[2 * (i > 0) + 1] = number;
    sample->nodes[i].op_type = (char *)(uintptr_t)type;
    sample->nodes[i].domain = (char *)(uintptr_t) "com.microsoft";
    sample->nodes[i].attribute = &sample->attribute_list[2 * (i > 0)];
    sample->nodes[i].n_attribute = 2;
}

static struct import_onnx_result sample_import(const struct sample *sample) {
    struct import_onnx_result result = {0};
    struct cn_error error = {0};
    size_t length;
    unsigned char *bytes = sample_pack(sample, &length);
    cr_assert_eq(bytes_import(bytes, length, &result, &error), CN_OK, "%s", error.text);
    free(bytes);
    return result;
}

/* FusedConv and FusedGemm tell about their input's axes as Conv and Gemm do. FusedGemm has the
 * attributes of its activation, such as activation_alpha. */
Test(onnx, fused_operators_of_onnx_runtime) {
    struct sample sample;
    sample_make(&sample);
    sample_fuse(&sample, 0, "FusedConv", "Relu", 0);
    sample_fuse(&sample, 3, "FusedGemm", "Elu", 0.25F);
    struct import_onnx_result result = sample_import(&sample);
    char *json = NULL;
    cr_assert_eq(result.network->input_shape.dims[2], 2, "channels go last");
    cr_assert_eq(cn_architecture_format(result.network, &json, NULL), CN_OK);
    cr_assert_not_null(strstr(json, "\"function\":\"elu\",\"alpha\":0.25"), "%s", json);
    free(json);
    import_onnx_clear(&result);

    /* y = FusedGemm(x, matrix) for a batch of 5 */
    sample.graph.n_node = 1;
    sample.node_list[0] = &sample.nodes[3];
    sample.names[3][0] = (char *)(uintptr_t) "x";
    sample.names[3][2] = (char *)(uintptr_t) "y";
    sample.shape.n_dim = 2;
    sample.dims[0].has_dim_value = 1;
    sample.dims[0].dim_value = 5;
    sample.dims[1].dim_value = 18;
    result = sample_import(&sample);
    cr_assert_eq(result.network->input_shape.rank, 1);
    import_onnx_clear(&result);

    sample_fuse(&sample, 3, "FusedGemm", "Clip", 0);
    expect_refusal(&sample, "its activation Clip is not supported");
    sample_make(&sample);
    sample_fuse(&sample, 0, "FusedConv", "Elu", 1);
    expect_refusal(&sample, "its activation Elu is not supported");
    sample_fuse(&sample, 0, "FusedConv", "LeakyRelu", 1);
    expect_refusal(&sample, "its activation has 0 parameters");
    char *inputs[4] = {sample.names[0][0], sample.names[0][1], (char *)(uintptr_t) "",
                       (char *)(uintptr_t) "x"};
    sample_fuse(&sample, 0, "FusedConv", "Relu", 1);
    sample.nodes[0].input = inputs;
    sample.nodes[0].n_input = 4;
    expect_refusal(&sample, "its fourth input, which is added");
}

/* PyTorch's weight_norm divides its weights by their length in the file. */
Test(onnx, lengths_of_constants_are_folded) {
    struct sample sample;
    char *json = NULL, expected[64];
    double squares = 0, sum = 0;
    sample_make(&sample);
    for (int i = 0; i < 54; i++) {
        squares += (double)sample.numbers[i] * (double)sample.numbers[i];
        sum += fabs((double)sample.numbers[i]);
    }
    for (int k = 0; k < 2; k++) {
        sample_make(&sample);
        sample_node(&sample, k == 0 ? "ReduceL2" : "ReduceL1", "kernel", NULL, "length");
        sample.node_list[5] = sample.node_list[1];
        sample.node_list[1] = &sample.nodes[5];
        sample.nodes[1].op_type = (char *)(uintptr_t) "Mul";
        sample.nodes[1].n_input = 2;
        sample.names[1][1] = (char *)(uintptr_t) "length";
        for (int i = 5; i > 2; i--) {
            Onnx__NodeProto *node = sample.node_list[i];
            sample.node_list[i] = sample.node_list[i - 1];
            sample.node_list[i - 1] = node;
        }
        struct import_onnx_result result = sample_import(&sample);
        cr_assert_eq(cn_architecture_format(result.network, &json, NULL), CN_OK);
        snprintf(expected, sizeof expected, "\"scale\":%.5g", k == 0 ? sqrt(squares) : sum);
        cr_expect_not_null(strstr(json, expected), "%s in %s", expected, json);
        free(json);
        import_onnx_clear(&result);
    }
}

Test(onnx, vectors_of_length_1_by_another_norm_are_refused) {
    struct sample sample;
    sample_make(&sample);
    sample.nodes[4].op_type = (char *)(uintptr_t) "LpNormalization";
    onnx__attribute_proto__init(&sample.attributes[0]);
    sample.attributes[0].name = (char *)(uintptr_t) "p";
    sample.attributes[0].has_i = 1;
    sample.attributes[0].i = 1;
    sample.attribute_list[0] = &sample.attributes[0];
    sample.nodes[4].attribute = sample.attribute_list;
    sample.nodes[4].n_attribute = 1;
    expect_refusal(&sample, "its p is 1");
}

Test(onnx, cut_and_changed_files) {
    struct sample sample;
    size_t length;
    sample_make(&sample);
    unsigned char *bytes = sample_pack(&sample, &length);
    for (size_t cut = 0; cut < length; cut++) {
        struct import_onnx_result result = {0};
        struct cn_error error = {0};
        unsigned char *part = malloc(cut + 1); /* a block of exact size, so that sanitizers
                                                * detect a read past its end */
        memcpy(part, bytes, cut);
        const enum cn_status status = bytes_import(part, cut, &result, &error);
        cr_assert_eq(status == CN_OK, result.network != NULL);
        cr_assert(status == CN_OK || error.text[0] != '\0');
        import_onnx_clear(&result);
        free(part);
    }
    for (size_t i = 0; i < length; i++)
        for (int change = 1; change < 256; change *= 4) {
            struct import_onnx_result result = {0};
            struct cn_error error = {0};
            bytes[i] = (unsigned char)(bytes[i] ^ change);
            const enum cn_status status = bytes_import(bytes, length, &result, &error);
            cr_assert(status == CN_OK || error.text[0] != '\0');
            import_onnx_clear(&result);
            bytes[i] = (unsigned char)(bytes[i] ^ change);
        }
    free(bytes);
}

Test(onnx, lies_are_refused) {
    struct sample sample;
    sample_make(&sample);
    sample.names[0][0] = (char *)(uintptr_t) "d";
    expect_refusal(&sample, "depends on its own output");
    sample_make(&sample);
    sample.graph.n_initializer = 1;
    expect_refusal(&sample, "no node, input or initializer defines its input 'matrix'");
    sample_make(&sample);
    sample.tensor_dims[0][0] = (int64_t)1 << 31;
    expect_refusal(&sample, "'kernel' has a dimension of 2147483648");
    sample_make(&sample);
    sample.tensor_dims[0][1] = -2;
    expect_refusal(&sample, "'kernel' has a dimension of -2");
    sample_make(&sample);
    sample.tensors[1].raw_data.len -= 4;
    expect_refusal(&sample, "its shape needs 288");
    sample_make(&sample);
    sample.dims[2].dim_value = (int64_t)1 << 31;
    expect_refusal(&sample, "has a dimension of 2147483648");
    sample_make(&sample);
    sample.dims[2].dim_value = 1 << 30;
    sample.dims[3].dim_value = 1 << 30;
    expect_refusal(&sample, "too large");
    sample_make(&sample);
    sample.dims[2].has_dim_value = 0;
    expect_refusal(&sample, "--input-shape");
    sample_make(&sample);
    sample.nodes[3].output[0] = (char *)(uintptr_t) "b";
    expect_refusal(&sample, "two nodes give the value 'b'");
    sample_make(&sample);
    sample.opset.version = 99;
    expect_refusal(&sample, "opset 99");
}

Test(onnx, weights_in_other_folders_are_not_read) {
    static const char *const places[] = {"/etc/passwd", "../secret", "a/../../b", "a//b", ""};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct sample sample;
        Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
        Onnx__StringStringEntryProto *entries[1] = {&entry};
        sample_make(&sample);
        entry.key = (char *)(uintptr_t) "location";
        entry.value = (char *)(uintptr_t)places[i];
        sample.tensors[0].has_raw_data = 0;
        sample.tensors[0].has_data_location = 1;
        sample.tensors[0].data_location = 1;
        sample.tensors[0].n_external_data = 1;
        sample.tensors[0].external_data = entries;
        expect_refusal(&sample, "own folder");
    }
}

Test(onnx, all_obstacles_are_told_at_once) {
    struct sample sample;
    struct import_onnx_result result = {0};
    struct cn_error error = {0};
    size_t length;
    sample_make(&sample);
    sample.nodes[1].op_type = (char *)(uintptr_t) "LSTM";
    sample.nodes[1].name = (char *)(uintptr_t) "memory";
    sample.nodes[3].op_type = (char *)(uintptr_t) "Loop";
    sample.nodes[4].domain = (char *)(uintptr_t) "com.example";
    unsigned char *bytes = sample_pack(&sample, &length);
    cr_assert_eq(bytes_import(bytes, length, &result, &error), CN_UNSUPPORTED);
    cr_assert_eq(json_array_size(result.obstacles), 3u);
    cr_assert_str_eq(json_string_value(json_array_get(result.obstacles, 0)),
                     "LSTM 'memory': recurrent layers are not supported");
    cr_assert_not_null(
        strstr(json_string_value(json_array_get(result.obstacles, 2)), "com.example.Softmax"));
    import_onnx_clear(&result);
    free(bytes);
}
