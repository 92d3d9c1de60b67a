/* reading_json.h: a reading as JSON, the same in the server's answers and the command's. */
#ifndef CONVNET_READING_READING_JSON_H
#define CONVNET_READING_READING_JSON_H

#include "convnet/reading.h"
#include "json/write.h"

/* Adds the member "lines": a list of objects with "text", "confidence", "box" and "digits". With a
 * level (NULL: none) each digit has its set of labels. */
void cn_reading_add_lines(struct cn_text *text, const struct cn_model *model,
                          const struct cn_error_level *level, const struct cn_reading *reading);

/* Adds one of them, in a list or alone. */
void cn_reading_add_line(struct cn_text *text, const struct cn_model *model,
                         const struct cn_error_level *level, const struct cn_reading_line *line);

#endif
