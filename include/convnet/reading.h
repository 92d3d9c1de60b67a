/* reading.h: reads rows of digits in a picture with a model that classifies single digits.
 *
 * The ink is found as cn_preprocess finds it and cut into pieces, and the pieces are grouped into
 * lines. Each run of pieces that may be one character is fitted like a single digit and classified
 * by the network; dynamic programming finds the best sequence in a line (as in Matan, Burges, LeCun
 * and Denker, "Multi-digit recognition using a space displacement neural network", 1992, with cuts
 * instead of displacements). */
#ifndef CONVNET_READING_H
#define CONVNET_READING_H

#include "convnet/model.h"
#include "convnet/plan.h"

CN_DECLARATIONS_BEGIN

enum { CN_READING_PATTERN = 64 }; /* bytes of a pattern, with its NUL */

/* The caller's knowledge about the text. All zero: none. */
struct cn_reading_options {
    int lines;  /* the number of lines to return, the largest ones; 0: all */
    int length; /* the number of digits in each line; 0: any */
    /* The form of each line: d is a digit; every other character is put into the text here,
     * whatever is drawn there. "": any form. */
    char pattern[CN_READING_PATTERN];
    bool separators; /* dots, commas, minus signs and slashes become characters of the text */
    /* The most parts of the picture that are classified, each of which may be a character; 0: only
     * a line's own limit holds. */
    size_t most_parts;
    bool (*stop)(void *context); /* called for each part: true ends the reading; may be NULL */
    void *context;
};

/* One character: a digit, or a separator, which has no probabilities. */
struct cn_reading_symbol {
    int box[4];      /* x, y, width, height in the picture */
    int class_index; /* of the model's classes; -1: a separator */
    char separator;
    float confidence;
    const float *probabilities; /* [label_count]; NULL for a separator; owned by the reading */
};

struct cn_reading_line {
    int box[4];
    char *text;       /* the labels and separators one after the other */
    float confidence; /* the probability that the whole text is right */
    size_t count;
    struct cn_reading_symbol *symbols; /* [count] from left to right */
};

struct cn_reading {
    size_t count;
    struct cn_reading_line *lines; /* [count] from top to bottom */
    size_t label_count;
    float *probabilities; /* the storage of the symbols' probabilities */
    bool inverted;        /* the picture was dark on light and was inverted */
};

/* True if the model can read: its input is one picture of one channel with fit mnist, its output a
 * softmax. */
bool cn_reading_possible(const struct cn_model *model);

/* CN_INVALID with the value and the rule if options contradict each other or exceed a limit. */
enum cn_status cn_reading_options_check(const struct cn_reading_options *options,
                                        struct cn_error *error);

/* Reads a picture with `plan`, which must be `model`'s, on the calling thread. A picture without
 * ink has no lines. Caller frees with cn_reading_free. CN_UNSUPPORTED: the model cannot read;
 * CN_INVALID: the options; CN_LIMIT: too many characters, or more parts than `most_parts`;
 * CN_CANCELED: `stop` returned true; CN_MEMORY. */
enum cn_status cn_read(const struct cn_model *model, const struct cn_plan *plan,
                       struct cn_workspace *workspace, const struct cn_picture *picture,
                       const struct cn_reading_options *options, struct cn_reading **ret_reading,
                       struct cn_error *error);

void cn_reading_free(struct cn_reading *reading); /* accepts NULL */

CN_DECLARATIONS_END

#endif
