/* calibrate.c: `convnet calibrate`: finds the temperature that calibrates a model's probabilities,
 * and the thresholds of its sets of labels, on data that it was not trained on, and writes them
 * into the model file. One thread here; the library uses its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "convnet/trainer.h"

struct calibrate_settings {
    const char *model, *data, *output;
    int split, threads;
    double share;
    bool json;
};

#define SETTING(field) offsetof(struct calibrate_settings, field)

static const struct cli_option options[] = {
    CLI_MODEL_OPTION(SETTING(model)),
    CLI_DATA_OPTION(SETTING(data)),
    {"output", "MODEL", CLI_STRING, SETTING(output), .text = "model file to write",
     .required = true},
    {"split", "NAME", CLI_NAME, SETTING(split), .text = "train (default), test or validation",
     .names = cn_split_names},
    {"validation-split", "X", CLI_DOUBLE, SETTING(share),
     .text = "use only the share X of the split that the training kept for validation (default: 0, "
             "the whole split)",
     .maximum = 0.99},
    CLI_JSON_OPTION(SETTING(json)),
    CLI_THREADS_OPTION(SETTING(threads)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .text = "Calibrate a model's probabilities on data that it was not trained on.",
};

/* The numbers that calibration changes. */
struct quality {
    double loss, error;
};

/* Measures the model. `calibrated`: the same model, which gets thresholds from the same answers;
 * NULL: no thresholds are made. */
static enum cn_status measure(const struct cn_model *model, const struct cn_dataset *data,
                              int threads, struct cn_model *calibrated, struct quality *ret_quality,
                              struct cn_error *error) {
    struct cn_reliability_bin bins[CN_RELIABILITY_BINS];
    struct cn_evaluation evaluation;
    enum cn_status status = cn_evaluate(model->network, data, CN_LOSS_CATEGORICAL_CROSSENTROPY,
                                        threads, &evaluation, error);
    if (status != CN_OK)
        return status;
    *ret_quality = (struct quality){.loss = evaluation.loss,
                                    .error = cn_calibration_error(&evaluation, data->labels, bins)};
    if (calibrated != NULL)
        status = cn_calibrate_sets(calibrated, &evaluation, data->labels, error);
    cn_evaluation_clear(&evaluation);
    return status;
}

static bool calibration_print(const struct calibrate_settings *settings,
                              const struct cn_model *model, size_t samples,
                              const struct quality *before, const struct quality *after) {
    const double temperature = cli_decimal(model->network->temperature);
    const struct cn_error_levels *levels = &model->error_levels;
    if (settings->json) {
        json_t *errors = json_array();
        for (size_t i = 0; i < levels->count; i++)
            (void)json_array_append_new(errors, json_real(levels->levels[i].error));
        return cli_put_json_value(json_pack("{s:f, s:I, s:f, s:f, s:f, s:f, s:o}", "temperature",
                                            temperature, "samples", (json_int_t)samples,
                                            "loss_before", before->loss, "loss", after->loss,
                                            "calibration_error_before", before->error,
                                            "calibration_error", after->error, "errors", errors));
    }
    printf("temperature        %g (from %zu samples)\n", temperature, samples);
    printf("cross-entropy      %.6f -> %.6f\n", before->loss, after->loss);
    printf("calibration error  %.4f -> %.4f\n", before->error, after->error);
    for (size_t i = 0; i < levels->count; i++)
        printf("sets of error %-5g rejected below %.4f, with labels from %.4f\n",
               levels->levels[i].error, (double)levels->levels[i].reject,
               (double)levels->levels[i].label);
    if (levels->count > 0)
        printf("undecided below    %.4f\n", (double)levels->doubt);
    return cli_stdout_good();
}

/* Warns if the model was trained on pictures that it is calibrated on: its probabilities for them
 * are higher than for new pictures. */
static void warn_of_training_data(const char *command, const struct calibrate_settings *settings,
                                  const struct cn_model *model, const struct cn_dataset *data) {
    const double kept = cli_data_recorded_share(model->training);
    char advice[80] = "use other pictures";
    if (settings->share > 0 && settings->share <= kept)
        return; /* a part of what the training kept */
    const size_t learned = cli_data_learned(model, data);
    if (kept > 0)
        (void)snprintf(advice, sizeof advice, "--validation-split %g takes only the others", kept);
    if (learned > 0) {
        (void)cli_fail(command,
                       "%s: the model was trained on %zu of these %zu pictures, so that its "
                       "probabilities for new pictures will be too high; %s",
                       settings->data, learned, data->count, advice);
    }
}

int cli_calibrate(int argc, char **argv) {
    struct calibrate_settings settings = {.split = CN_SPLIT_TRAIN, .threads = cn_default_threads()};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_dataset *data = NULL;
    struct quality before = {0}, after = {0};
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status = cli_check_writable(settings.output, &error);
    if (status == CN_OK)
        status = cli_model_find(settings.model, false, &model, NULL, &error);
    if (status == CN_OK)
        status = cli_data_read(settings.data, (enum cn_split)settings.split, model, &data, &error);
    if (status == CN_OK) {
        warn_of_training_data(argv[0], &settings, model, data);
        status = cli_data_keep_share(&data, model->training, settings.share, &error);
    }
    if (status == CN_OK)
        status = measure(model, data, settings.threads, NULL, &before, &error);
    if (status == CN_OK)
        status = cn_calibrate(model->network, data, settings.threads, &error);
    if (status == CN_OK)
        status = measure(model, data, settings.threads, model, &after, &error);
    if (status == CN_OK)
        status = cn_model_write(model, settings.output, &error);
    int exit_status = CLI_DONE;
    if (status != CN_OK)
        exit_status = cli_report(argv[0], &error);
    else if (!calibration_print(&settings, model, data->count, &before, &after))
        exit_status = CLI_FAILED;
    cn_dataset_free(data);
    cn_model_free(model);
    return exit_status;
}
