/* evaluate.h: what the files of `convnet evaluate` share: results -> text, JSON, a drawn report. */
#ifndef CONVNET_CLI_EVALUATE_H
#define CONVNET_CLI_EVALUATE_H

#include "cli/cli.h"
#include "convnet/trainer.h"

struct evaluate_settings {
    const char *model, *data, *outliers, *report, *history;
    int split, loss, threads;
    bool json, confusion;
};

/* The measures of how the confidence detects inputs of no class. */
struct outlier_result {
    size_t samples;
    double auroc;           /* how often data are more confident than outliers; ties count half */
    double mean_confidence; /* of the outliers */
};

struct evaluate_result {
    const struct evaluate_settings *settings;
    struct cn_model *model;
    struct cn_dataset *data;
    struct cn_evaluation evaluation; /* its loss contains the penalty */
    double penalty;                  /* that the regularizers add */
    double interval[2];              /* 95 %, of the accuracy */
    double calibration_error;
    struct cn_reliability_bin bins[CN_RELIABILITY_BINS];
    struct cn_class_means means;
    struct outlier_result outliers; /* samples 0: not asked for */
};

/* The Wilson score interval of `correct` of `samples`, 95 % (Wilson 1927). */
void evaluate_interval(size_t correct, size_t samples, double ret_interval[2]);

/* Reads the model and the data that the settings name, and warns on stderr, in the name of
 * `command`, if the model may have learned from them. `result` is zero except for its settings;
 * evaluate_clear frees what it holds. */
enum cn_status evaluate_read(const char *command, struct evaluate_settings *settings,
                             struct evaluate_result *result, struct cn_error *error);

/* Measures everything, and fills the rest of the result. */
enum cn_status evaluate_measure(struct evaluate_result *result, struct cn_error *error);
void evaluate_clear(struct evaluate_result *result);

/* Checks that a report can be written to `path`: SVG or PNG by its ending. CN_UNSUPPORTED: without
 * cairo. A report has the confusion matrix, calibration and mistakes of `result` (NULL: none of
 * them) and the curves of the file `history` that `convnet train` wrote (NULL: none). */
enum cn_status report_check(const char *path, struct cn_error *error);
enum cn_status report_write(const struct evaluate_result *result, const char *history,
                            const char *path, struct cn_error *error);

#endif
