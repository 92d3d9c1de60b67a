/* peak_speed.c: measures one core's peaks: of arithmetic with a loop of independent multiply-adds,
 * of reading with sums over a block.
 *
 * One body is compiled for each vector width; twelve chains hide the latency of four to five cycles
 * on two units. Measures the calling thread's core. */
#include "cli/peak_speed.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "convnet/plan.h"

enum { CHAINS = 12 };

/* Each chain converges to y / (1 - x), so there is no infinity and no subnormal. The sum prevents
 * the loop from being removed. */
#define STEP(n) c##n = c##n * x + y;
#define EACH_CHAIN(do)                                                                             \
    do                                                                                             \
    (0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)
#define DECLARE(n) vector c##n = x + (float)(n);
#define SUM(n)     sum += c##n;

#define PEAK_LOOP(NAME, BYTES, TARGET)                                                             \
    TARGET static float NAME(uint64_t count, float factor, float term) {                           \
        typedef float vector __attribute__((vector_size(BYTES)));                                  \
        vector x = (vector){0} + factor, y = (vector){0} + term, sum = {0};                        \
        EACH_CHAIN(DECLARE)                                                                        \
        for (uint64_t i = 0; i < count; i++) {                                                     \
            EACH_CHAIN(STEP)                                                                       \
        }                                                                                          \
        EACH_CHAIN(SUM)                                                                            \
        return sum[0];                                                                             \
    }

PEAK_LOOP(peak_portable, 16, )
#if defined __x86_64__
PEAK_LOOP(peak_avx2, 32, __attribute__((target("avx2,fma"))))
PEAK_LOOP(peak_avx512, 64, __attribute__((target("avx512f,fma"))))
#endif

struct peak_loop {
    const char *instruction_set;
    size_t lanes;
    float (*run)(uint64_t count, float factor, float term);
};

static const struct peak_loop loops[] = {
    {"portable", 4, peak_portable},
#if defined __x86_64__
    {"avx2", 8, peak_avx2},
    {"avx512", 16, peak_avx512},
#endif
};

static const struct peak_loop *chosen_loop(void) {
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
        if (strcmp(loops[i].instruction_set, cn_instruction_set()) == 0)
            return &loops[i];
    return &loops[0];
}

static volatile float sink;

static double run_seconds(const struct peak_loop *loop, uint64_t count) {
    uint64_t begun = cn_clock_nanoseconds();
    sink = loop->run(count, 0.5f, 0.5f);
    return cn_seconds_since(begun);
}

/* The best of many short runs, which other work does not disturb. */
double peak_gflops(double seconds) {
    const struct peak_loop *loop = chosen_loop();
    const uint64_t count = 50000; /* a fraction of a millisecond */
    double best = run_seconds(loop, count);
    for (double taken = best; taken < seconds;) {
        const double run = run_seconds(loop, count);
        best = run < best ? run : best;
        taken += run;
    }
    return (double)count * CHAINS * 2 * (double)loop->lanes / best * 1e-9;
}

/* ---- Reading ---- */

#define READ_LOOP(NAME, BYTES, TARGET)                                                             \
    TARGET static float NAME(const float *block, size_t count) {                                   \
        typedef float vector __attribute__((vector_size(BYTES)));                                  \
        const vector *at = (const vector *)(const void *)block;                                    \
        vector a = {0}, b = {0}, c = {0}, d = {0};                                                 \
        const size_t vectors = count / ((BYTES) / sizeof(float));                                  \
        for (size_t i = 0; i + 4 <= vectors; i += 4) {                                             \
            a += at[i];                                                                            \
            b += at[i + 1];                                                                        \
            c += at[i + 2];                                                                        \
            d += at[i + 3];                                                                        \
        }                                                                                          \
        a += b + c + d;                                                                            \
        return a[0];                                                                               \
    }

READ_LOOP(read_portable, 16, )
#if defined __x86_64__
READ_LOOP(read_avx2, 32, __attribute__((target("avx2,fma"))))
#endif

double peak_gigabytes(size_t bytes, double seconds) {
    enum { LEAST = 4096 /* floats */ };
    const size_t count = bytes / sizeof(float) > LEAST ? bytes / sizeof(float) / 64 * 64 : LEAST;
    const size_t repeats = count < (1 << 18) ? (1 << 18) / count : 1; /* some 0.1 ms */
    float (*read)(const float *, size_t) = read_portable;
    float *block = cn_floats_allocate(count);
    double best = 1e9;
    if (block == NULL)
        return 0;
#if defined __x86_64__
    if (strcmp(cn_instruction_set(), "portable") != 0)
        read = read_avx2;
#endif
    memset(block, 0, count * sizeof *block);
    for (double taken = 0; taken < seconds || best > 1e8;) {
        const uint64_t begun = cn_clock_nanoseconds();
        for (size_t i = 0; i < repeats; i++)
            sink = read(block, count);
        const double run = cn_seconds_since(begun);
        best = run < best ? run : best;
        taken += run;
    }
    free(block);
    return (double)(count * repeats * sizeof *block) / best * 1e-9;
}
