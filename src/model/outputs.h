/* outputs.h: writes a row of a network's outputs in an answer, according to their kind. */
#ifndef CONVNET_MODEL_OUTPUTS_H
#define CONVNET_MODEL_OUTPUTS_H

#include "convnet/model.h"
#include "json/write.h"

/* The answer of a row of outputs for a picture in which `others` parts may be further digits: they
 * reduce the confidence. */
struct cn_answer cn_outputs_answer(const struct cn_model *model, const float *outputs, int others);

/* Members of a JSON object that is open:
 *   softmax, sigmoid   "class", "label", "confidence", "probabilities"
 *   sigmoids           "labels" (those of one half and more), "probabilities"
 *   logits             "class", "label", "values"
 *   number             "value"
 *   map                "shape", "values"
 */
void cn_outputs_add_json(struct cn_text *text, const struct cn_model *model, const float *outputs,
                         int others);

/* Adds the members of a set of labels: "labels", a list, and "rejected". */
void cn_outputs_add_set_json(struct cn_text *text, const struct cn_model *model,
                             const struct cn_error_level *level, const float *outputs);

/* Add the same as two columns, each of which begins with a comma: the labels, separated by spaces,
 * and 0 or 1; the names of the columns; two empty columns. */
void cn_outputs_add_set_csv(struct cn_text *text, const struct cn_model *model,
                            const struct cn_error_level *level, const float *outputs);
#define CN_OUTPUTS_SET_CSV_HEAD  ",labels,rejected"
#define CN_OUTPUTS_SET_CSV_EMPTY ",,"

/* Adds the member "preprocessing", the report of a picture. */
void cn_report_add_json(struct cn_text *text, const struct cn_preprocessing_report *report);

/* Add the columns of a CSV answer, and a row of them, without a line break. */
void cn_outputs_add_csv_head(struct cn_text *text, const struct cn_model *model);
void cn_outputs_add_csv(struct cn_text *text, const struct cn_model *model, const float *outputs,
                        int others);

/* Adds the same columns, empty. */
void cn_outputs_add_csv_empty(struct cn_text *text, const struct cn_model *model);

/* True if the outputs can be shown as a picture: a map of rows and columns. */
bool cn_outputs_is_picture(const struct cn_model *model);

/* Adds the map as a PNG: one channel's values from 0 to 1 as grey levels; of several channels the
 * number of the largest one at each pixel. */
void cn_outputs_add_png(struct cn_text *text, const struct cn_model *model, const float *outputs);

#endif
