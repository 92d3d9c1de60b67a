/* reading_json.c: see reading_json.h. Pure. */
#include "reading/reading_json.h"

#include "model/outputs.h"

static void add_symbol(struct cn_text *text, const struct cn_model *model,
                       const struct cn_error_level *level, const struct cn_reading_symbol *symbol) {
    const char separator[] = {symbol->separator, '\0'};
    const bool digit = symbol->class_index >= 0;
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "label", digit ? model->labels[symbol->class_index] : separator);
    cn_json_add_float(text, "confidence", symbol->confidence);
    cn_json_add_integers(text, "box", symbol->box, 4);
    if (digit)
        cn_json_add_floats(text, "probabilities", symbol->probabilities, model->label_count);
    if (digit && level != NULL)
        cn_outputs_add_set_json(text, model, level, symbol->probabilities);
    cn_json_close(text, '}');
}

void cn_reading_add_line(struct cn_text *text, const struct cn_model *model,
                         const struct cn_error_level *level, const struct cn_reading_line *line) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "text", line->text);
    cn_json_add_float(text, "confidence", line->confidence);
    cn_json_add_integers(text, "box", line->box, 4);
    cn_json_open(text, "digits", '[');
    for (size_t s = 0; s < line->count; s++)
        add_symbol(text, model, level, &line->symbols[s]);
    cn_json_close(text, ']');
    cn_json_close(text, '}');
}

void cn_reading_add_lines(struct cn_text *text, const struct cn_model *model,
                          const struct cn_error_level *level, const struct cn_reading *reading) {
    cn_json_open(text, "lines", '[');
    for (size_t i = 0; i < reading->count; i++)
        cn_reading_add_line(text, model, level, &reading->lines[i]);
    cn_json_close(text, ']');
}
