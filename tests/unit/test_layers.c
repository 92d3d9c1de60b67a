/* test_layers.c: every layer type passes the gradient check, infers its output shape, and refuses
 * shapes that do not fit. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/networks.h"

static void check(struct cn_shape input, const char *layers, enum cn_loss loss, float smoothing) {
    /* 11 samples are not a multiple of the shards. */
    test_gradient(test_network(input, layers, 7), layers, 11, loss, smoothing, 4e-3, 2e-2);
}

#define MSE CN_LOSS_MEAN_SQUARED_ERROR
#define CE  CN_LOSS_CATEGORICAL_CROSSENTROPY
static const struct cn_shape image = {3, {6, 5, 2}}, vector = {1, {6, 1, 1}};

Test(layers, gradient_dense) {
    check(vector, "Dense units=3 activation=softmax", MSE, 0);
    check(vector, "Dense units=5 activation=tanh;Dense units=3 activation=softmax", CE, 0);
    check(vector, "Dense units=17 activation=sigmoid use_bias=false;Dense units=2", MSE, 0);
}

Test(layers, gradient_losses) {
    check(vector, "Dense units=4 activation=softmax", CE, 0.1f);
    check(vector, "Dense units=4 activation=sigmoid", CE, 0);
    check(vector, "Dense units=4;Activation activation=softmax", CE, 0);
}

Test(layers, gradient_conv2d) {
    check(image,
          "Conv2D filters=3 kernel_size=3 activation=tanh;Flatten;Dense units=3 activation=softmax",
          CE, 0);
    check(image,
          "Conv2D filters=3 kernel_size=2 strides=2 padding=same activation=sigmoid;Conv2D "
          "filters=17 kernel_size=3 padding=same activation=tanh;Flatten;Dense units=2 "
          "activation=softmax",
          MSE, 0);
    check(image,
          "Conv2D filters=4 kernel_size=3 strides=2 use_bias=false;Conv2D filters=2 "
          "kernel_size=1 strides=2;Flatten;Dense units=2 activation=softmax",
          CE, 0);
}

Test(layers, gradient_pooling) {
    /* Few windows, so that no step moves a maximum from one input to another: a step that is small
     * enough for many windows would measure the rounding of the losses, which differs by
     * instruction set. */
    check((struct cn_shape){3, {4, 3, 2}},
          "Conv2D filters=3 kernel_size=2 activation=tanh;MaxPooling2D pool_size=2 "
          "padding=same;Flatten;Dense units=2 activation=softmax",
          CE, 0);
    check(image,
          "Conv2D filters=3 kernel_size=2 activation=tanh;AveragePooling2D pool_size=3 "
          "strides=2 padding=same;Flatten;Dense units=2 activation=softmax",
          CE, 0);
    check(image,
          "Conv2D filters=5 kernel_size=3 activation=sigmoid;GlobalAveragePooling2D;Dense "
          "units=3 activation=softmax",
          MSE, 0);
}

Test(layers, gradient_dropout_and_activation) {
    check(vector,
          "Dense units=8;Activation activation=tanh;Dropout rate=0.4;Dense units=3 "
          "activation=softmax",
          CE, 0);
}

Test(layers, gradient_batch_normalization) {
    check(image,
          "Conv2D filters=3 kernel_size=3 use_bias=false;BatchNormalization;Activation "
          "activation=tanh;Flatten;Dense units=2 activation=softmax",
          CE, 0);
    check(vector,
          "Dense units=4 activation=tanh;BatchNormalization scale=false;Dense units=4 "
          "activation=sigmoid;BatchNormalization center=false;Dense units=2 "
          "activation=softmax",
          MSE, 0);
}

#define TAIL ";Flatten;Dense units=2 activation=softmax"
static const struct cn_shape signal = {2, {9, 2, 1, 1, 1}};

Test(layers, gradient_groups_and_dilation) {
    check(image,
          "Conv2D filters=4 kernel_size=2 dilation_rate=2,3 activation=tanh;Conv2D filters=6 "
          "kernel_size=3 padding=same groups=2 strides=2 activation=sigmoid" TAIL,
          CE, 0);
    check(image,
          "DepthwiseConv2D kernel_size=3 depth_multiplier=3 padding=same activation=tanh;"
          "DepthwiseConv2D kernel_size=2 use_bias=false;"
          "DepthwiseConv2D kernel_size=2 dilation_rate=2 padding=same" TAIL,
          CE, 0);
}

Test(layers, gradient_separable) {
    check(image,
          "SeparableConv2D filters=5 kernel_size=3 depth_multiplier=2 padding=same "
          "activation=tanh;SeparableConv2D filters=3 kernel_size=2 strides=2 use_bias=false" TAIL,
          CE, 0);
}

