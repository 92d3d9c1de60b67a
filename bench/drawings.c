/* drawings.c: how many of the tests' own drawings a model reads, by what they are drawn on.
 * Nobody's data and none of it trained on.
 *
 *   make bench/drawings && bench/drawings ../models/digits.safetensors 3000
 */
#include <stdio.h>
#include <stdlib.h>

#include "convnet/model.h"
#include "convnet/plan.h"
#include "support/drawing.h"

static bool is_read(const struct cn_model *model, const struct cn_plan *plan,
                    struct cn_workspace *workspace, const struct drawing *drawing) {
    float image[28 * 28], outputs[10];
    int best = 0;
    if (cn_preprocess(&model->preprocessing, &drawing->picture, &model->network->input_shape, image,
                      NULL, NULL) != CN_OK)
        return false;
    cn_plan_run(plan, workspace, image, 1, outputs);
    for (int i = 1; i < 10; i++)
        best = outputs[i] > outputs[best] ? i : best;
    return best == drawing->label;
}

static bool reads_digits(const struct cn_model *model) {
    return cn_shape_size(&model->network->input_shape) == 28 * 28 && model->label_count == 10;
}

int main(int argc, char **argv) {
    const long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    struct cn_error error = {0};
    int seen[DRAWING_PAPERS] = {0}, right[DRAWING_PAPERS] = {0};
    if (count < 1) {
        (void)fprintf(stderr, "usage: %s MODEL COUNT\n", argv[0]);
        return 2;
    }
    if (cn_model_read(argv[1], &model, &error) != CN_OK || !reads_digits(model) ||
        cn_plan_create(model->network, &plan, &error) != CN_OK ||
        cn_workspace_create(plan, &workspace, &error) != CN_OK) {
        (void)fprintf(stderr, "%s: %s\n", argv[1],
                      error.text[0] != '\0' ? error.text : "takes no 28x28 digits");
        return 1;
    }
    for (long seed = 0; seed < count; seed++) {
        struct drawing drawing;
        drawing_make((uint64_t)seed, &drawing);
        seen[drawing.paper]++;
        right[drawing.paper] += is_read(model, plan, workspace, &drawing);
        drawing_clear(&drawing);
    }
    for (int paper = 0; paper < DRAWING_PAPERS; paper++)
        printf("%-12s %5d of %5d\n", drawing_paper_names[paper], right[paper], seen[paper]);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_model_free(model);
    return 0;
}
