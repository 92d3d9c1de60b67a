/* vector_bytes.c: the one source of the kernels of bytes; see bytes.h. local.mk compiles it once
 * per instruction set, with the name of the set in INSTRUCTIONS and the constants of vector.inc,
 * and without contraction of a product and a sum, whose rounding would differ between sets. No
 * state.
 *
 * A step of the reduction is a word: four neighbouring inputs, and four weights of each channel. */
#include <math.h>

/* For processors without a special instruction set. */
#ifndef INSTRUCTIONS
#define INSTRUCTIONS portable
#define LANES        4
#define TILE_PIXELS  4
#endif

#include "kernels/bytes.h"
#include "kernels/pooling.h"
#include "kernels/vector.inc"

typedef mask ints;

/* ---- The instructions ---- */

#if defined __AVX512F__ && LANES == 16
INLINE vector to_floats(ints x) {
    return (vector)_mm512_cvtepi32_ps((__m512i)x);
}

INLINE ints larger_ints(ints a, ints b) {
    return (ints)_mm512_max_epi32((__m512i)a, (__m512i)b);
}

INLINE ints load_inputs(const uint8_t *x) {
    return (ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)x));
}

INLINE void store_bytes(uint8_t *y, ints value, int count) {
    const __m128i bytes = _mm512_cvtepi32_epi8((__m512i)value);
    if (count >= LANES)
        _mm_storeu_si128((__m128i_u *)y, bytes);
    else
        _mm_mask_storeu_epi8(y, (__mmask16)((1 << count) - 1), bytes);
}

#ifdef __AVX512VNNI__
INLINE ints add_dots(ints sum, ints x, ints w) {
    return (ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}

INLINE ints add_products(ints sum, ints x, ints w) {
    return add_dots(sum, x, w);
}
#else
INLINE ints add_dots(ints sum, ints x, ints w) {
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)x, (__m512i)w);
    return sum + (ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}

INLINE ints add_products(ints sum, ints x, ints w) {
    return sum + (ints)_mm512_madd_epi16((__m512i)x, (__m512i)w);
}
#endif
#elif defined __AVX2__ && LANES == 8
INLINE vector to_floats(ints x) {
    return (vector)_mm256_cvtepi32_ps((__m256i)x);
}

INLINE ints larger_ints(ints a, ints b) {
    return (ints)_mm256_max_epi32((__m256i)a, (__m256i)b);
}

INLINE ints load_inputs(const uint8_t *x) {
    return (ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)x));
}

INLINE void store_bytes(uint8_t *y, ints value, int count) {
    const __m256i low = _mm256_set1_epi32(0x0c080400);
    const __m256i picked = _mm256_shuffle_epi8((__m256i)value, low);
    const __m128i bytes =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(picked), _mm256_extracti128_si256(picked, 1));
    if (count >= LANES) {
        _mm_storel_epi64((__m128i_u *)y, bytes);
    } else {
        uint8_t all[16];
        _mm_storeu_si128((__m128i_u *)all, bytes);
        memcpy(y, all, (size_t)count);
    }
}

/* Two products of a byte and a weight fit in 16 bits: see CN_QUANTIZED_WEIGHT. */
INLINE ints add_dots(ints sum, ints x, ints w) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)w);
    return sum + (ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE ints add_products(ints sum, ints x, ints w) {
    return sum + (ints)_mm256_madd_epi16((__m256i)x, (__m256i)w);
}
#else
INLINE vector to_floats(ints x) {
    return __builtin_convertvector(x, vector);
}

INLINE ints larger_ints(ints a, ints b) {
    const ints first = (ints)(a > b);
    return (first & a) | (~first & b);
}

INLINE ints load_inputs(const uint8_t *x) {
    ints value = {0};
    for (int i = 0; i < LANES; i++)
        value[i] = x[i];
    return value;
}

INLINE void store_bytes(uint8_t *y, ints value, int count) {
    for (int i = 0; i < LANES && i < count; i++)
        y[i] = (uint8_t)value[i];
}

INLINE ints add_products(ints sum, ints x, ints w) {
    return sum + x * w;
}

INLINE ints add_dots(ints sum, ints x, ints w) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        const ints input = (x >> (24 - shift)) & 255;
        sum += input * ((ints)((mask)w << shift) >> 24);
    }
    return sum;
}
#endif

