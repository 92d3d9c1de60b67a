/* random.c: see random.h. No state but the caller's. */
#include <math.h>

#include "base/random.h"

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct cn_random cn_random_stream(uint64_t seed, uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t keys[] = {a, b, c};
    uint64_t mix = seed;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        mix = splitmix64(&mix) ^ keys[i];
    }
    struct cn_random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = splitmix64(&mix);
    return random;
}

static uint64_t rotate_left(uint64_t x, int count) {
    return (x << count) | (x >> (64 - count));
}

uint64_t cn_random_bits(struct cn_random *random) {
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

float cn_random_float(struct cn_random *random) {
    return (float)(cn_random_bits(random) >> 40) * 0x1p-24f;
}

float cn_random_uniform(struct cn_random *random, float low, float high) {
    return low + (high - low) * cn_random_float(random);
}

float cn_random_normal(struct cn_random *random) {
    const double u = ((double)(cn_random_bits(random) >> 11) + 1.0) * 0x1p-53; /* (0, 1] */
    const double v = (double)(cn_random_bits(random) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint32_t cn_random_below(struct cn_random *random, uint32_t bound) {
    uint64_t product = (cn_random_bits(random) >> 32) * (uint64_t)bound;
    if ((uint32_t)product < bound) {
        const uint32_t threshold = -bound % bound;
        while ((uint32_t)product < threshold)
            product = (cn_random_bits(random) >> 32) * (uint64_t)bound;
    }
    return (uint32_t)(product >> 32);
}

void cn_random_shuffle(struct cn_random *random, uint32_t *indices, size_t count) {
    for (size_t i = count; i > 1; i--) {
        const uint32_t j = cn_random_below(random, (uint32_t)i);
        const uint32_t swap = indices[i - 1];
        indices[i - 1] = indices[j];
        indices[j] = swap;
    }
}
