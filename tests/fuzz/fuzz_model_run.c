/* fuzz_model_run.c: any bytes as a model file, as in fuzz_model; an accepted model must compute the
 * same bits for two images alone and together. The files have no checksum, since almost no mutation
 * would pass with one. */
#include "base/memory.h"
#include "convnet/plan.h"
#include "fuzz/fuzz.h"

enum { MOST_FLOATS = 1 << 16 };

static void run_plan(const struct cn_plan *plan) {
    const size_t in = cn_plan_input_size(plan), out = cn_plan_output_size(plan);
    struct cn_workspace *workspace = NULL;
    float *images = cn_floats_allocate(2 * in), *outputs = cn_floats_allocate(4 * out);
    if (images != NULL && outputs != NULL && cn_workspace_create(plan, &workspace, NULL) == CN_OK) {
        for (size_t i = 0; i < 2 * in; i++)
            images[i] = (float)(i * 37 % 256) / 255;
        cn_plan_run(plan, workspace, images, 2, outputs);
        cn_plan_run(plan, workspace, images, 1, outputs + 2 * out);
        cn_plan_run(plan, workspace, images + in, 1, outputs + 3 * out);
        if (memcmp(outputs, outputs + 2 * out, 2 * out * sizeof *outputs) != 0)
            abort();
    }
    cn_workspace_free(workspace);
    free(images);
    free(outputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    const enum cn_status status = cn_model_parse(bytes, length, "input", &model, &error);
    fuzz_check(status, &error, model != NULL);
    if (status == CN_OK && cn_model_check_input(model, NULL) == CN_OK &&
        cn_plan_create(model->network, &plan, NULL) == CN_OK &&
        cn_plan_input_size(plan) <= MOST_FLOATS && cn_plan_output_size(plan) <= MOST_FLOATS)
        run_plan(plan);
    cn_plan_free(plan);
    cn_model_free(model);
    return 0;
}
