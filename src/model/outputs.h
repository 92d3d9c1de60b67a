/* outputs.h: a row of a network's outputs in an answer, by what kind of numbers they are. */
#ifndef CONVNET_MODEL_OUTPUTS_H
#define CONVNET_MODEL_OUTPUTS_H

#include "convnet/model.h"
#include "json/write.h"

/* What a row of outputs says of a picture in which `others` parts might be digits beside the one
 * that was read: the confidence is shared with them. */
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

/* The member "preprocessing": what was done to a picture. */
void cn_report_add_json(struct cn_text *text, const struct cn_preprocessing_report *report);

/* The columns of a CSV answer, and a row of them; no line break at the end. */
void cn_outputs_add_csv_head(struct cn_text *text, const struct cn_model *model);
void cn_outputs_add_csv(struct cn_text *text, const struct cn_model *model, const float *outputs,
                        int others);

/* The same columns with nothing in them. */
void cn_outputs_add_csv_empty(struct cn_text *text, const struct cn_model *model);

/* True if the outputs can be a picture: a map of rows and columns. */
bool cn_outputs_is_picture(const struct cn_model *model);

/* The map as a PNG: of one channel its values from 0 to 1 as grey, of several the number of the
 * largest channel of each pixel. */
void cn_outputs_add_png(struct cn_text *text, const struct cn_model *model, const float *outputs);

#endif
