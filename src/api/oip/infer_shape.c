/* infer_shape.c: the meaning of a request tensor's shape: how many images it holds, and in which
 * order their numbers are. No state. */
#include <stdio.h>
#include <string.h>

#include "api/oip/infer.h"

const char *infer_format_shape(const struct infer_input *input,
                               char text[static INFER_SHAPE_TEXT]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < input->rank && used < INFER_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, INFER_SHAPE_TEXT - used, "%s%lld", i > 0 ? ", " : "[",
                                 (long long)input->dims[i]);
    if (used + 1 < INFER_SHAPE_TEXT)
        (void)snprintf(text + used, INFER_SHAPE_TEXT - used, "%s", input->rank > 0 ? "]" : "-1");
    return text;
}

/* ---- One image ---- */

/* The dimensions of one image without those that are 1. */
struct extent {
    size_t rank;
    int64_t dims[INFER_MAX_RANK];
};

static void extent_add(struct extent *extent, int64_t dim) {
    if (dim != 1)
        extent->dims[extent->rank++] = dim;
}

static bool extents_equal(const struct extent *a, const struct extent *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

/* The dimensions of `input` after the number of images, or all of them. */
static struct extent extent_of_input(const struct infer_input *input, size_t first) {
    struct extent extent = {0};
    for (size_t i = first; i < input->rank; i++)
        extent_add(&extent, input->dims[i]);
    return extent;
}

static struct extent extent_of_form(const struct cn_tensor_form *form) {
    struct extent extent = {0};
    for (int i = form->batched; i < form->rank; i++)
        extent_add(&extent, form->dims[i]);
    return extent;
}

static struct extent extent_of_shape(const struct cn_shape *shape, bool channels_first) {
    struct extent extent = {0};
    if (channels_first)
        extent_add(&extent, shape->dims[shape->rank - 1]);
    for (int i = 0; i < shape->rank - channels_first; i++)
        extent_add(&extent, shape->dims[i]);
    return extent;
}

/* The numbers of an image may be in the source model's order or flat, in the network's order, or,
 * for a picture, one plane per channel. */
static bool extent_fits(const struct infer_request *request, const struct infer_input *input,
                        const struct extent *extent, struct infer_order *ret_order) {
    const struct cn_network *network = request->prediction->model->model->network;
    const struct cn_tensor_form *form = input->form;
    const struct cn_shape *shape = &network->inputs[form->port].shape;
    const struct extent source = extent_of_form(form), own = extent_of_shape(shape, false);
    const struct extent turned = extent_of_shape(shape, shape->rank == 3);
    struct extent flat = {0};
    const int most = form->rank > shape->rank + 1 ? form->rank : shape->rank + 1;
    if (input->rank > (size_t)(form->batched ? most : most + 1))
        return false; /* too many dimensions to be valid */
    extent_add(&flat, (int64_t)form->size);
    *ret_order = (struct infer_order){0};
    if (extents_equal(extent, &source) || extents_equal(extent, &flat)) {
        ret_order->places = form->places;
        return true;
    }
    if (extents_equal(extent, &own))
        return true;
    if (shape->rank != 3 || !extents_equal(extent, &turned))
        return false;
    ret_order->channels = (size_t)shape->dims[2];
    ret_order->pixels = form->size / ret_order->channels;
    return true;
}

/* ---- Messages ---- */

/* "[n, 3, 32, 32]" */
static void form_format(const struct cn_tensor_form *form, char text[static INFER_SHAPE_TEXT]) {
    size_t used = (size_t)snprintf(text, INFER_SHAPE_TEXT, "[n");
    for (int i = form->batched; i < form->rank && used < INFER_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, INFER_SHAPE_TEXT - used, ", %d", form->dims[i]);
    if (used + 1 < INFER_SHAPE_TEXT)
        (void)snprintf(text + used, INFER_SHAPE_TEXT - used, "]");
}

static enum cn_status fail_shape(const struct infer_request *request,
                                 const struct infer_input *input, struct cn_error *error) {
    const struct cn_network *network = request->prediction->model->model->network;
    const struct cn_tensor_form *form = input->form;
    const struct cn_shape *shape = &network->inputs[form->port].shape;
    char text[INFER_SHAPE_TEXT], own[INFER_SHAPE_TEXT], forms[INFER_SHAPE_TEXT];
    const int *d = shape->dims;
    form_format(form, own);
    if (shape->rank == 3 && d[2] == 1)
        (void)snprintf(forms, sizeof forms, "[n, %d, %d], [n, %d, %d, 1], [n, 1, %d, %d]", d[0],
                       d[1], d[0], d[1], d[0], d[1]);
    else if (form->places != NULL && shape->rank == 3)
        (void)snprintf(forms, sizeof forms, "%.100s, [n, %d, %d, %d]", own, d[0], d[1], d[2]);
    else
        (void)snprintf(forms, sizeof forms, "%s", own);
    return cn_fail(error, CN_INVALID, "the shape %s is not the model's: %s or [n, %zu]",
                   infer_format_shape(input, text), forms, form->size);
}

/* ---- The whole tensor ---- */

/* The number of elements; false when a dimension is negative or the product overflows. */
static bool count_elements(const struct infer_input *input, size_t *ret_count) {
    size_t count = 1;
    for (size_t i = 0; i < input->rank; i++)
        if (input->dims[i] < 0 || __builtin_mul_overflow(count, (size_t)input->dims[i], &count) ||
            count > SIZE_MAX / 8)
            return false;
    *ret_count = count;
    return true;
}

/* Strings: one per image, as [n] or [n, 1], or as many as there are. */
static bool pictures_fit(const struct infer_input *input) {
    return input->rank < 2 || (input->rank == 2 && input->dims[1] == 1);
}

static enum cn_status check_pictures_shape(const struct infer_input *input,
                                           struct cn_error *error) {
    char text[INFER_SHAPE_TEXT];
    if (pictures_fit(input))
        return CN_OK;
    return cn_fail(error, CN_INVALID, "the shape %s of pictures must be [n] or [n, 1]",
                   infer_format_shape(input, text));
}

/* The number of images in a tensor of numbers: its first dimension, or 1 where the source model has
 * no batch dimension. */
static enum cn_status count_images(const struct infer_request *request,
                                   const struct infer_input *input, size_t *ret_images,
                                   struct infer_order *ret_order, struct cn_error *error) {
    const struct extent behind = extent_of_input(input, 1), whole = extent_of_input(input, 0);
    if (input->rank > 0 && extent_fits(request, input, &behind, ret_order)) {
        *ret_images = (size_t)input->dims[0];
        return CN_OK;
    }
    const struct extent source = extent_of_form(input->form);
    if (input->form->batched || input->rank != (size_t)input->form->rank ||
        !extents_equal(&whole, &source))
        return fail_shape(request, input, error);
    *ret_order = (struct infer_order){.places = input->form->places};
    *ret_images = 1;
    return CN_OK;
}

/* All inputs of a request must have the same number of images. */
static enum cn_status check_images(const struct infer_request *request,
                                   const struct infer_input *input, size_t images,
                                   struct cn_error *error) {
    const struct prediction *p = request->prediction;
    char text[INFER_SHAPE_TEXT];
    if (images == 0)
        return cn_fail(error, CN_INVALID, "the shape %s has no image",
                       infer_format_shape(input, text));
    if (images > p->max_images)
        return cn_fail(error, CN_LIMIT, "the request has %zu images; the limit is %zu", images,
                       p->max_images);
    if (p->count > 0 && images != p->count)
        return cn_fail(error, CN_INVALID, "input '%s' has %zu images; another input has %zu",
                       input->form->name, images, p->count);
    return CN_OK;
}

enum cn_status infer_images(const struct infer_request *request, const struct infer_input *input,
                            size_t *ret_images, struct infer_order *ret_order,
                            struct cn_error *error) {
    const struct cn_model *model = request->prediction->model->model;
    const bool pictures = input->type->kind == INFER_PICTURES;
    char text[INFER_SHAPE_TEXT];
    size_t count = 0;
    *ret_images = 0;
    *ret_order = (struct infer_order){0};
    if (model->input_forms > 1 && input->type->kind != INFER_FRACTIONS)
        return cn_fail(error, CN_INVALID,
                       "input '%s' is of %s; a model of %zu inputs takes each as FP32",
                       input->form->name, input->type->name, model->input_forms);
    if (pictures && (input->rank == 0 || input->dims[0] == -1) && pictures_fit(input))
        return CN_OK;
    if (!count_elements(input, &count))
        return cn_fail(error, CN_INVALID,
                       "the shape %s has a negative dimension or more elements than can be counted",
                       infer_format_shape(input, text));
    enum cn_status status = pictures ? check_pictures_shape(input, error)
                                     : count_images(request, input, ret_images, ret_order, error);
    if (pictures)
        *ret_images = count;
    return status == CN_OK ? check_images(request, input, *ret_images, error) : status;
}
