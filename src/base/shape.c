/* shape.c: shapes of one sample: construction, checked size, text. */
#include <stdio.h>

#include "convnet/shape.h"

struct cn_shape cn_shape_image(int height, int width, int channels) {
    return (struct cn_shape){.rank = 3, .dims = {height, width, channels, 1, 1}};
}

struct cn_shape cn_shape_vector(int features) {
    return (struct cn_shape){.rank = 1, .dims = {features, 1, 1, 1, 1}};
}

size_t cn_shape_size(const struct cn_shape *shape) {
    size_t size = 1;
    for (int i = 0; i < shape->rank; i++)
        size *= (size_t)shape->dims[i];
    return size;
}

enum cn_status cn_shape_check(const struct cn_shape *shape, const char *what,
                              struct cn_error *error) {
    char text[CN_SHAPE_TEXT];
    if (shape->rank < 1 || shape->rank > CN_SHAPE_MAX_RANK)
        return cn_fail(error, CN_INVALID, "%s has rank %d; it must be from 1 to %d", what,
                       shape->rank, CN_SHAPE_MAX_RANK);
    long long size = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 1)
            return cn_fail(error, CN_INVALID, "%s is %s; each dimension must be at least 1", what,
                           cn_shape_format(shape, text));
        size *= shape->dims[i];
        if (size > CN_SHAPE_MAX_ELEMENTS)
            return cn_fail(error, CN_LIMIT, "%s is %s; the limit is %d elements", what,
                           cn_shape_format(shape, text), CN_SHAPE_MAX_ELEMENTS);
    }
    return CN_OK;
}

bool cn_shape_equal(const struct cn_shape *a, const struct cn_shape *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

const char *cn_shape_format(const struct cn_shape *shape, char text[CN_SHAPE_TEXT]) {
    size_t used = 0;
    for (int i = 0; i < shape->rank && i < CN_SHAPE_MAX_RANK; i++)
        used += (size_t)snprintf(text + used, CN_SHAPE_TEXT - used, "%s%d", i > 0 ? ", " : "(",
                                 shape->dims[i]);
    (void)snprintf(text + used, CN_SHAPE_TEXT - used, "%s", used > 0 ? ")" : "()");
    return text;
}
