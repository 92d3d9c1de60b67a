/* augment_command.c: `convnet augment`: draws a sheet of pictures, each unchanged and as training
 * would change it, to look at before a training. One thread. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/names.h"
#include "cli/train.h"
#include "train/augment.h"

enum { GAP = 2, STREAM_SHEET = 9 };

struct augment_settings {
    const char *model, *data, *output;
    struct cn_augmentation augmentation;
    int rows, columns;
    uint64_t seed;
};

#define SETTING(field) offsetof(struct augment_settings, field)

static const struct cli_option options[] = {
    {"data", "DIR", CLI_STRING, SETTING(data), .text = "folder with the training data",
     .required = true},
    {"model", "NAME|FILE", CLI_STRING, SETTING(model),
     .text = "architecture or model whose input size the pictures get (default: digits)"},
    {"augment", "LIST", CLI_CUSTOM, SETTING(augmentation),
     .text =
         "changes, as for train: handwriting, photos, or a list such as shift=2,flip=1@0.5 (none)",
     .parse = train_parse_augmentation},
    {"output", "FILE.png", CLI_STRING, SETTING(output), .text = "sheet to write", .required = true},
    {"rows", "N", CLI_INT, SETTING(rows), .text = "number of pictures (8)", .minimum = 1,
     .maximum = 200},
    {"columns", "N", CLI_INT, SETTING(columns),
     .text = "number of changed images of each picture (10)", .minimum = 1, .maximum = 200},
    {"seed", "N", CLI_SEED, SETTING(seed), .text = "random seed (0)"},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .text = "Draw a sheet of training pictures: each row shows a picture as it is, then as "
            "--augment changes it.",
};

/* The sheet: cells with gaps between them. */
struct sheet {
    struct cn_shape cell, shape;
    float *pixels;
};

static void put_cell(const struct sheet *sheet, int row, int column, const float *image) {
    const size_t height = (size_t)sheet->cell.dims[0], channels = (size_t)sheet->cell.dims[2];
    const size_t width = (size_t)sheet->cell.dims[1], whole = (size_t)sheet->shape.dims[1];
    const size_t top = (size_t)row * (height + GAP), left = (size_t)column * (width + GAP);
    for (size_t y = 0; y < height; y++) {
        memcpy(sheet->pixels + ((top + y) * whole + left) * channels, image + y * width * channels,
               width * channels * sizeof *image);
    }
}

static enum cn_status fill_sheet(const struct augment_settings *settings,
                                 const struct cn_model *model, const struct cn_dataset *data,
                                 const struct sheet *sheet, struct cn_error *error) {
    const size_t size = cn_shape_size(&data->shape);
    float *image = cn_floats_allocate(size), *other = cn_floats_allocate(size);
    struct cn_augmenter *augmenter = NULL;
    enum cn_status status =
        image != NULL && other != NULL
            ? cn_augmenter_create(&settings->augmentation, &model->preprocessing, &data->shape,
                                  &augmenter, error)
            : cn_fail(error, CN_MEMORY, "no memory for a picture");
    if (status == CN_OK)
        cn_augmenter_set_neighbours(augmenter, data->images, data->count);
    for (int row = 0; status == CN_OK && row < settings->rows; row++) {
        struct cn_random choice = cn_random_stream(settings->seed, STREAM_SHEET, (uint64_t)row, 0);
        const uint8_t *from =
            data->images + (size_t)cn_random_below(&choice, (uint32_t)data->count) * size;
        cn_image_from_bytes(from, size, image);
        put_cell(sheet, row, 0, image);
        for (int column = 1; column <= settings->columns; column++) {
            struct cn_random random =
                cn_random_stream(settings->seed, STREAM_SHEET, (uint64_t)row, (uint64_t)column);
            const bool same_class = cn_augment(augmenter, &random, from, image);
            const enum cn_mix how = cn_mix_draw(&settings->augmentation, &random);
            if (same_class && how != CN_MIX_NONE) {
                const size_t sample = cn_random_below(&random, (uint32_t)data->count);
                if (cn_augment(augmenter, &random, data->images + sample * size, other))
                    (void)cn_mix(how, &settings->augmentation, &random, other, &data->shape, image);
            }
            put_cell(sheet, row, column, image);
        }
    }
    cn_augmenter_free(augmenter);
    free(image);
    free(other);
    return status;
}

static enum cn_status draw_sheet(const struct augment_settings *settings,
                                 const struct cn_model *model, const struct cn_dataset *data,
                                 struct cn_error *error) {
    const int *cell = data->shape.dims;
    struct sheet sheet = {.cell = data->shape};
    sheet.shape = cn_shape_image(settings->rows * (cell[0] + GAP) - GAP,
                                 (settings->columns + 1) * (cell[1] + GAP) - GAP, cell[2]);
    const size_t count = cn_shape_size(&sheet.shape);
    void *png = NULL;
    size_t length = 0;
    sheet.pixels = cn_floats_allocate(count);
    if (sheet.pixels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a sheet of %zu samples", count);
    for (size_t i = 0; i < count; i++)
        sheet.pixels[i] = 0.5f;
    const struct cn_preprocessing plain =
        cn_preprocessing_without_normalization(&model->preprocessing);
    enum cn_status status = fill_sheet(settings, model, data, &sheet, error);
    if (status == CN_OK)
        status = cn_image_to_png(&plain, sheet.pixels, &sheet.shape, &png, &length, error);
    if (status == CN_OK) {
        const struct cn_file_part part = {png, length};
        status = cn_file_write(settings->output, &part, 1, error);
    }
    free(png);
    free(sheet.pixels);
    return status;
}

int cli_augment(int argc, char **argv) {
    struct augment_settings settings = {.model = "digits", .rows = 8, .columns = 10};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_dataset *data = NULL;
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status =
        cn_name_ends(settings.output, ".png")
            ? cli_check_writable(settings.output, &error)
            : cn_fail(&error, CN_INVALID, "the sheet \"%s\" must end with .png", settings.output);
    if (status == CN_OK)
        status = cli_model_find(settings.model, true, &model, NULL, &error);
    if (status == CN_OK) {
        status = cn_dataset_read(settings.data, CN_SPLIT_TRAIN, &model->network->input_shape,
                                 &model->preprocessing, &data, &error);
    }
    if (status == CN_OK)
        status = draw_sheet(&settings, model, data, &error);
    cn_dataset_free(data);
    cn_model_free(model);
    if (status == CN_OK) {
        fprintf(stderr, "Written: %s: %d pictures, each unchanged and in %d changed versions\n",
                settings.output, settings.rows, settings.columns);
    }
    return status == CN_OK ? CLI_DONE : cli_report(argv[0], &error);
}
