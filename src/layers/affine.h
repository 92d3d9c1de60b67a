/* affine.h: shared by Conv2D and Dense: both are convolutions with bias and activation; Dense's has
 * one pixel and a 1x1 window. A type gives its geometry as `affine` and uses the functions here. */
#ifndef CONVNET_LAYERS_AFFINE_H
#define CONVNET_LAYERS_AFFINE_H

#include "layers/layer_type.h"

/* x[height, width, in_channels] with its zero border, in `scratch`; x itself if it has none. */
const float *cn_affine_pad(const struct cn_affine *affine, const float *x, float *scratch);

/* The training part of every type with an `affine`. */
extern const struct cn_layer_training cn_affine_training;

/* Inference on bytes: of Dense; and of convolutions, which take 2 x 2 maxima too. */
extern const struct cn_layer_inference cn_affine_bytes, cn_convolution_bytes;

/* Members of struct cn_layer_type and struct cn_layer_inference; see there. */
unsigned long long cn_affine_macs(const struct cn_layer *layer);
void cn_affine_prepare(struct cn_step *step);
void cn_affine_infer(const struct cn_step *step, const float *const *inputs, size_t count, float *y,
                     float *scratch);
void cn_affine_infer_part(const struct cn_step *step, const float *const *inputs, size_t count,
                          float *y, float *scratch, size_t part, size_t parts);
void cn_affine_infer_end(const struct cn_step *step, size_t count, float *y, size_t parts);
void cn_affine_infer_rows(const struct cn_step *step, const float *x, int x_first, float *y,
                          struct cn_rows out, float *scratch);
struct cn_rows cn_affine_rows_under(const struct cn_step *step, struct cn_rows out);
const char *cn_affine_kernel(const struct cn_step *step);
size_t cn_affine_packed_size(const struct cn_layer *layer);
void cn_affine_pack(const struct cn_layer *layer, const float *parameters, float *packed);
size_t cn_affine_scratch_size(const struct cn_step *step);
void cn_affine_fold(const struct cn_layer *layer, float *packed, const float *scale,
                    const float *shift);

bool cn_affine_absorb_maxima(struct cn_step *step, const struct cn_pooling *pooling);

#endif
