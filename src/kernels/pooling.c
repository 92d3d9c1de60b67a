/* pooling.c: see pooling.h. No state. */
#include "kernels/pooling.h"

#include <string.h>

void cn_average_pooling_backward(float *dx, const float *dy, const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    memset(dx, 0, cn_pooling_offset(shape, shape->in_height, 0) * sizeof *dx);
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, dy += channels) {
            const struct cn_pooling_window w = cn_pooling_window_at(shape, i, j);
            const float count = (float)((w.bottom - w.top) * (w.right - w.left));
            for (int r = w.top; r < w.bottom; r++)
                for (int s = w.left; s < w.right; s++) {
                    float *out = dx + cn_pooling_offset(shape, r, s);
                    for (size_t c = 0; c < channels; c++)
                        out[c] += dy[c] / count;
                }
        }
}
