/* plan.h: a network made ready for inference.
 *
 * A plan is an immutable, packed copy of a network: BatchNormalization is folded into the
 * convolution or dense layer before it, Dropout is removed, activations are fused, and weights are
 * laid out for the kernels of the processor's instruction set. All threads share it; a workspace,
 * one per thread, has what changes while it runs. An image's result depends only on the image and
 * the plan: images are computed one by one, whatever their batch. */
#ifndef CONVNET_PLAN_H
#define CONVNET_PLAN_H

#include "convnet/network.h"

CN_DECLARATIONS_BEGIN

struct cn_plan;
struct cn_workspace;

/* The plan does not depend on `network` afterwards. Caller frees with cn_plan_free. */
enum cn_status cn_plan_create(const struct cn_network *network, struct cn_plan **ret_plan,
                              struct cn_error *error);
void cn_plan_free(struct cn_plan *plan);

/* Floats of one image (all inputs of the network one after another), and of its first output. */
size_t cn_plan_input_size(const struct cn_plan *plan);
size_t cn_plan_output_size(const struct cn_plan *plan);

/* Floats of all outputs of one image, and the offset of an input within an image and of an output
 * within that row. */
size_t cn_plan_output_row(const struct cn_plan *plan);
size_t cn_plan_input_offset(const struct cn_plan *plan, size_t input);
size_t cn_plan_output_offset(const struct cn_plan *plan, size_t output);

/* Bytes of the packed weights, which all threads share, and of one workspace. Both are known before
 * any workspace is allocated. */
size_t cn_plan_weight_bytes(const struct cn_plan *plan);
size_t cn_plan_workspace_bytes(const struct cn_plan *plan);

/* One step of a plan: a layer with the layers that were folded and fused into it. */
struct cn_plan_step {
    const char *name, *class_name; /* the layer's; borrowed until cn_plan_free */
    const char *kernel;            /* what computes it */
    struct cn_shape output_shape;
    unsigned long long macs;
    size_t weight_bytes;
    size_t input_bytes;      /* of what it reads, per image */
    size_t activation_bytes; /* of its output, per image */
};

/* Describes step `index`; false past the last one. */
bool cn_plan_step_at(const struct cn_plan *plan, size_t index, struct cn_plan_step *ret_step);

/* Creates the activations and scratch of one thread for `plan`. Caller frees with
 * cn_workspace_free. */
enum cn_status cn_workspace_create(const struct cn_plan *plan, struct cn_workspace **ret_workspace,
                                   struct cn_error *error);
void cn_workspace_free(struct cn_workspace *workspace);

/* Creates one workspace per thread: the array that cn_plan_run_parallel takes. Caller frees with
 * cn_workspaces_free. */
enum cn_status cn_workspaces_create(const struct cn_plan *plan, int threads,
                                    struct cn_workspace ***ret_workspaces, struct cn_error *error);
void cn_workspaces_free(struct cn_workspace **workspaces, int threads);

/* Computes `count` images [count, input size] into `outputs` [count, output size], serially on the
 * calling thread. Does not allocate, cannot fail. Only the first of several outputs is stored. */
void cn_plan_run(const struct cn_plan *plan, struct cn_workspace *workspace, const float *images,
                 size_t count, float *outputs);

/* Called on the running thread after step `step` (see cn_plan_step_at), once per block of images,
 * or per band of rows where steps are computed in bands. */
typedef void cn_plan_observer(void *context, size_t step);

/* cn_plan_run with a call of `observer` (may be NULL) after each step, for measuring the steps. */
void cn_plan_run_observed(const struct cn_plan *plan, struct cn_workspace *workspace,
                          const float *images, size_t count, float *outputs,
                          cn_plan_observer *observer, void *context);

/* cn_plan_run with all inputs and outputs of the network: inputs[i] is [count, shape of input i],
 * outputs[k] [count, shape of output k]; outputs from the second on may be NULL. */
void cn_plan_run_ports(const struct cn_plan *plan, struct cn_workspace *workspace,
                       const float *const *inputs, size_t count, float *const *outputs);

/* The class that one output row [count] answers, which is the first of the largest, and the
 * network's confidence from 0 to 1: for a final softmax the calibrated probability, which is also
 * low for inputs of no class if the network was trained with outliers. Every route and command uses
 * it. */
size_t cn_plan_answer(const float *outputs, size_t count, float *ret_confidence);

/* The same bits with OpenMP over the images; `workspaces` has `threads` entries. Fewer than two
 * images per thread run serially, without a parallel region. */
void cn_plan_run_parallel(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                          int threads, const float *images, size_t count, float *outputs);

/* The same with all outputs of the network: `outputs` is [count, output row]. */
void cn_plan_run_rows(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                      int threads, const float *images, size_t count, float *outputs);

/* The instruction set of the kernels: "portable", "avx2" or "avx512". Chosen once, at the first
 * use, by the processor; CONVNET_ISA=portable|avx2|avx512 in the environment may select a lower
 * one. */
const char *cn_instruction_set(void);

/* The number of threads to use: min(processors in the affinity mask, floor(cgroup cpu.max)), at
 * least 1. */
int cn_default_threads(void);

CN_DECLARATIONS_END

#endif
