/* predict_command.c: `convnet predict`: one row on stdout for each picture, in input order.
 *
 * An input that cannot be scored gets a message on stderr and the exit status 1; the others are
 * scored. Signals are the default.
 */
#include <stdio.h>

#include "cli/predict_command.h"

struct predict_settings {
    const char *model, *list, *images;
    int format, mode, threads;
    struct input_options input;
};

#define SETTING(field) offsetof(struct predict_settings, field)

static const struct cli_option options[] = {
    {"model", "MODEL", CLI_STRING, SETTING(model), .text = "model file, or the name of a known one",
     .required = true},
    {"format", "NAME", CLI_NAME, SETTING(format), .text = "csv (default), ndjson or table",
     .names = predict_format_names},
    {"files-from", "FILE", CLI_STRING, SETTING(list),
     .text = "also what FILE (- for standard input) names, one per line"},
    {"null", NULL, CLI_FLAG, SETTING(input.null),
     .text = "the names of --files-from end with NUL (find -print0), not with a line break",
     .letter = '0'},
    {"raw", NULL, CLI_FLAG, SETTING(input.raw),
     .text = "standard input (-) holds raw images of one byte per sample, one after another"},
    {"preprocess", "NAME", CLI_NAME, SETTING(mode),
     .text = "auto (default), or none: a picture must have the model's size and is taken as it is",
     .names = cn_picture_mode_names},
    {"images", "DIR", CLI_STRING, SETTING(images),
     .text = "also write what the network saw as DIR/N.png, N being the row, from 1"},
    {"threads", "N", CLI_INT, SETTING(threads), .text = "threads (default: the processors)",
     .minimum = 1, .maximum = 1024},
};

static const struct cli_syntax syntax = {
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = "[PICTURE|DIR|FILE.idx|-]...",
    .most_operands = (size_t)-1,
    .text =
        "Classify pictures (PNG, JPEG, WebP, GIF, TIFF, BMP, PNM), folders of them, IDX files, or "
        "standard input (-): one picture, or with --raw raw images of one byte per sample, one "
        "after another.",
};

int cli_predict(int argc, char **argv) {
    struct predict_settings settings = {.threads = cn_default_threads()};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct batch *batch = NULL;
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (operand_count == 0 && settings.list == NULL) {
        cli_usage_error(argv[0], "no picture is named");
    }
    enum cn_status status = cli_model_find(settings.model, false, &model, NULL, &error);
    if (status == CN_OK) {
        const struct batch_options batch_options = {.command = argv[0],
                                                    .format = &predict_formats[settings.format],
                                                    .mode = (enum cn_picture_mode)settings.mode,
                                                    .images = settings.images,
                                                    .threads = settings.threads};
        status = batch_create(&batch_options, model, &batch, &error);
    }
    bool going = status == CN_OK;
    for (size_t i = 0; going && i < operand_count; i++) {
        going = input_add(batch, model, &settings.input, operands[i]);
    }
    if (going && settings.list != NULL) {
        going = input_add_list(batch, model, &settings.input, settings.list);
    }
    going = going && batch_flush(batch);
    int exit_status = status != CN_OK                 ? cli_report(argv[0], &error)
                      : going && !batch_failed(batch) ? CLI_DONE
                                                      : CLI_FAILED;
    batch_free(batch);
    cn_model_free(model);
    return exit_status;
}
