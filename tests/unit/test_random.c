/* test_random.c: the random streams: published reference numbers, independence of keys,
 * distributions. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

/* xoshiro256++ from state {1, 2, 3, 4}, computed with exact integers from the published algorithm
 * outside this program. */
Test(random, generator_matches_published_algorithm) {
    struct cn_random random = {.state = {1, 2, 3, 4}};
    static const uint64_t expected[] = {
        UINT64_C(41943041),
        UINT64_C(58720359),
        UINT64_C(3588806011781223),
        UINT64_C(3591011842654386),
        UINT64_C(9228616714210784205),
        UINT64_C(9973669472204895162),
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_assert_eq(cn_random_bits(&random), expected[i], "number %zu", i);
}

Test(random, a_stream_is_its_seed_and_keys) {
    const uint64_t keys[][4] = {{0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0},
                                {0, 0, 1, 0}, {0, 0, 0, 1}, {1, 1, 0, 0},
                                {0, 1, 1, 0}, {0, 0, 1, 1}, {UINT64_MAX, 0, 0, 0}};
    const size_t count = sizeof keys / sizeof *keys;
    uint64_t first[sizeof keys / sizeof *keys];
    for (size_t i = 0; i < count; i++) {
        struct cn_random a = cn_random_stream(keys[i][0], keys[i][1], keys[i][2], keys[i][3]);
        struct cn_random b = cn_random_stream(keys[i][0], keys[i][1], keys[i][2], keys[i][3]);
        first[i] = cn_random_bits(&a);
        cr_assert_eq(first[i], cn_random_bits(&b), "stream %zu is not repeatable", i);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(first[i], first[j], "streams %zu and %zu are the same", i, j);
    }
}

Test(random, neighbouring_streams_do_not_correlate) {
    int equal_bits = 0;
    for (uint64_t step = 0; step < 1000; step++) {
        struct cn_random a = cn_random_stream(7, step, 0, 0);
        struct cn_random b = cn_random_stream(7, step + 1, 0, 0);
        equal_bits += 64 - __builtin_popcountll(cn_random_bits(&a) ^ cn_random_bits(&b));
    }
    /* 64,000 fair bits: mean 32,000, standard deviation 126; the bound is six of them. */
    cr_assert(equal_bits > 31240 && equal_bits < 32760, "%d of 64000 bits equal", equal_bits);
}

Test(random, float_is_in_range_and_uniform) {
    struct cn_random random = cn_random_stream(1, 2, 3, 4);
    enum { COUNT = 100000 };
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) {
        const float x = cn_random_float(&random);
        cr_assert(x >= 0.0f && x < 1.0f, "%.9g", (double)x);
        sum += (double)x;
        squares += (double)x * (double)x;
    }
    const double mean = sum / COUNT, variance = squares / COUNT - mean * mean;
    cr_assert(fabs(mean - 0.5) < 6 * 0.000913, "mean %g", mean);
    cr_assert(fabs(variance - 1.0 / 12) < 0.0015, "variance %g", variance);
}

Test(random, uniform_keeps_its_bounds) {
    struct cn_random random = cn_random_stream(5, 0, 0, 0);
    float least = INFINITY, most = -INFINITY;
    for (int i = 0; i < 10000; i++) {
        const float x = cn_random_uniform(&random, -0.25f, 0.75f);
        cr_assert(x >= -0.25f && x < 0.75f, "%.9g", (double)x);
        least = fminf(least, x);
        most = fmaxf(most, x);
    }
    cr_assert(least < -0.24f && most > 0.74f, "%g to %g", (double)least, (double)most);
}

Test(random, normal_has_the_moments_of_a_normal) {
    struct cn_random random = cn_random_stream(9, 0, 0, 0);
    enum { COUNT = 200000 };
    double sum = 0, squares = 0, cubes = 0, fourths = 0;
    for (int i = 0; i < COUNT; i++) {
        const double x = (double)cn_random_normal(&random);
        cr_assert(isfinite(x));
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        fourths += x * x * x * x;
    }
    cr_assert(fabs(sum / COUNT) < 0.0135, "mean %g", sum / COUNT);
    cr_assert(fabs(squares / COUNT - 1) < 0.019, "variance %g", squares / COUNT);
    cr_assert(fabs(cubes / COUNT) < 0.052, "third moment %g", cubes / COUNT);
    cr_assert(fabs(fourths / COUNT - 3) < 0.132, "fourth moment %g", fourths / COUNT);
}

Test(random, below_is_unbiased) {
    struct cn_random random = cn_random_stream(11, 0, 0, 0);
    enum { BOUND = 10, COUNT = 100000 };
    int seen[BOUND] = {0};
    for (int i = 0; i < COUNT; i++) {
        const uint32_t x = cn_random_below(&random, BOUND);
        cr_assert_lt(x, (uint32_t)BOUND);
        seen[x]++;
    }
    double chi_squared = 0;
    for (int i = 0; i < BOUND; i++)
        chi_squared += (seen[i] - COUNT / BOUND) * (double)(seen[i] - COUNT / BOUND);
    chi_squared /= (double)COUNT / BOUND;
    cr_assert(chi_squared < 33.7, "chi squared %g (9 degrees, p = 0.0001)", chi_squared);
}

Test(random, below_at_the_edges) {
    struct cn_random random = cn_random_stream(12, 0, 0, 0);
    uint32_t most = 0;
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(cn_random_below(&random, 1), 0u);
        const uint32_t x = cn_random_below(&random, UINT32_MAX);
        cr_assert_lt(x, UINT32_MAX);
        most = x > most ? x : most;
    }
    cr_assert_gt(most, UINT32_MAX / 2);
}

Test(random, shuffle_permutes_uniformly) {
    struct cn_random random = cn_random_stream(13, 0, 0, 0);
    enum { COUNT = 60000 };
    int seen[27] = {0};
    for (int i = 0; i < COUNT; i++) {
        uint32_t order[] = {0, 1, 2};
        cn_random_shuffle(&random, order, 3);
        seen[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    int permutations = 0;
    for (int i = 0; i < 27; i++) {
        if (seen[i] == 0)
            continue;
        permutations++;
        /* mean 10,000, standard deviation 91; the bound is six of them */
        cr_assert(abs(seen[i] - COUNT / 6) < 548, "permutation %d: %d times", i, seen[i]);
    }
    cr_assert_eq(permutations, 6);
}

Test(random, shuffle_of_nothing) {
    struct cn_random random = cn_random_stream(14, 0, 0, 0);
    uint32_t one[] = {42};
    cn_random_shuffle(&random, one, 0);
    cn_random_shuffle(&random, one, 1);
    cr_assert_eq(one[0], 42u);
}
