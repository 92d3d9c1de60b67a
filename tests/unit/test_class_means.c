/* test_class_means.c: compares F1, precision, recall, AUC and top 5 with published examples from
 * scikit-learn's documentation, and the AUC with a count over all pairs. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "convnet/trainer.h"
#include "support/networks.h"

/* An evaluation of `samples` answers [samples, classes]; its confusion matrix points to
 * `confusion`. */
static struct cn_evaluation evaluation_of(float *answers, const uint16_t *labels, size_t samples,
                                          size_t classes, size_t *confusion) {
    struct cn_evaluation e = {.samples = samples,
                              .class_count = classes,
                              .confusion = confusion,
                              .probabilities = answers};
    memset(confusion, 0, classes * classes * sizeof *confusion);
    for (size_t i = 0; i < samples; i++) {
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            best = answers[i * classes + c] > answers[i * classes + best] ? c : best;
        confusion[labels[i] * classes + best]++;
    }
    return e;
}

/* f1_score and its relatives: y_true 0 1 2 0 1 2, y_pred 0 2 1 0 0 1. */
Test(class_means, the_documented_f1) {
    static const uint16_t labels[] = {0, 1, 2, 0, 1, 2}, answers[] = {0, 2, 1, 0, 0, 1};
    float outputs[18] = {0};
    size_t confusion[9];
    struct cn_class_means means;
    for (size_t i = 0; i < 6; i++)
        outputs[3 * i + answers[i]] = 1;
    const struct cn_evaluation e = evaluation_of(outputs, labels, 6, 3, confusion);
    cr_assert_eq(cn_class_means(&e, labels, &means, NULL), CN_OK);
    cr_expect_float_eq(means.f1, 0.26666666666666666, 1e-12);
    cr_expect_float_eq(means.weighted_f1, 0.26666666666666666, 1e-12);
    cr_expect_float_eq(means.precision, 0.2222222222222222, 1e-12);
    cr_expect_float_eq(means.recall, 0.3333333333333333, 1e-12);
    cr_expect(isnan(means.top_5), "three classes have no five largest");
    const struct cn_class_result first = cn_class_result(&e, 0);
    cr_expect_float_eq(cn_class_f1(&first), 0.8, 1e-12);
}

/* roc_auc_score: labels 0 0 1 1, scores 0.1 0.4 0.35 0.8. */
Test(class_means, the_documented_auc) {
    float inside[] = {0.8f, 0.35f}, outside[] = {0.4f, 0.1f};
    cr_assert_float_eq(cn_auroc(inside, 2, outside, 2), 0.75, 1e-12);
}

/* The mean over the classes of the share of pairs in the right order, by counting all pairs. */
Test(class_means, auc_is_the_share_of_pairs) {
    enum { SAMPLES = 300, CLASSES = 7 };
    uint16_t labels[SAMPLES];
    size_t confusion[CLASSES * CLASSES], within = 0;
    struct cn_class_means means;
    float *outputs = test_floats(SAMPLES * CLASSES, 0, 1, 3);
    double sum = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        labels[i] = (uint16_t)(i * i % (CLASSES - 1)); /* the last class has no sample */
        for (size_t c = 0; c < CLASSES; c++)           /* many ties */
            outputs[i * CLASSES + c] = floorf(outputs[i * CLASSES + c] * 8) / 8;
        outputs[i * CLASSES + labels[i]] += 0.25f;
    }
    const struct cn_evaluation e = evaluation_of(outputs, labels, SAMPLES, CLASSES, confusion);
    cr_assert_eq(cn_class_means(&e, labels, &means, NULL), CN_OK);
    size_t classes = 0;
    for (size_t c = 0; c < CLASSES; c++) {
        double right = 0, pairs = 0;
        for (size_t i = 0; i < SAMPLES; i++)
            for (size_t k = 0; labels[i] == c && k < SAMPLES; k++) {
                const float own = outputs[i * CLASSES + c], other = outputs[k * CLASSES + c];
                if (labels[k] != c) {
                    pairs++;
                    right += own > other ? 1 : own == other ? 0.5 : 0;
                }
            }
        classes += pairs > 0;
        sum += pairs > 0 ? right / pairs : 0;
    }
    cr_expect_float_eq(means.auc, sum / (double)classes, 1e-9);
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t larger = 0;
        for (size_t c = 0; c < CLASSES; c++)
            larger += outputs[i * CLASSES + c] > outputs[i * CLASSES + labels[i]];
        within += larger < 5;
    }
    cr_expect_float_eq(means.top_5, (double)within / SAMPLES, 1e-12);
    free(outputs);
}

Test(class_means, nothing_measured_is_no_number) {
    const struct cn_class_means none = cn_class_means_none();
    cr_assert(isnan(none.precision) && isnan(none.recall) && isnan(none.f1) &&
              isnan(none.weighted_f1) && isnan(none.auc) && isnan(none.top_5));
}
