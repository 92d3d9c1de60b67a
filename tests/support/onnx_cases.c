/* onnx_cases.c: runs cases of ONNX's own conformance suite: folders with model.onnx and
 * test_data_set_N/ with input_N.pb and output_N.pb.
 *
 *   onnx_cases [-v] [-l] CASE...
 *
 * Inputs of a case that an importer needs as constants (weights, shapes, axes) are put into the
 * model as initializers, except for the first input; if all inputs can be computed, they are.
 * Prints a line for each case that fails (-v: for each case) and the counts, with -l also the
 * number of passed cases with each type of layer. Exits with 1 if a case was imported and gave
 * wrong numbers. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convnet/plan.h"
#include "import/onnx.h"
#include "import/onnx_private.h"

enum { PORTS = 64, TYPES = 128 };

struct counts {
    int passed, wrong, refused, unread;
    int by_type[TYPES]; /* passed cases that contain a layer of the type */
};

static bool verbose;

static unsigned char *case_file(const char *folder, const char *name, size_t *ret_length) {
    char path[1024];
    struct stat about;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int file = open(path, O_RDONLY);
    if (file < 0)
        return NULL;
    unsigned char *bytes = fstat(file, &about) == 0 ? malloc((size_t)about.st_size + 1) : NULL;
    if (bytes != NULL && read(file, bytes, (size_t)about.st_size) != about.st_size) {
        free(bytes);
        bytes = NULL;
    }
    *ret_length = bytes != NULL ? (size_t)about.st_size : 0;
    close(file);
    return bytes;
}

static Onnx__TensorProto *case_tensor(const char *folder, const char *kind, size_t i) {
    char name[64];
    size_t length;
    snprintf(name, sizeof name, "%s_%zu.pb", kind, i);
    unsigned char *bytes = case_file(folder, name, &length);
    Onnx__TensorProto *tensor =
        bytes != NULL ? onnx__tensor_proto__unpack(NULL, length, bytes) : NULL;
    free(bytes);
    return tensor;
}

/* The axes and dims of a port of the network. */
struct port {
    int rank, axis_count, axes[ONNX_RANK];
    int64_t dims[ONNX_RANK];
    bool batched;
};

static struct port port_read(const json_t *json) {
    struct port port = {0};
    const json_t *shape = json_object_get(json, "shape"), *axes = json_object_get(json, "axes");
    port.rank = (int)json_array_size(shape);
    port.axis_count = (int)json_array_size(axes);
    for (int i = 0; i < port.rank; i++)
        port.dims[i] = json_integer_value(json_array_get(shape, (size_t)i));
    port.batched = json_is_true(json_object_get(json, "batched"));
    if (port.batched)
        port.dims[0] = 1;
    for (int i = 0; i < port.axis_count; i++)
        port.axes[i] = (int)json_integer_value(json_array_get(axes, (size_t)i));
    return port;
}

/* Copies one sample between the source's order of numbers and the network's. */
static void port_convert(const struct port *port, const float *from, float *to, bool to_network) {
    size_t strides[ONNX_RANK], stride = 1, count = 1, digits[ONNX_RANK] = {0}, at = 0;
    for (int i = port->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= (size_t)port->dims[i];
    }
    count = stride;
    for (size_t i = 0; i < count; i++) {
        if (to_network)
            to[i] = from[at];
        else
            to[at] = from[i];
        for (int k = port->axis_count - 1; k >= 0; k--) {
            const int axis = port->axes[k];
            at += strides[axis];
            if (++digits[k] < (size_t)port->dims[axis])
                break;
            at -= digits[k] * strides[axis];
            digits[k] = 0;
        }
    }
}

static bool numbers_agree(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-4 + 1e-3 * fabs(b);
}

