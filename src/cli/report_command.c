/* report_command.c: `convnet report`: a training drawn afterwards: the curves of its history and,
 * with a model and data, what `convnet evaluate --report` shows. One thread here. */
#include <stdio.h>

#include "cli/evaluate.h"

struct report_settings {
    const char *output;
    struct evaluate_settings evaluate; /* its model, data and history may be NULL */
};

#define SETTING(field) offsetof(struct report_settings, field)

static const struct cli_option options[] = {
    {"history", "FILE.csv", CLI_STRING, SETTING(evaluate.history),
     .text = "history that convnet train wrote: draws its curves"},
    {"model", "MODEL", CLI_STRING, SETTING(evaluate.model),
     .text =
         "with --data: also draws the confusion matrix, the calibration and the worst mistakes"},
    {"data", "DIR", CLI_STRING, SETTING(evaluate.data),
     .text = "labelled pictures to measure --model with"},
    {"split", "NAME", CLI_NAME, SETTING(evaluate.split),
     .text = "test (default), train or validation, as for evaluate", .names = cn_split_names},
    {"output", "FILE.svg|png", CLI_STRING, SETTING(output), .text = "page to write",
     .required = true},
    CLI_THREADS_OPTION(SETTING(evaluate.threads)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .text = "Draw the curves of a training and the mistakes of its model.",
};

int cli_draw_report(int argc, char **argv) {
    struct report_settings settings = {
        .evaluate = {.split = CN_SPLIT_TEST, .loss = -1, .threads = cn_default_threads()}};
    struct evaluate_settings *evaluate = &settings.evaluate;
    struct evaluate_result result = {.settings = evaluate};
    struct cn_error error = {0};
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if ((evaluate->model == NULL) != (evaluate->data == NULL)) {
        cli_usage_error(argv[0], "%s is missing: a model is measured with --model MODEL --data DIR",
                        evaluate->model == NULL ? "--model" : "--data");
    }
    if (evaluate->model == NULL && evaluate->history == NULL) {
        cli_usage_error(argv[0], "there is nothing to draw: --history FILE.csv, or --model MODEL "
                                 "--data DIR, or all of them");
    }
    enum cn_status status = report_check(settings.output, &error);
    if (status == CN_OK && evaluate->model != NULL)
        status = evaluate_read(argv[0], evaluate, &result, &error);
    if (status == CN_OK && evaluate->model != NULL)
        status = evaluate_measure(&result, &error);
    if (status == CN_OK) {
        status = report_write(evaluate->model != NULL ? &result : NULL, evaluate->history,
                              settings.output, &error);
    }
    if (status == CN_OK)
        fprintf(stderr, "Written: %s\n", settings.output);
    const int exit_status = status == CN_OK ? CLI_DONE : cli_report(argv[0], &error);
    evaluate_clear(&result);
    return exit_status;
}
