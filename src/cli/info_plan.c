/* info_plan.c: `convnet info --plan`: the steps that a model is computed in, with what each costs
 * and the time that a roofline predicts (Williams, Waterman and Patterson 2009): the larger of its
 * arithmetic at the core's peak and its bytes at the speed at which they can be read. `convnet
 * bench
 * --layers` measures the same steps. One thread. */
#include <stdio.h>

#include "cli/info.h"
#include "cli/peak_speed.h"
#include "convnet/plan.h"
#include "json/load.h"

static const double measure_seconds = 0.05; /* for each of the two peaks */

struct roofline {
    double gflops, gigabytes; /* per second, of one core */
};

/* Seconds for one image; *ret_by_memory: its bytes take longer than its arithmetic. */
static double predicted_seconds(const struct roofline *roof, const struct cn_plan_step *step,
                                bool *ret_by_memory) {
    const double arithmetic = 2e-9 * (double)step->macs / roof->gflops;
    const size_t bytes = step->weight_bytes + step->input_bytes + step->activation_bytes;
    const double memory = 1e-9 * (double)bytes / roof->gigabytes;
    *ret_by_memory = memory > arithmetic;
    return memory > arithmetic ? memory : arithmetic;
}

static json_t *step_json(const struct cn_plan_step *step, double seconds, bool by_memory) {
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:s}", "name", step->name,
                     "type", step->class_name, "kernel", step->kernel, "output_shape",
                     cn_json_ints(step->output_shape.dims, step->output_shape.rank), "flops",
                     (json_int_t)(2 * step->macs), "weight_bytes", (json_int_t)step->weight_bytes,
                     "input_bytes", (json_int_t)step->input_bytes, "activation_bytes",
                     (json_int_t)step->activation_bytes, "microseconds", seconds * 1e6, "bound",
                     by_memory ? "memory" : "arithmetic");
}

static void print_step(const struct cn_plan_step *step, double seconds, double total,
                       bool by_memory) {
    char shape[CN_SHAPE_TEXT];
    printf("%-28.28s %-20.20s %-16.16s %-16s %9.2f %5.1f %% %9.3f %9.1f %9.1f  %s\n", step->name,
           step->class_name, step->kernel, cn_shape_format(&step->output_shape, shape),
           seconds * 1e6, 100 * seconds / total, 2e-6 * (double)step->macs,
           (double)step->weight_bytes / 1024,
           (double)(step->input_bytes + step->activation_bytes) / 1024,
           by_memory ? "memory" : "arithmetic");
}

static bool print_plan(const struct cn_plan *plan, const struct roofline *roof, bool json) {
    struct cn_plan_step step;
    double total = 0;
    bool by_memory;
    json_t *rows = json_array();
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++)
        total += predicted_seconds(roof, &step, &by_memory);
    if (!json) {
        printf("One core's peak %.1f Gflop/s and %.1f GB/s (%s); predicted %.1f us per image\n",
               roof->gflops, roof->gigabytes, cn_instruction_set(), total * 1e6);
        printf("Memory: weights %.1f KiB for all workers, %.1f KiB for each worker\n\n",
               (double)cn_plan_weight_bytes(plan) / 1024,
               (double)cn_plan_workspace_bytes(plan) / 1024);
        puts("step                         type                 kernel           output shape"
             "            us   share     Mflop   weights  in + out  bound by");
        puts("                                                                              "
             "                                       KiB       KiB");
    }
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++) {
        const double seconds = predicted_seconds(roof, &step, &by_memory);
        if (json)
            (void)json_array_append_new(rows, step_json(&step, seconds, by_memory));
        else
            print_step(&step, seconds, total, by_memory);
    }
    if (json)
        return cli_put_json_value(
            json_pack("{s:s, s:f, s:f, s:f, s:I, s:I, s:o}", "instruction_set",
                      cn_instruction_set(), "peak_gflops", roof->gflops, "gigabytes_per_second",
                      roof->gigabytes, "predicted_microseconds", total * 1e6, "weight_bytes",
                      (json_int_t)cn_plan_weight_bytes(plan), "worker_bytes",
                      (json_int_t)cn_plan_workspace_bytes(plan), "steps", rows));
    json_decref(rows);
    return cli_stdout_good();
}

enum cn_status cli_info_plan(const struct cn_model *model, bool json, bool *ret_good,
                             struct cn_error *error) {
    struct cn_plan *plan = NULL;
    enum cn_status status = cn_plan_create(model->network, &plan, error);
    if (status != CN_OK)
        return status;
    const struct roofline roof = {
        peak_gflops(measure_seconds),
        peak_gigabytes(cn_plan_weight_bytes(plan) + cn_plan_workspace_bytes(plan),
                       measure_seconds)};
    if (roof.gigabytes == 0)
        status = cn_fail(error, CN_MEMORY, "no memory to measure with");
    else
        *ret_good = print_plan(plan, &roof, json);
    cn_plan_free(plan);
    return status;
}