/* Compares the network with the outputs of the case. text: the difference. */
static bool case_compare(const struct import_onnx_result *result, struct onnx_import *reader,
                         Onnx__TensorProto *const *inputs, const int *used, const char *folder,
                         char text[256]) {
    const struct cn_network *network = result->network;
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    struct cn_error error = {0};
    float *ins[PORTS] = {NULL}, *outs[PORTS] = {NULL};
    Onnx__TensorProto *protos[PORTS] = {NULL};
    size_t samples = 1;
    bool good = false;
    if (cn_plan_create(network, &plan, &error) != CN_OK ||
        cn_workspace_create(plan, &workspace, &error) != CN_OK) {
        snprintf(text, 256, "plan: %.200s", error.text);
        goto out;
    }
    for (size_t i = 0; i < network->input_count; i++) {
        const struct onnx_tensor *tensor = onnx_tensor_read(reader, inputs[used[i]]);
        const struct port port =
            port_read(json_array_get(json_object_get(result->tensors, "inputs"), i));
        const size_t size = cn_shape_size(&network->inputs[i].shape);
        if (tensor == NULL || tensor->count % size != 0) {
            snprintf(text, 256, "input %zu does not fit", i);
            goto out;
        }
        samples = tensor->count / size;
        ins[i] = malloc(tensor->count * sizeof(float));
        float *numbers = malloc(tensor->count * sizeof(float));
        for (size_t k = 0; k < tensor->count; k++)
            numbers[k] = (float)onnx_number(tensor, k);
        for (size_t s = 0; s < samples; s++)
            port_convert(&port, numbers + s * size, ins[i] + s * size, true);
        free(numbers);
    }
    for (size_t i = 0; i < network->output_count; i++)
        outs[i] = malloc(samples * cn_shape_size(&network->outputs[i].shape) * sizeof(float));
    cn_plan_run_ports(plan, workspace, (const float *const *)ins, samples, outs);
    for (size_t i = 0; i < network->output_count; i++) {
        /* The tensor's numbers may point into the message, so it is kept until the end. */
        protos[i] = case_tensor(folder, "output", i);
        const struct onnx_tensor *expected =
            protos[i] != NULL ? onnx_tensor_read(reader, protos[i]) : NULL;
        const struct port port =
            port_read(json_array_get(json_object_get(result->tensors, "outputs"), i));
        const size_t size = cn_shape_size(&network->outputs[i].shape);
        if (expected == NULL || expected->count != samples * size) {
            snprintf(text, 256, "output %zu has %zu numbers instead of %zu", i, samples * size,
                     expected != NULL ? expected->count : 0);
            goto out;
        }
        float *numbers = malloc(samples * size * sizeof *numbers);
        for (size_t s = 0; s < samples; s++)
            port_convert(&port, outs[i] + s * size, numbers + s * size, false);
        for (size_t k = 0; k < expected->count; k++)
            if (!numbers_agree((double)numbers[k], onnx_number(expected, k))) {
                snprintf(text, 256, "output %zu[%zu] is %g instead of %g", i, k, (double)numbers[k],
                         onnx_number(expected, k));
                free(numbers);
                goto out;
            }
        free(numbers);
    }
    good = true;
out:
    for (size_t i = 0; i < PORTS; i++) {
        free(ins[i]);
        free(outs[i]);
        if (protos[i] != NULL)
            onnx__tensor_proto__free_unpacked(protos[i], NULL);
    }
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    return good;
}

/* True if an axis other than the batch has size 0. */
static bool input_is_free(const Onnx__ValueInfoProto *info) {
    const Onnx__TensorTypeProto *type = info->type != NULL ? info->type->tensor_type : NULL;
    for (size_t i = 1; type != NULL && type->shape != NULL && i < type->shape->n_dim; i++)
        if (!type->shape->dim[i]->has_dim_value || type->shape->dim[i]->dim_value < 1)
            return true;
    return false;
}

/* Imports the case; the inputs in `dynamic` (bits) stay inputs, the others become constants. */
static enum cn_status case_import(const char *folder, unsigned char *bytes, size_t length,
                                  Onnx__TensorProto **inputs, size_t input_count,
                                  unsigned long dynamic, struct import_onnx_result *ret,
                                  struct cn_error *error) {
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, length, bytes);
    if (model == NULL || model->graph == NULL) {
        onnx__model_proto__free_unpacked(model, NULL);
        return cn_fail(error, CN_MALFORMED, "cannot be read");
    }
    Onnx__GraphProto *graph = model->graph;
    Onnx__TensorProto **own = graph->initializer;
    const size_t own_count = graph->n_initializer;
    Onnx__TensorProto **all = malloc((own_count + input_count) * sizeof *all);
    char shapes[PORTS][256];
    const char *shape_list[PORTS];
    size_t count = own_count, shape_count = 0;
    for (size_t i = 0; i < own_count; i++)
        all[i] = own[i];
    for (size_t i = 0; i < input_count; i++)
        if ((dynamic >> i & 1) == 0) {
            inputs[i]->name = graph->input[i]->name;
            all[count++] = inputs[i];
        }
    graph->initializer = all;
    graph->n_initializer = count;
    const size_t size = onnx__model_proto__get_packed_size(model);
    unsigned char *packed = malloc(size);
    onnx__model_proto__pack(model, packed);
    graph->initializer = own;
    graph->n_initializer = own_count;
    free(all);
    for (size_t i = 0; i < input_count && i < graph->n_input; i++)
        if (input_is_free(graph->input[i])) {
            char *text = shapes[shape_count];
            size_t used = (size_t)snprintf(text, sizeof *shapes, "%.100s=", graph->input[i]->name);
            for (size_t k = 1; k < inputs[i]->n_dims && used < sizeof *shapes; k++)
                used += (size_t)snprintf(text + used, sizeof *shapes - used, "%s%lld",
                                         k > 1 ? "," : "", (long long)inputs[i]->dims[k]);
            shape_list[shape_count] = shapes[shape_count];
            shape_count++;
        }
    for (size_t i = 0; i < input_count; i++)
        inputs[i]->name = NULL;
    onnx__model_proto__free_unpacked(model, NULL);
    const int at = open(folder, O_RDONLY | O_DIRECTORY);
    const struct import_onnx_options options = {.name = folder,
                                                .bytes = packed,
                                                .length = size,
                                                .folder = at,
                                                .input_shapes = shape_list,
                                                .input_shape_count = shape_count};
    const enum cn_status status = import_onnx(&options, ret, error);
    close(at);
    free(packed);
    return status;
}