INLINE ints load_ints(const int32_t *p) {
    return *(const ints *)p;
}

/* Four inputs in each lane. */
INLINE ints splat_word(const uint8_t *x) {
    int32_t word;
    memcpy(&word, x, sizeof word);
    return (ints){0} + word;
}

/* ---- The definitions for vector_conv2d.inc and vector_depthwise.inc; see vector_floats.inc ----
 */

#define INPUT  uint8_t
#define OUTPUT uint8_t
#define WEIGHT int32_t
#define BIAS   int32_t
#define SUM    ints

#define WORD         4
#define UNIT(finish) ((finish).unit)
#define LARGER       larger_ints
#define START        load_ints
#define load_weights load_ints
/* The bytes after the last channel belong to other values; their results are not stored. */
#define load_inputs_part(x, count) load_inputs(x)
#define MULTIPLY_ADD(sum, x, step, weight)                                                         \
    ((sum) = add_dots(sum, splat_word((x) + 4 * (step)), weight))
#define MULTIPLY_ADD_LANES(sum, x, weight) ((sum) = add_products(sum, x, weight))
#define MERGES_ROWS                        false /* an addition of integers takes only one cycle */

struct finish {
    float least, most;
    int zero;
    bool floats;
    size_t scales; /* from the first value of a sum to its scale */
    size_t unit;   /* bytes of an output */
};

static struct finish finish_of(const struct cn_requantize *to,
                               const struct cn_bytes_layout *layout) {
    return (struct finish){.least = to->least,
                           .most = to->most,
                           .zero = to->zero,
                           .floats = to->floats,
                           .scales = layout != NULL ? layout->scales : 0,
                           .unit = to->floats ? sizeof(float) : 1};
}

/* Rounds to even by adding 1.5 * 2^23: the low bits then contain the integer. `value` is a byte's
 * value minus its zero. */
INLINE void store_rounded(uint8_t *y, vector value, int zero, int count) {
    const vector shift = splat(12582912);
    store_bytes(y, (ints)(value + shift) - (ints)shift + zero, count);
}

/* NaN becomes `least`. */
INLINE vector limit(vector value, float least, float most) {
    return least_of(larger(value, splat(least)), splat(most));
}

INLINE void store_lanes(uint8_t *y, ints sum, const int32_t *b, const struct finish *finish,
                        int left) {
    const vector value =
        limit(to_floats(sum) * load((const float *)(const void *)b + finish->scales), finish->least,
              finish->most);
    if (finish->floats)
        store_part((float *)(void *)y, value, left);
    else
        store_rounded(y, value, finish->zero, left);
}

INLINE void store_pixel(uint8_t *y, const ints *sums, const int32_t *b, const struct finish *finish,
                        int channels, bool merged, const int vectors) {
    (void)merged;
    UNROLLED
    for (int v = 0; v < vectors; v++)
        if (channels > v * LANES)
            store_lanes(y + (size_t)(v * LANES) * finish->unit, sums[v], b + v * LANES, finish,
                        channels - v * LANES);
}

#include "kernels/vector_depthwise.inc"

#include "kernels/vector_conv2d.inc"

/* ---- The kernels ---- */

static void bytes_conv2d(void *y, const uint8_t *x, const float *packed,
                         const struct cn_conv2d *shape, const struct cn_requantize *to) {
    const struct cn_bytes_layout layout = cn_bytes_layout_of(shape);
    const int32_t *w = (const int32_t *)(const void *)packed;
    (cn_conv2d_is_depthwise(shape) ? depthwise : convolve)(y, x, w, w + layout.bias, shape,
                                                           finish_of(to, &layout));
}

