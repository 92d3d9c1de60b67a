/* test_shape.c: shapes: what is accepted, what is refused and why, and their text form. */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "convnet/shape.h"

Test(shape, size_and_text) {
    char text[CN_SHAPE_TEXT];
    const struct cn_shape image = cn_shape_image(28, 30, 3);
    cr_assert_eq(cn_shape_size(&image), 2520u);
    cr_assert_str_eq(cn_shape_format(&image, text), "(28, 30, 3)");
    const struct cn_shape vector = cn_shape_vector(10);
    cr_assert_eq(cn_shape_size(&vector), 10u);
    cr_assert_str_eq(cn_shape_format(&vector, text), "(10)");
}

Test(shape, longest_text_fits) {
    char text[CN_SHAPE_TEXT];
    const struct cn_shape shape = {5, {INT_MIN, INT_MIN, INT_MIN, INT_MIN, INT_MIN}};
    cn_shape_format(&shape, text);
    cr_assert_eq(text[strlen(text) - 1], ')', "cut: %s", text);
}

Test(shape, equality) {
    const struct cn_shape a = cn_shape_image(4, 5, 6);
    const struct cn_shape others[] = {cn_shape_image(3, 5, 6), cn_shape_image(4, 4, 6),
                                      cn_shape_image(4, 5, 7), cn_shape_vector(4)};
    cr_assert(cn_shape_equal(&a, &a));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(cn_shape_equal(&a, &others[i]), "row %zu", i);
}

Test(shape, check) {
    static const struct {
        struct cn_shape shape;
        enum cn_status status;
        const char *says; /* part of the message */
    } rows[] = {
        {{3, {28, 28, 1}}, CN_OK, ""},
        {{1, {1, 1, 1}}, CN_OK, ""},
        {{1, {CN_SHAPE_MAX_ELEMENTS, 1, 1}}, CN_OK, ""},
        {{1, {CN_SHAPE_MAX_ELEMENTS + 1, 1, 1}}, CN_LIMIT, "(67108865)"},
        {{3, {8192, 8192, 1}}, CN_OK, ""},
        {{3, {8192, 8192, 2}}, CN_LIMIT, "(8192, 8192, 2)"},
        {{3, {INT_MAX, INT_MAX, INT_MAX}}, CN_LIMIT, "the limit is"},
        {{3, {65536, 65536, 1}}, CN_LIMIT, "(65536, 65536, 1)"}, /* 2^32: 0 in 32 bits */
        {{3, {28, 0, 1}}, CN_INVALID, "(28, 0, 1)"},
        {{3, {28, 28, -1}}, CN_INVALID, "at least 1"},
        {{1, {INT_MIN, 1, 1}}, CN_INVALID, "(-2147483648)"},
        {{0, {1, 1, 1}}, CN_INVALID, "rank 0"},
        {{2, {28, 28, 1}}, CN_OK, ""},
        {{5, {2, 3, 4, 5, 6}}, CN_OK, ""},
        {{5, {256, 256, 256, 4, 2}}, CN_LIMIT, "(256, 256, 256, 4, 2)"},
        {{6, {28, 28, 1}}, CN_INVALID, "rank 6"},
        {{-1, {28, 28, 1}}, CN_INVALID, "rank -1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cn_error error = {0};
        cr_assert_eq(cn_shape_check(&rows[i].shape, "the input", &error), rows[i].status,
                     "row %zu: %s", i, error.text);
        cr_assert_not_null(strstr(error.text, rows[i].says), "row %zu: %s", i, error.text);
        if (rows[i].status != CN_OK)
            cr_assert_eq(strstr(error.text, "the input"), error.text, "row %zu: %s", i, error.text);
    }
}
