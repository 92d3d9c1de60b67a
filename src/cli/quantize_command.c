/* quantize_command.c: `convnet quantize`: a model whose values and weights are integers of 8 bits,
 * with its accuracy before and after on data that it was not trained on. One thread here; the
 * library's own inside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "convnet/trainer.h"

struct quantize_settings {
    const char *data, *output;
    int split, threads, samples;
    double share, most_loss;
    bool json;
};

#define SETTING(field) offsetof(struct quantize_settings, field)

static const struct cli_option options[] = {
    {"output", "MODEL", CLI_STRING, SETTING(output), .letter = 'o', .text = "model file to write",
     .required = true},
    CLI_DATA_OPTION(SETTING(data)),
    {"split", "NAME", CLI_NAME, SETTING(split),
     .text = "train, test or validation (default: validation where the data have it, else train)",
     .names = cn_split_names},
    {"validation-split", "X", CLI_DOUBLE, SETTING(share),
     .text = "use only the share X of the split that the training kept for validation (default: "
             "the share in the model's training record; 0: the whole split)",
     .maximum = 0.99},
    {"samples", "N", CLI_INT, SETTING(samples),
     .text = "number of pictures to measure the ranges of values on (256)", .minimum = 1,
     .maximum = 1 << 16},
    {"max-loss", "POINTS", CLI_DOUBLE, SETTING(most_loss),
     .text = "percentage points of accuracy that the model may lose; if it loses more, no file is "
             "written (0.1)",
     .maximum = 100},
    CLI_JSON_OPTION(SETTING(json)),
    CLI_THREADS_OPTION(SETTING(threads)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("MODEL", 1, 1),
    .text = "Make a model with 8-bit integers as weights and values, which is faster and a quarter "
            "of the size. The command measures the accuracy before and after on the data that the "
            "training kept for validation, and makes the thresholds of predict --error anew if the "
            "model has some.",
};

/* The numbers that quantization changes. */
struct fidelity {
    double accuracy, loss;
};

static enum cn_status measure_fidelity(const struct cn_network *network,
                                       const struct cn_dataset *data, int threads,
                                       struct fidelity *ret_fidelity, struct cn_error *error) {
    struct cn_evaluation evaluation;
    enum cn_status status =
        cn_evaluate(network, data, CN_LOSS_CATEGORICAL_CROSSENTROPY, threads, &evaluation, error);
    if (status != CN_OK)
        return status;
    *ret_fidelity = (struct fidelity){evaluation.accuracy, evaluation.loss};
    cn_evaluation_clear(&evaluation);
    return CN_OK;
}

/* `count` samples, evenly spaced, as the network takes them. Caller frees with free(). */
static float *take_samples(const struct cn_dataset *data, size_t count) {
    const size_t size = cn_shape_size(&data->shape);
    float *images = cn_floats_allocate(count * size);
    for (size_t i = 0; images != NULL && i < count; i++)
        cn_image_from_bytes(data->images + i * data->count / count * size, size, images + i * size);
    if (images != NULL)
        cn_preprocessing_normalize(&data->normalization, &data->shape, count, images);
    return images;
}

/* The quantized network of the lowest loss: of ranges that hold all numbers, or that cut the
 * largest and smallest off. */
