/* reading.h: rows of digits in one picture, by a model that reads single ones.
 *
 * The ink of the picture is found as cn_preprocess finds it, cut into pieces, and the pieces are
 * grouped into lines. Each run of pieces that might be one character is fitted as a single digit
 * is, and answered by the network; the best way through a line is found by dynamic programming (as
 * in Matan, Burges, LeCun and Denker, "Multi-digit recognition using a space displacement neural
 * network", 1992, with cuts in place of displacements).
 */
#ifndef CONVNET_READING_H
#define CONVNET_READING_H

#include "convnet/model.h"
#include "convnet/plan.h"

CN_DECLARATIONS_BEGIN

enum { CN_READING_PATTERN = 64 }; /* bytes of a pattern, with its NUL */

/* What the caller knows of the text. Zero: nothing. */
struct cn_reading_options {
    int lines;  /* so many lines, the largest ones; 0: all */
    int length; /* each line has so many digits; 0: any number */
    /* Each line has this form: d is a digit, every other character stands for itself and is taken
     * from here, whatever is drawn there. "": none. */
    char pattern[CN_READING_PATTERN];
    bool separators; /* dots, commas, minus and slashes become characters of the text */
};

/* One character: a digit, or a separator, which has no probabilities. */
struct cn_reading_symbol {
    int box[4];      /* x, y, width, height in the picture */
    int class_index; /* of the model; -1: a separator */
    char separator;
    float confidence;
    const float *probabilities; /* [label_count]; NULL for a separator; the reading's */
};

struct cn_reading_line {
    int box[4];
    char *text;       /* the labels and separators, one after the other */
    float confidence; /* that all of it is right */
    size_t count;
    struct cn_reading_symbol *symbols; /* [count] from left to right */
};

struct cn_reading {
    size_t count;
    struct cn_reading_line *lines; /* [count] from top to bottom */
    size_t label_count;
    float *probabilities; /* all that the symbols point to */
    bool inverted;        /* the picture was dark on light */
};

/* True if the model can read: one picture of one channel in, prepared as a digit is (fit mnist), a
 * softmax out. */
bool cn_reading_possible(const struct cn_model *model);

/* CN_INVALID, naming the value and the rule, if the options contradict each other or a limit. */
enum cn_status cn_reading_options_check(const struct cn_reading_options *options,
                                        struct cn_error *error);

/* Reads a picture with `plan`, which is `model`'s, on the calling thread. A picture without ink has
 * no lines. Caller frees with cn_reading_free. CN_UNSUPPORTED: the model cannot read; CN_INVALID:
 * the options; CN_LIMIT: more characters than CN_READING_MOST_SYMBOLS; CN_MEMORY. */
enum cn_status cn_read(const struct cn_model *model, const struct cn_plan *plan,
                       struct cn_workspace *workspace, const struct cn_picture *picture,
                       const struct cn_reading_options *options, struct cn_reading **ret_reading,
                       struct cn_error *error);

void cn_reading_free(struct cn_reading *reading); /* accepts NULL */

CN_DECLARATIONS_END

#endif
