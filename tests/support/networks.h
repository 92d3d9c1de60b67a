/* networks.h: small networks and mini-batches for tests. All assert success. */
#ifndef CONVNET_TESTS_NETWORKS_H
#define CONVNET_TESTS_NETWORKS_H

#include "convnet/model.h"
#include "convnet/network.h"

/* A built network from a line of layers such as "Conv2D filters=4 kernel_size=3 padding=same;
 * Flatten; Dense units=3 activation=softmax", initialised with `seed`. Caller frees with
 * cn_network_free. */
struct cn_network *test_network(struct cn_shape input, const char *layers, uint64_t seed);

/* A graph. In a layer's words ":a" names it, "<a" makes it read that layer (several: in this order;
 * none: the layer before), and "frozen" freezes it. The inputs are "input", "input_1" ...;
 * `outputs` are names separated by spaces, "" for the last layer. */
struct cn_network *test_graph(const struct cn_shape *inputs, size_t input_count, const char *layers,
                              const char *outputs, uint64_t seed);

/* Like test_network, for an expected failure: returns the status, and the error. */
enum cn_status test_network_try(struct cn_shape input, const char *layers,
                                struct cn_network **ret_network, struct cn_error *error);

/* `count` floats in [low, high). Caller frees with free(). */
float *test_floats(size_t count, float low, float high, uint64_t seed);

/* `count` labels below `class_count`. Caller frees with free(). */
uint16_t *test_labels(size_t count, size_t class_count, uint64_t seed);

/* The outputs [count, output_shape] for `images`, by a plan of its own. Caller frees with free().
 */
float *test_outputs(const struct cn_network *network, const float *images, size_t count);

/* Asserts that the loss's gradient by `count` random samples is that of differences of `step`,
 * within `tolerance`. `what` is named if it is not. Frees the network. */
void test_gradient(struct cn_network *network, const char *what, size_t count, enum cn_loss loss,
                   float smoothing, double step, double tolerance);

/* Gives each vector of parameters the values that one may have after a training, variances positive
 * ones. */
void test_set_vectors(struct cn_network *network);

/* A model of 8x8x1 with these layers. Caller frees with cn_model_free. */
struct cn_model *test_model(const char *layers);

/* The published program's network on 28x28x1 with these strides (4 and 3, or 1 and 1). */
struct cn_network *test_seed_network(bool strided, const char *dropout_rate, uint64_t seed);

#endif