static enum cn_status quantize_best(const struct cn_network *network, const struct cn_dataset *data,
                                    const struct quantize_settings *settings,
                                    struct cn_network **ret_best, struct fidelity *ret_fidelity,
                                    struct cn_error *error) {
    static const double clips[] = {0, 1e-4, 1e-3};
    const size_t most = (size_t)settings->samples;
    const size_t count = data->count < most ? data->count : most;
    struct cn_network *best = NULL;
    struct fidelity lowest = {0};
    enum cn_status status = CN_OK;
    float *images = take_samples(data, count);
    if (images == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu samples", count);
    for (size_t i = 0; i < sizeof clips / sizeof *clips && status == CN_OK; i++) {
        struct cn_network *quantized = NULL;
        struct fidelity fidelity;
        status = cn_quantize(network, images, count, clips[i], &quantized, error);
        if (status == CN_OK)
            status = measure_fidelity(quantized, data, settings->threads, &fidelity, error);
        if (status == CN_OK && (best == NULL || fidelity.loss < lowest.loss)) {
            struct cn_network *worse = best;
            best = quantized;
            quantized = worse;
            lowest = fidelity;
        }
        cn_network_free(quantized);
    }
    free(images);
    if (status != CN_OK) {
        cn_network_free(best);
        return status;
    }
    *ret_best = best;
    *ret_fidelity = lowest;
    return CN_OK;
}

static enum cn_status check_loss(const struct fidelity *before, const struct fidelity *after,
                                 double most, struct cn_error *error) {
    const double lost = 100 * (before->accuracy - after->accuracy);
    return lost <= most
               ? CN_OK
               : cn_fail(error, CN_INVALID,
                         "the accuracy falls from %.2f %% to %.2f %%: the quantized model loses "
                         "%.2f points, and --max-loss allows %g",
                         100 * before->accuracy, 100 * after->accuracy, lost, most);
}

/* Makes new thresholds for a model that had some: thresholds hold for one network's probabilities.
 */
static enum cn_status renew_sets(struct cn_model *model, const struct cn_dataset *data, int threads,
                                 struct cn_error *error) {
    struct cn_evaluation evaluation;
    if (model->error_levels.count == 0)
        return CN_OK;
    enum cn_status status = cn_evaluate(model->network, data, CN_LOSS_CATEGORICAL_CROSSENTROPY,
                                        threads, &evaluation, error);
    if (status != CN_OK)
        return status;
    status = cn_calibrate_sets(model, &evaluation, data->labels, error);
    cn_evaluation_clear(&evaluation);
    return status;
}

static bool quantize_print(const struct quantize_settings *settings, size_t samples,
                           const struct fidelity *before, const struct fidelity *after) {
    if (settings->json) {
        return cli_put_json_value(json_pack("{s:I, s:f, s:f, s:f, s:f}", "samples",
                                            (json_int_t)samples, "accuracy_before",
                                            before->accuracy, "accuracy", after->accuracy,
                                            "loss_before", before->loss, "loss", after->loss));
    }
    printf("accuracy       %.2f %% -> %.2f %% (%zu samples)\n", 100 * before->accuracy,
           100 * after->accuracy, samples);
    printf("cross-entropy  %.6f -> %.6f\n", before->loss, after->loss);
    return cli_stdout_good();
}

static enum cn_status read_data(struct quantize_settings *settings, const struct cn_model *model,
                                struct cn_dataset **ret_data, struct cn_error *error) {
    const bool apart = cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION);
    if (settings->split < 0)
        settings->split = apart ? CN_SPLIT_VALIDATION : CN_SPLIT_TRAIN;
    if (settings->share < 0) {
        settings->share =
            settings->split == CN_SPLIT_TRAIN ? cli_data_recorded_share(model->training) : 0;
    }
    enum cn_status status = cn_model_check_input(model, error);
    if (status == CN_OK && model->network->quantization != NULL)
        status = cn_fail(error, CN_INVALID, "the model is quantized already");
    if (status == CN_OK) {
        status =
            cli_data_read(settings->data, (enum cn_split)settings->split, model, ret_data, error);
    }
    return status == CN_OK ? cli_data_keep_share(ret_data, model->training, settings->share, error)
                           : status;
}

int cli_quantize(int argc, char **argv) {
    struct quantize_settings settings = {.split = -1,
                                         .share = -1,
                                         .samples = 256,
                                         .most_loss = 0.1,
                                         .threads = cn_default_threads()};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_dataset *data = NULL;
    struct cn_network *quantized = NULL;
    struct fidelity before = {0}, after = {0};
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status = cli_check_writable(settings.output, &error);
    if (status == CN_OK)
        status = cli_model_find(operands[0], false, &model, NULL, &error);
    if (status == CN_OK)
        status = read_data(&settings, model, &data, &error);
    if (status == CN_OK)
        status = measure_fidelity(model->network, data, settings.threads, &before, &error);
    if (status == CN_OK)
        status = quantize_best(model->network, data, &settings, &quantized, &after, &error);
    if (status == CN_OK)
        status = check_loss(&before, &after, settings.most_loss, &error);
    if (status == CN_OK) {
        cn_network_free(model->network);
        model->network = quantized;
        quantized = NULL;
        status = renew_sets(model, data, settings.threads, &error);
    }
    if (status == CN_OK)
        status = cn_model_write(model, settings.output, &error);
    int exit_status = CLI_DONE;
    if (status != CN_OK)
        exit_status = cli_report(argv[0], &error);
    else if (!quantize_print(&settings, data->count, &before, &after))
        exit_status = CLI_FAILED;
    cn_network_free(quantized);
    cn_dataset_free(data);
    cn_model_free(model);
    return exit_status;
}