static void bytes_conv2d_max_pooled(void *y, const uint8_t *x, const float *packed,
                                    const struct cn_conv2d *shape, const struct cn_requantize *to,
                                    int height, int width) {
    const struct cn_bytes_layout layout = cn_bytes_layout_of(shape);
    const int32_t *w = (const int32_t *)(const void *)packed;
    convolve_max_pooled(y, x, w, w + layout.bias, shape, finish_of(to, &layout), height, width);
}

static void bytes_add(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t count,
                      const struct cn_byte_range ranges[2], struct cn_byte_range out) {
    const vector first = splat(ranges[0].scale / out.scale);
    const vector second = splat(ranges[1].scale / out.scale);
    const struct cn_requantize to = cn_requantize_to(out, false);
    for (size_t i = 0; i < count; i += LANES) {
        const vector value = to_floats(load_inputs(a + i) - ranges[0].zero) * first +
                             to_floats(load_inputs(b + i) - ranges[1].zero) * second;
        store_rounded(y + i, limit(value, to.least, to.most), to.zero,
                      count - i < LANES ? (int)(count - i) : LANES);
    }
}

static void bytes_max_pooling(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, y += channels) {
            const struct cn_pooling_window w = cn_pooling_window_at(shape, i, j);
            memcpy(y, x + cn_pooling_offset(shape, w.top, w.left), channels);
            for (int r = w.top; r < w.bottom; r++)
                for (int s = w.left; s < w.right; s++) {
                    const uint8_t *in = x + cn_pooling_offset(shape, r, s);
                    for (size_t c = 0; c < channels; c++)
                        y[c] = in[c] > y[c] ? in[c] : y[c];
                }
        }
}

/* The channels from x on of a window: LANES of them; the bytes after the last channel are not used.
 */
INLINE ints window_sum(const uint8_t *x, const struct cn_pooling *shape,
                       const struct cn_pooling_window *w) {
    ints sum = {0};
    for (int r = w->top; r < w->bottom; r++)
        for (int s = w->left; s < w->right; s++)
            sum += load_inputs(x + cn_pooling_offset(shape, r, s));
    return sum;
}

static void bytes_average_pooling(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape,
                                  struct cn_byte_range in, struct cn_byte_range out) {
    const struct cn_requantize to = cn_requantize_to(out, false);
    const float ratio = in.scale / out.scale;
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, y += shape->channels) {
            const struct cn_pooling_window w = cn_pooling_window_at(shape, i, j);
            const int pixels = (w.bottom - w.top) * (w.right - w.left);
            const vector unit = splat(ratio / (float)pixels);
            for (int c = 0; c < shape->channels; c += LANES) {
                const vector sum = to_floats(window_sum(x + c, shape, &w) - in.zero * pixels);
                store_rounded(y + c, limit(sum * unit, to.least, to.most), to.zero,
                              shape->channels - c < LANES ? shape->channels - c : LANES);
            }
        }
}

static void bytes_quantize(uint8_t *y, const float *x, size_t count, struct cn_byte_range out) {
    const struct cn_requantize to = cn_requantize_to(out, false);
    const vector unit = splat(1 / out.scale);
    for (size_t i = 0; i < count; i += LANES) {
        const int left = count - i < LANES ? (int)(count - i) : LANES;
        store_rounded(y + i, limit(load_part(x + i, left) * unit, to.least, to.most), to.zero,
                      left);
    }
}

static void bytes_dequantize(float *y, const uint8_t *x, size_t count, struct cn_byte_range in) {
    for (size_t i = 0; i < count; i += LANES)
        store_part(y + i, to_floats(load_inputs(x + i) - in.zero) * splat(in.scale),
                   count - i < LANES ? (int)(count - i) : LANES);
}

const struct cn_bytes_kernels TABLE_OF(cn_bytes_, INSTRUCTIONS) = {
    .name = NAME_OF(INSTRUCTIONS),
    .conv2d = bytes_conv2d,
    .conv2d_max_pooled = bytes_conv2d_max_pooled,
    .add = bytes_add,
    .max_pooling = bytes_max_pooling,
    .average_pooling = bytes_average_pooling,
    .quantize = bytes_quantize,
    .dequantize = bytes_dequantize};
