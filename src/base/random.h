/* random.h: seeded streams of random numbers that are the same on every machine.
 *
 * A seed and up to three keys (step, layer, sample ...) name a stream, so that any thread can draw
 * any sample's numbers without shared state. */
#ifndef CONVNET_BASE_RANDOM_H
#define CONVNET_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256++ (Blackman and Vigna 2021, prng.di.unimi.it), seeded by SplitMix64. */
struct cn_random {
    uint64_t state[4];
};

/* The stream of (seed, a, b, c). */
struct cn_random cn_random_stream(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);

/* The next 64 random bits. */
uint64_t cn_random_bits(struct cn_random *random);

/* Uniform in [0, 1), 24 bits. */
float cn_random_float(struct cn_random *random);

/* Uniform in [low, high). */
float cn_random_uniform(struct cn_random *random, float low, float high);

/* Normal with mean 0 and standard deviation 1 (Box and Muller 1958). */
float cn_random_normal(struct cn_random *random);

/* Uniform in [0, bound), bound > 0, without bias (Lemire 2019). */
uint32_t cn_random_below(struct cn_random *random, uint32_t bound);

/* Shuffles `count` indices in place (Fisher and Yates, Durstenfeld 1964). */
void cn_random_shuffle(struct cn_random *random, uint32_t *indices, size_t count);

#endif
