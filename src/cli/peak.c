/* peak.c: measures one core's peak with a loop of independent multiply-adds.
 *
 * One body is compiled for each vector width; twelve chains hide the latency of four to five cycles
 * on two units. Measures the calling thread's core. */
#include "cli/peak.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        if (strcmp(loops[i].instruction_set, cn_instruction_set()) == 0) {
            return &loops[i];
        }
    }
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