Test(layers, gradient_transposed) {
    static const struct cn_shape small = {3, {2, 3, 2, 1, 1}};
    check(small,
          "Conv2DTranspose filters=3 kernel_size=3 strides=2 padding=same activation=tanh;"
          "GlobalAveragePooling2D;Dense units=2 activation=softmax",
          CE, 0);
    check(small, "Conv2DTranspose filters=2 kernel_size=2 strides=3 use_bias=false" TAIL, CE, 0);
    check(small, "Conv2DTranspose filters=3 kernel_size=2 strides=1 dilation_rate=2" TAIL, MSE, 0);
    check(small, "Conv2DTranspose filters=2 kernel_size=3 strides=2 output_padding=1" TAIL, CE, 0);
    check(small,
          "Conv2D filters=2 kernel_size=1 activation=tanh;"
          "Conv2DTranspose filters=2 kernel_size=3 strides=2 padding=same" TAIL,
          CE, 0);
}

Test(layers, gradient_one_axis) {
    check(signal,
          "Conv1D filters=3 kernel_size=3 padding=causal dilation_rate=2 activation=tanh;"
          "DepthwiseConv1D kernel_size=2;SeparableConv1D filters=4 kernel_size=3 padding=same;"
          "AveragePooling1D;Conv1DTranspose filters=2 kernel_size=3 strides=2;"
          "GlobalAveragePooling1D;Dense units=2 activation=softmax",
          CE, 0);
    check(signal,
          "Conv1D filters=3 kernel_size=1;MaxPooling1D pool_size=3;GlobalMaxPooling1D;"
          "Dense units=2 activation=softmax",
          CE, 0);
}

Test(layers, gradient_global) {
    check((struct cn_shape){3, {2, 1, 2, 1, 1}},
          "Conv2D filters=2 kernel_size=1 activation=tanh;GlobalMaxPooling2D keepdims=true" TAIL,
          CE, 0);
}

Test(layers, gradient_rearranged) {
    check(image,
          "Conv2D filters=3 kernel_size=2 activation=tanh;Permute dims=3,1,2;"
          "Reshape target_shape=-1,5;Permute dims=2,1;Flatten;Dense units=2 activation=softmax",
          CE, 0);
    check(vector, "Dense units=3 activation=tanh;RepeatVector n=4" TAIL, CE, 0);
}

Test(layers, gradient_resampled) {
    static const struct cn_shape small = {3, {2, 3, 2, 1, 1}};
    check(small,
          "Conv2D filters=2 kernel_size=1 activation=tanh;ZeroPadding2D padding=1,0,2,1;"
          "Cropping2D cropping=0,1,1,0;UpSampling2D size=2,3;"
          "UpSampling2D size=2,1 interpolation=bilinear" TAIL,
          CE, 0);
    check(small, "Conv2D filters=2 kernel_size=1;Resizing height=3 width=2" TAIL, MSE, 0);
    check(signal,
          "Conv1D filters=2 kernel_size=3;ZeroPadding1D padding=2,1;UpSampling1D size=2;"
          "Cropping1D cropping=3,2" TAIL,
          CE, 0);
}

Test(layers, gradient_normalizations) {
    static const struct cn_shape small = {3, {2, 3, 4, 1, 1}};
    check(small,
          "Conv2D filters=4 kernel_size=1;LayerNormalization;"
          "LayerNormalization axis=2,3 scale=false" TAIL,
          CE, 0);
    check(small,
          "Conv2D filters=4 kernel_size=1;GroupNormalization groups=2 center=false;"
          "Activation activation=tanh;GroupNormalization groups=-1" TAIL,
          CE, 0);
    check(small, "Conv2D filters=4 kernel_size=1;UnitNormalization" TAIL, CE, 0);
    check(small, "Conv2D filters=4 kernel_size=1;LocalResponseNormalization size=3 alpha=0.5" TAIL,
          CE, 0);
}

Test(layers, gradient_scalings) {
    check(image,
          /* inputs far from zero, where PReLU's slope jumps */
          "Conv2D filters=3 kernel_size=3;Rescaling scale=0.1,0.2,-0.1 offset=1,-1,-1;PReLU;"
          "Normalization;Rescaling scale=1 offset=-0.5;PReLU shared_axes=1,2" TAIL,
          CE, 0);
}

static void shape_is(const char *layers, int height, int width, int channels) {
    struct cn_network *network = test_network(cn_shape_image(28, 27, 3), layers, 1);
    const struct cn_shape expected = cn_shape_image(height, width, channels);
    char text[CN_SHAPE_TEXT];
    cr_assert(cn_shape_equal(&network->output_shape, &expected), "%s gives %s", layers,
              cn_shape_format(&network->output_shape, text));
    cn_network_free(network);
}

