/* test_preprocessing.c: the parameters of preprocessing, from a picture to a network's input. */
#include <criterion/criterion.h>
#include <string.h>

#include "convnet/image.h"
#include "support/preprocessing_equal.h"

static const struct cn_shape grey = {3, {8, 8, 1}}, colour = {3, {2, 2, 3}};

Test(preprocessing, text_there_and_back) {
    static const struct {
        const struct cn_shape *shape;
        const char *text, *formatted;
    } cases[] = {
        {&colour, "fit=crop,channels=bgr,scale=1,mean=103.939:116.779:123.68",
         "fit=crop,channels=bgr,scale=1,mean=103.939:116.779:123.68"},
        {&colour, "mean=0.5,std=0.5,interpolation=bicubic",
         "fit=stretch,channels=rgb,interpolation=bicubic,mean=0.5,std=0.5"},
        {&grey, "fit=mnist", "fit=mnist,box=5,invert=true,channels=grey"},
        {&grey, "fit=mnist,invert=false,box=7", "fit=mnist,box=7,invert=false,channels=grey"},
        {&grey, "fit=pad", "fit=pad,channels=grey"},
        {&grey, "fit=scale", "fit=pad,channels=grey"},
        {&grey, "", "fit=stretch,channels=grey"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_preprocessing preprocessing = cn_preprocessing_default(cases[i].shape), again;
        struct cn_error error = {0};
        char text[CN_PREPROCESSING_TEXT];
        cr_assert_eq(cn_preprocessing_parse(cases[i].text, cases[i].shape, &preprocessing, &error),
                     CN_OK, "%s", error.text);
        cr_assert_str_eq(cn_preprocessing_format(&preprocessing, text), cases[i].formatted);
        again = cn_preprocessing_default(cases[i].shape);
        cr_assert_eq(cn_preprocessing_parse(text, cases[i].shape, &again, NULL), CN_OK);
        cr_assert_str_eq(cn_preprocessing_format(&again, text), cases[i].formatted);
    }
}

Test(preprocessing, refusals_name_the_value_and_the_rule) {
    static const struct {
        const struct cn_shape *shape;
        const char *text, *words;
    } cases[] = {
        {&grey, "fit=best", "fit is \"best\"; it must be one of mnist, stretch, crop, pad"},
        {&grey, "fit", "\"fit\" is not NAME=VALUE"},
        {&grey, "size=3", "there is no parameter \"size\""},
        {&grey, "box=0", "box is \"0\""},
        {&grey, "box=9", "box is 9; it must be from 1 to 8"},
        {&grey, "fit=pad,invert=true", "invert applies to fit mnist only"},
        {&grey, "invert=yes", "invert is \"yes\""},
        {&grey, "channels=rgb", "channels rgb for an input of 1"},
        {&colour, "channels=grey", "channels grey for an input of 3"},
        {&colour, "fit=mnist", "fit mnist reads grey"},
        {&colour, "scale=0", "scale is \"0\""},
        {&colour, "scale=nan", "scale is \"nan\""},
        {&colour, "mean=1:2", "mean is \"1:2\""},
        {&colour, "mean=1:2:3:4", "mean is \"1:2:3:4\""},
        {&colour, "mean=1:2:", "mean is \"1:2:\""},
        {&colour, "mean=inf", "mean is \"inf\""},
        {&colour, "std=1:0:1", "std is 0"},
        {&colour, "interpolation=best", "one of area, nearest, bilinear, bicubic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_preprocessing preprocessing = cn_preprocessing_default(cases[i].shape);
        const struct cn_preprocessing before = preprocessing;
        struct cn_error error = {0};
        cr_assert_eq(cn_preprocessing_parse(cases[i].text, cases[i].shape, &preprocessing, &error),
                     CN_INVALID, "%s", cases[i].text);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s", error.text);
        cr_assert(preprocessing_equal(&before, &preprocessing), "touched on failure");
    }
}

Test(preprocessing, normalises_and_orders_channels) {
    /* 51 is a fifth of 255. */
    uint8_t samples[12] = {51, 102, 153, 51, 102, 153, 51, 102, 153, 51, 102, 153};
    const struct cn_picture picture = {.width = 2, .height = 2, .channels = 3, .data = samples};
    static const struct {
        const char *text;
        float expected[3];
    } cases[] = {{"", {0.2F, 0.4F, 0.6F}},
                 {"channels=bgr", {0.6F, 0.4F, 0.2F}},
                 {"scale=1", {51.0F, 102.0F, 153.0F}},
                 {"scale=127.5,mean=1", {-0.6F, -0.2F, 0.2F}},
                 {"mean=0.1:0.2:0.3,std=0.5:0.25:0.125", {0.2F, 0.8F, 2.4F}},
                 {"channels=bgr,scale=1,mean=100:50:10", {53.0F, 52.0F, 41.0F}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_preprocessing preprocessing = cn_preprocessing_default(&colour);
        float image[12], bytes[12];
        void *png = NULL;
        size_t length = 0;
        struct cn_picture seen = {0};
        cr_assert_eq(cn_preprocessing_parse(cases[i].text, &colour, &preprocessing, NULL), CN_OK);
        cr_assert_eq(cn_preprocess(&preprocessing, &picture, &colour, image, NULL, NULL), CN_OK);
        for (int k = 0; k < 12; k++)
            cr_assert_float_eq(image[k], cases[i].expected[k % 3], 2e-6F, "%s: %g", cases[i].text,
                               (double)image[k]);
        /* Raw bytes and unprocessed pictures become the same input. */
        cn_image_from_bytes(samples, 12, bytes);
        cn_preprocessing_normalize(&preprocessing, &colour, 1, bytes);
        cr_assert_arr_eq(bytes, image, sizeof image);
        cr_assert_eq(cn_image_from_picture(&preprocessing, &picture, &colour, bytes, NULL), CN_OK);
        cr_assert_arr_eq(bytes, image, sizeof image);
        /* The image that the network saw is the picture again. */
        cr_assert_eq(cn_image_to_png(&preprocessing, image, &colour, &png, &length, NULL), CN_OK);
        cr_assert_eq(cn_png_decode(png, length, &cn_picture_default_limits, &seen, NULL), CN_OK);
        cr_assert_arr_eq(seen.data, samples, sizeof samples);
        cn_picture_clear(&seen);
        free(png);
    }
}

Test(preprocessing, every_sample_comes_back_from_scale_1) {
    const struct cn_shape row = cn_shape_image(1, 256, 1);
    struct cn_preprocessing preprocessing = cn_preprocessing_default(&row);
    uint8_t samples[256];
    float image[256];
    for (int i = 0; i < 256; i++)
        samples[i] = (uint8_t)i;
    cr_assert_eq(cn_preprocessing_parse("scale=1", &row, &preprocessing, NULL), CN_OK);
    cn_image_from_bytes(samples, 256, image);
    cn_preprocessing_normalize(&preprocessing, &row, 1, image);
    for (int i = 0; i < 256; i++)
        cr_assert_eq(image[i], (float)i);
}
