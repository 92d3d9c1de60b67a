/* teacher.c: targets from a trained network. The teacher gets the same changed images as the pupil.
 * Each target depends on its image only, and so not on the number of threads. */
#include <stdlib.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "network/loss.h"
#include "train/teacher.h"

struct cn_teacher {
    float share;
    struct cn_plan *plan;
    int threads; /* as many workspaces */
    struct cn_workspace **workspaces;
    float *targets; /* [max_batch_size, output size] */
    float *own;     /* [output size]: the target of a label */
};

static enum cn_status make_plan(struct cn_teacher *teacher, const struct cn_model *model,
                                struct cn_error *error) {
    struct cn_network *network = NULL;
    enum cn_status status = cn_network_copy(model->network, &network, error);
    if (status == CN_OK) {
        network->temperature = 1; /* calibrated answers would say less about the other classes */
        status = cn_plan_create(network, &teacher->plan, error);
    }
    cn_network_free(network);
    return status;
}

enum cn_status cn_teacher_create(const struct cn_model *model, float share, size_t max_batch_size,
                                 int threads, struct cn_teacher **ret_teacher,
                                 struct cn_error *error) {
    const size_t classes = cn_shape_size(&model->network->output_shape);
    struct cn_teacher *teacher = calloc(1, sizeof *teacher);
    if (teacher == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a teacher");
    teacher->share = share;
    teacher->threads = threads;
    teacher->targets = cn_floats_allocate(max_batch_size * classes);
    teacher->own = cn_floats_allocate(classes);
    enum cn_status status = make_plan(teacher, model, error);
    if (status == CN_OK && (teacher->targets == NULL || teacher->own == NULL))
        status = cn_fail(error, CN_MEMORY, "no memory for a teacher's answers");
    if (status == CN_OK)
        status = cn_workspaces_create(teacher->plan, threads, &teacher->workspaces, error);
    if (status != CN_OK) {
        cn_teacher_free(teacher);
        return status;
    }
    *ret_teacher = teacher;
    return CN_OK;
}

const float *cn_teacher_targets(struct cn_teacher *teacher, const float *images,
                                const uint16_t *labels, size_t first, size_t end,
                                float label_smoothing) {
    const size_t classes = cn_plan_output_size(teacher->plan);
    cn_plan_run_parallel(teacher->plan, teacher->workspaces, teacher->threads,
                         images + first * cn_plan_input_size(teacher->plan), end - first,
                         teacher->targets + first * classes);
    for (size_t i = first; i < end; i++) {
        const float share = labels[i] == CN_LABEL_NONE ? 0 : teacher->share;
        float *target = teacher->targets + i * classes;
        cn_loss_target(teacher->own, CN_LOSS_CATEGORICAL_CROSSENTROPY, classes, labels[i],
                       label_smoothing);
        for (size_t c = 0; c < classes; c++)
            target[c] = share * target[c] + (1 - share) * teacher->own[c];
    }
    return teacher->targets;
}

void cn_teacher_free(struct cn_teacher *teacher) {
    if (teacher == NULL)
        return;
    cn_workspaces_free(teacher->workspaces, teacher->threads);
    cn_plan_free(teacher->plan);
    free(teacher->targets);
    free(teacher->own);
    free(teacher);
}
