/* teacher.h: another network's answers as targets (knowledge distillation: Hinton, Vinyals and Dean
 * 2015). */
#ifndef CONVNET_TRAIN_TEACHER_H
#define CONVNET_TRAIN_TEACHER_H

#include "convnet/model.h"

struct cn_teacher;

/* Makes a packed copy of the model's network at temperature 1, for mini-batches of at most
 * `max_batch_size` on `threads` OpenMP threads. Caller frees with cn_teacher_free. */
enum cn_status cn_teacher_create(const struct cn_model *model, float share, size_t max_batch_size,
                                 int threads, struct cn_teacher **ret_teacher,
                                 struct cn_error *error);

/* The targets of a mini-batch, [samples, output size], in which the samples [first, end) are
 * computed: `share` of the teacher's answer to images[sample, input_shape], and the rest of the
 * label's own target; samples of no class keep theirs. Borrowed until the next call. Does not
 * allocate. */
const float *cn_teacher_targets(struct cn_teacher *teacher, const float *images,
                                const uint16_t *labels, size_t first, size_t end,
                                float label_smoothing);

void cn_teacher_free(struct cn_teacher *teacher);

#endif