static void count_types(const struct cn_network *network, struct counts *counts) {
    const struct cn_layer_type *type;
    for (size_t i = 0; i < TYPES && (type = cn_layer_type_at(i)) != NULL; i++)
        for (size_t l = 0; l < network->layer_count; l++)
            if (network->layers[l].type == type) {
                counts->by_type[i]++;
                break;
            }
}

static void case_run(const char *folder, struct counts *counts) {
    char data[1024], text[256] = "";
    size_t length, input_count = 0;
    Onnx__TensorProto *inputs[PORTS] = {NULL};
    unsigned char *bytes = case_file(folder, "model.onnx", &length);
    struct onnx_import reader = {.path = folder, .folder = -1, .memory_limit = (size_t)1 << 30};
    snprintf(data, sizeof data, "%s/test_data_set_0", folder);
    while (bytes != NULL && input_count < 32 &&
           (inputs[input_count] = case_tensor(data, "input", input_count)) != NULL) {
        free(inputs[input_count]->name);
        inputs[input_count++]->name = NULL;
    }
    if (bytes == NULL || input_count == 0 || strstr(folder, "BFLOAT16") != NULL) {
        /* The suite's files store bfloat16 as uint16. */
        counts->unread++;
        if (verbose)
            printf("UNREAD %s\n", folder);
        for (size_t i = 0; i < input_count; i++)
            onnx__tensor_proto__free_unpacked(inputs[i], NULL);
        free(bytes);
        return;
    }
    const unsigned long tries[2] = {(1UL << input_count) - 1, 1};
    bool imported = false;
    char reasons[2][CN_ERROR_TEXT] = {"", ""};
    for (int t = 0; t < 2 && !imported; t++) {
        struct import_onnx_result result = {0};
        struct cn_error error = {0};
        int used[PORTS];
        size_t n = 0;
        for (size_t i = 0; i < input_count; i++)
            if ((tries[t] >> i & 1) != 0)
                used[n++] = (int)i;
        imported = case_import(folder, bytes, length, inputs, input_count, tries[t], &result,
                               &error) == CN_OK;
        if (imported) {
            if (case_compare(&result, &reader, inputs, used, data, text)) {
                counts->passed++;
                count_types(result.network, counts);
                if (verbose)
                    printf("PASSED %s\n", folder);
            } else {
                counts->wrong++;
                printf("WRONG %s: %s\n", folder, text);
            }
        }
        snprintf(reasons[t], sizeof reasons[t], "%s", error.text);
        import_onnx_clear(&result);
    }
    if (!imported) {
        counts->refused++;
        printf("REFUSED %s: %s\n", folder, reasons[1]);
    }
    onnx_free_memory(&reader);
    for (size_t i = 0; i < input_count; i++)
        onnx__tensor_proto__free_unpacked(inputs[i], NULL);
    free(bytes);
}

int main(int count, char **arguments) {
    struct counts counts = {0};
    bool by_type = false;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "-v") == 0)
            verbose = true;
        else if (strcmp(arguments[i], "-l") == 0)
            by_type = true;
        else
            case_run(arguments[i], &counts);
    }
    for (size_t i = 0; by_type && i < TYPES && cn_layer_type_at(i) != NULL; i++)
        printf("LAYER %s %d\n", cn_layer_type_name(cn_layer_type_at(i)), counts.by_type[i]);
    printf("%d passed, %d wrong, %d refused, %d unread\n", counts.passed, counts.wrong,
           counts.refused, counts.unread);
    return counts.wrong > 0;
}
