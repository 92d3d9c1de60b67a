/* bytes.c: see bytes.h: chooses the instruction set, once, and packs the weights. Thread-safe: two
 * threads that choose at the same time make the same choice. */
#include "kernels/bytes.h"

#include <math.h>
#include <string.h>

#include "base/atomics.h"
#include "kernels/kernels.h"

/* ---- The tables ---- */

/* THE list of tables, best first. */
static const struct {
    const struct cn_bytes_kernels *kernels;
    const char *set; /* of struct cn_kernels */
} tables[] = {
#if defined(__x86_64__)
    {&cn_bytes_vnni, "avx512"},
    {&cn_bytes_avx512, "avx512"},
    {&cn_bytes_avx2, "avx2"},
#endif
    {&cn_bytes_portable, "portable"},
};
enum { TABLES = sizeof tables / sizeof *tables };

const struct cn_bytes_kernels *cn_bytes_kernels_at(size_t index) {
    for (size_t i = 0; i < TABLES; i++)
        if (cn_has_instructions(tables[i].kernels->name) && index-- == 0)
            return tables[i].kernels;
    return NULL;
}

const struct cn_bytes_kernels *cn_bytes_kernels(void) {
    static _Atomic(const struct cn_bytes_kernels *) chosen;
    const struct cn_bytes_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    for (size_t i = 0; i < TABLES && kernels == NULL; i++)
        if (strcmp(tables[i].set, cn_kernels()->name) == 0 &&
            cn_has_instructions(tables[i].kernels->name))
            kernels = tables[i].kernels;
    atomic_store_explicit(&chosen, kernels, memory_order_release);
    return kernels;
}

struct cn_requantize cn_requantize_to(struct cn_byte_range out, bool relu) {
    if (out.scale == 0)
        return (struct cn_requantize){
            .least = relu ? 0 : -INFINITY, .most = INFINITY, .floats = true};
    return (struct cn_requantize){
        .least = relu ? 0 : (float)-out.zero, .most = (float)(255 - out.zero), .zero = out.zero};
}

/* ---- The weights ---- */

struct cn_bytes_layout cn_bytes_layout_of(const struct cn_conv2d *s) {
    const size_t groups = s->groups > 1 ? (size_t)s->groups : 1;
    const bool depthwise = cn_conv2d_is_depthwise(s);
    const bool gaps = groups > 1 || s->column_dilation > 1;
    const size_t channels = (size_t)s->in_channels / groups;
    const size_t row = gaps ? channels : (size_t)s->kernel_width * channels;
    struct cn_bytes_layout layout = {.groups = depthwise ? 1 : groups};
    layout.out = (size_t)s->out_channels / layout.groups;
    layout.padded = (size_t)cn_padded((int)layout.out);
    layout.run = depthwise ? 1 : row;
    layout.runs = (size_t)s->kernel_height * (gaps ? (size_t)s->kernel_width : 1);
    layout.words = depthwise ? 1 : (row + 3) / 4;
    layout.bias = layout.groups * layout.padded * layout.runs * layout.words;
    layout.scales = layout.groups * layout.padded;
    return layout;
}

size_t cn_bytes_packed_size(const struct cn_conv2d *shape) {
    const struct cn_bytes_layout layout = cn_bytes_layout_of(shape);
    return layout.bias + 2 * layout.scales;
}

/* Packs the weights of one output channel, every CN_LANES words of `to`; returns their sum. */
static long long pack_channel(char *to, const float *kernel, size_t stride, float scale,
                              const struct cn_bytes_layout *layout, bool depthwise) {
    long long sum = 0;
    for (size_t run = 0; run < layout->runs; run++)
        for (size_t i = 0; i < layout->run; i++, kernel += stride) {
            const int q = scale > 0 ? (int)lrintf(*kernel / scale) : 0;
            const int weight = q > CN_QUANTIZED_WEIGHT    ? CN_QUANTIZED_WEIGHT
                               : q < -CN_QUANTIZED_WEIGHT ? -CN_QUANTIZED_WEIGHT
                                                          : q;
            char *word = to + (run * layout->words + i / 4) * CN_LANES * sizeof(float);
            if (depthwise)
                memcpy(word, &(int32_t){weight}, sizeof(int32_t));
            else
                word[i % 4] = (char)(signed char)weight;
            sum += weight;
        }
    return sum;
}

void cn_bytes_pack(float *packed, const float *kernel, const float *bias, const float *scales,
                   const struct cn_conv2d *shape, struct cn_byte_range in,
                   struct cn_byte_range out) {
    const struct cn_bytes_layout layout = cn_bytes_layout_of(shape);
    const size_t channels = (size_t)shape->out_channels;
    const size_t panel = layout.runs * layout.words * CN_LANES;
    memset(packed, 0, cn_bytes_packed_size(shape) * sizeof *packed);
    for (size_t c = 0; c < channels; c++) {
        const size_t at = c / layout.out * layout.padded + c % layout.out;
        char *to = (char *)(packed + at / CN_LANES * panel + at % CN_LANES);
        const float unit = in.scale * scales[c];
        const long long sum = pack_channel(to, kernel + c, channels, scales[c], &layout,
                                           cn_conv2d_is_depthwise(shape));
        const double start = (bias != NULL && unit > 0 ? rint((double)bias[c] / (double)unit) : 0) -
                             (double)(in.zero * sum);
        const double most = 1 << 30;
        const int32_t first = (int32_t)(start > most ? most : start < -most ? -most : start);
        memcpy(packed + layout.bias + at, &first, sizeof first);
        packed[layout.bias + layout.scales + at] = out.scale > 0 ? unit / out.scale : unit;
    }
}

void cn_bytes_scale(float *packed, const struct cn_conv2d *shape, const float *factors) {
    const struct cn_bytes_layout layout = cn_bytes_layout_of(shape);
    for (size_t c = 0; c < (size_t)shape->out_channels; c++)
        packed[layout.bias + layout.scales + c / layout.out * layout.padded + c % layout.out] *=
            factors[c];
}
