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

/* Over all classes that have samples. */
struct class_means {
    double precision, recall, f1; /* macro: every class alike */
    double weighted_f1;           /* by the classes' samples */
    double auc;                   /* macro, each class against the rest; NaN: not measured */
    double top_5;                 /* the share whose class is among the five largest; NaN: <= 5 */
};

/* How one class fared. */
struct class_result {
    size_t samples, predicted, correct;
};

/* Confidence as a detector of what is no class of the model's. */
struct outlier_result {
    size_t samples;
    double auroc;           /* how often data are more confident than outliers; ties count half */
    double mean_confidence; /* of the outliers */
};

struct evaluate_result {
    const struct evaluate_settings *settings;
    const struct cn_model *model;
    const struct cn_dataset *data;
    struct cn_evaluation evaluation;
    double interval[2]; /* 95 %, of the accuracy */
    double calibration_error;
    struct cn_reliability_bin bins[CN_RELIABILITY_BINS];
    struct class_means means;
    struct outlier_result outliers; /* samples 0: not asked for */
};

/* The Wilson score interval of `correct` of `samples`, 95 % (Wilson 1927). */
void evaluate_interval(size_t correct, size_t samples, double ret_interval[2]);

struct class_result evaluate_class(const struct cn_evaluation *evaluation, size_t class);

/* Harmonic mean of precision and recall, 0 where neither is above 0. */
double evaluate_f1(const struct class_result *result);

/* CN_MEMORY. */
enum cn_status evaluate_means(const struct cn_evaluation *evaluation, const uint16_t *labels,
                              struct class_means *ret_means, struct cn_error *error);

/* The area under the receiver operating characteristic (Hanley and McNeil 1982) of `count`
 * confidences within the classes against `outlier_count` outside. Sorts both in place. */
double evaluate_auroc(float *confidences, size_t count, float *outliers, size_t outlier_count);

/* Each prints everything; false when stdout can no longer be written. */
bool evaluate_print_text(const struct evaluate_result *result);
bool evaluate_print_json(const struct evaluate_result *result);

/* Draws the report into settings->report: SVG or PNG by its ending. Without cairo: CN_UNSUPPORTED.
 */
enum cn_status evaluate_check_report(const char *path, struct cn_error *error);
enum cn_status evaluate_draw_report(const struct evaluate_result *result, struct cn_error *error);

#endif