Test(layers, shapes_are_keras_s) {
    shape_is("Conv2D filters=8 kernel_size=4", 25, 24, 8);
    shape_is("Conv2D filters=8 kernel_size=4 strides=4", 7, 6, 8);
    shape_is("Conv2D filters=8 kernel_size=4 strides=3 padding=same", 10, 9, 8);
    shape_is("MaxPooling2D", 14, 13, 3);
    shape_is("MaxPooling2D padding=same", 14, 14, 3);
    shape_is("AveragePooling2D pool_size=3 strides=2", 13, 13, 3);
    shape_is("Conv2D filters=8 kernel_size=3 dilation_rate=2,4", 24, 19, 8);
    shape_is("Conv2D filters=6 kernel_size=3 padding=same groups=3", 28, 27, 6);
    shape_is("DepthwiseConv2D kernel_size=3 strides=2 depth_multiplier=2", 13, 13, 6);
    shape_is("SeparableConv2D filters=5 kernel_size=3 strides=2 padding=same", 14, 14, 5);
    shape_is("Conv2DTranspose filters=5 kernel_size=3 strides=2 padding=same", 56, 54, 5);
    shape_is("Conv2DTranspose filters=5 kernel_size=3 strides=2", 57, 55, 5);
    shape_is("Conv2DTranspose filters=5 kernel_size=2 strides=3", 84, 81, 5);
    shape_is("Conv2DTranspose filters=5 kernel_size=4 strides=2 padding=same output_padding=0", 54,
             52, 5);
    shape_is("GlobalMaxPooling2D keepdims=true", 1, 1, 3);
    shape_is("ZeroPadding2D padding=2", 32, 31, 3);
    shape_is("ZeroPadding2D padding=1,2,3,4", 31, 34, 3);
    shape_is("Cropping2D cropping=1,2,3,4", 25, 20, 3);
    shape_is("UpSampling2D", 56, 54, 3);
    shape_is("Permute dims=2,3,1;Reshape target_shape=3,-1,4", 3, 189, 4);
}

Test(layers, parameters_of_the_published_network) {
    struct cn_network *strided = test_seed_network(true, "0.3", 1);
    struct cn_network *unstrided = test_seed_network(false, "0.3", 1);
    cr_assert_eq(strided->parameter_count, 10122);
    cr_assert_eq(unstrided->parameter_count, 17802);
    cn_network_free(strided);
    cn_network_free(unstrided);
}

static void refused(struct cn_shape input, const char *layers, const char *word,
                    const char *shape) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_neq(test_network_try(input, layers, &network, &error), CN_OK);
    cr_assert_null(network);
    cr_assert_not_null(strstr(error.text, word), "%s", error.text);
    cr_assert_not_null(strstr(error.text, shape), "%s", error.text);
}

Test(layers, what_does_not_fit_is_named) {
    refused(image, "Conv2D filters=3 kernel_size=7", "\"conv2d\" (Conv2D): its window (7, 7)",
            "(6, 5, 2)");
    refused(image, "MaxPooling2D pool_size=6", "\"max_pooling2d\"", "(6, 5, 2)");
    refused(image, "Dense units=3", "Flatten", "(6, 5, 2)");
    refused(vector, "Conv2D filters=3 kernel_size=1", "\"conv2d\" (Conv2D)", "(6)");
    refused(image, "RandomRotation factor=0.1,0.2,0.3", "has 3 numbers", "one number or two");
    refused(image, "RandomContrast factor=0.1,0.2,0.3", "has 3 numbers", "one number or two");
    refused(image, "Conv1D filters=3 kernel_size=1", "\"conv1d\" (Conv1D)", "(6, 5, 2)");
    refused(image, "Conv2D filters=3 kernel_size=1 groups=2", "do not divide", "2 groups");
    refused(image, "Conv2D filters=3 kernel_size=3 dilation_rate=3", "its window (7, 7)",
            "(6, 5, 2)");
    refused(vector, "GlobalAveragePooling2D", "\"global_average_pooling2d\"", "(6)");
    refused(cn_shape_image(0, 5, 1), "Flatten", "at least 1", "(0, 5, 1)");
}

/* Every order of three axes: some are transpositions of two dimensions, others are not. */
Test(layers, permutations_move_each_number_to_its_place) {
    static const int orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
                                    {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    enum { HEIGHT = 3, WIDTH = 5, CHANNELS = 37, SIZE = HEIGHT * WIDTH * CHANNELS };
    static const int strides[3] = {WIDTH * CHANNELS, CHANNELS, 1};
    float *x = test_floats(2 * SIZE, -1, 1, 4);
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        char layer[64];
        (void)snprintf(layer, sizeof layer, "Permute dims=%d,%d,%d", orders[k][0], orders[k][1],
                       orders[k][2]);
        struct cn_network *network =
            test_network(cn_shape_image(HEIGHT, WIDTH, CHANNELS), layer, 1);
        const struct cn_shape *out = &network->output_shape;
        float *y = test_outputs(network, x, 2);
        for (int n = 0, i = 0; n < 2; n++)
            for (int a = 0; a < out->dims[0]; a++)
                for (int b = 0; b < out->dims[1]; b++)
                    for (int c = 0; c < out->dims[2]; c++, i++)
                        cr_assert_eq(
                            y[i],
                            x[n * SIZE + a * strides[orders[k][0] - 1] +
                              b * strides[orders[k][1] - 1] + c * strides[orders[k][2] - 1]],
                            "%s: number %d", layer, i);
        free(y);
        cn_network_free(network);
    }
    free(x);
}
