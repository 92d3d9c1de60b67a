/* train_options.c: THE table of `convnet train`'s options.
 *
 * Values only; what they must be together is cn_training_options_check's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

#define SETTING(field) offsetof(struct train_settings, field)
#define OPTION(field)  offsetof(struct train_settings, options.field)

static bool parse_augment(const char *text, void *field, const char **ret_rule) {
    static struct cn_error error; /* options are parsed by one thread */
    error = (struct cn_error){0};
    struct cn_augmentation augmentation;
    if (cn_augmentation_parse(text, &augmentation, &error) != CN_OK) {
        *ret_rule = error.text;
        return false;
    }
    memcpy(field, &augmentation, sizeof augmentation);
    return true;
}

static const struct cli_option options[] = {
    {"architecture", "NAME|FILE.json", CLI_STRING, SETTING(architecture),
     .text = "Keras Sequential JSON file, or the name of a known one"},
    {"weights", "MODEL", CLI_STRING, SETTING(weights),
     .text = "go on from this model instead, its weights and its architecture"},
    {"teacher", "MODEL", CLI_STRING, SETTING(teacher),
     .text = "model whose answers are targets beside the labels"},
    {"teacher-share", "X", CLI_FLOAT, SETTING(teacher_share),
     .text = "their share of the target (0.5)", .minimum = 0.001, .maximum = 1},
    {"data", "DIR", CLI_STRING, SETTING(data), .text = "folder with the training data",
     .required = true},
    {"extra-data", "DIR", CLI_STRING, SETTING(extra_data),
     .text = "folder with more of the same classes, for training only"},
    {"output", "MODEL", CLI_STRING, SETTING(output), .text = "model file to write",
     .required = true},
    {"epochs", "N", CLI_INT, OPTION(epochs), .text = "passes over the data (20)", .minimum = 1,
     .maximum = 1000000},
    {"batch-size", "N", CLI_INT, OPTION(batch_size), .text = "samples of one step (32)",
     .minimum = 1, .maximum = 65536},
    {"optimizer", "NAME", CLI_NAME, OPTION(optimizer), .text = "sgd (default), adam, adamw",
     .names = cn_optimizer_names},
    {"learning-rate", "X", CLI_FLOAT, OPTION(learning_rate), .text = "step size (0.01)",
     .minimum = 1e-12, .maximum = 1000},
    {"schedule", "NAME", CLI_NAME, OPTION(schedule),
     .text = "how the rate changes: constant (default), cosine, one-cycle",
     .names = cn_schedule_names},
    {"momentum", "X", CLI_FLOAT, OPTION(momentum), .text = "sgd's momentum (0)", .maximum = 0.9999},
    {"nesterov", NULL, CLI_FLAG, OPTION(nesterov), .text = "Nesterov's form of the momentum"},
    {"beta-1", "X", CLI_FLOAT, OPTION(beta_1), .text = "adam's first decay (0.9)",
     .maximum = 0.999999},
    {"beta-2", "X", CLI_FLOAT, OPTION(beta_2), .text = "adam's second decay (0.999)",
     .maximum = 0.999999},
    {"weight-decay", "X", CLI_FLOAT, OPTION(weight_decay), .text = "adamw's decay of kernels (0)",
     .maximum = 1},
    {"ema", "X", CLI_FLOAT, OPTION(ema),
     .text = "decay of an average of the weights, which is then validated and written (0: none)",
     .maximum = 0.999999},
    {"loss", "NAME", CLI_NAME, OPTION(loss),
     .text = "mean_squared_error (default), categorical_crossentropy", .names = cn_loss_names},
    {"label-smoothing", "X", CLI_FLOAT, OPTION(label_smoothing),
     .text = "share of the target spread over all classes (0)", .maximum = 0.99},
    {"validation-data", "DIR", CLI_STRING, SETTING(validation_data),
     .text = "folder to validate on (default: the folder val or validation in DIR, if there)"},
    {"validation-split", "X", CLI_DOUBLE, SETTING(validation_split),
     .text = "share of the data kept for validation, the same of each class (0)", .maximum = 0.99},
    {"validation-order", "NAME", CLI_NAME, SETTING(validation_order),
     .text = "which are kept: by-class (default), or tail, the last ones as Keras does",
     .names = cn_split_order_names},
    {"split-seed", "N", CLI_SEED, SETTING(split_seed),
     .text = "seed of by-class (0); --seed does not change what is kept"},
    {"augment", "LIST", CLI_CUSTOM, OPTION(augmentation),
     .text = "random changes of the images: handwriting, or a list like shift=2,elastic=1.5 (none)",
     .parse = parse_augment},
    {"seed", "N", CLI_SEED, OPTION(seed), .text = "random seed; the same seed gives the same bits"},
    {"threads", "N", CLI_INT, OPTION(threads),
     .text = "threads (default: the processors); changes the speed, not the result", .minimum = 1,
     .maximum = 1024},
    {"history", "FILE.csv", CLI_STRING, SETTING(history),
     .text = "losses and accuracies, one row an epoch"},
    {"checkpoint", "FILE", CLI_STRING, SETTING(checkpoint),
     .text = "state to resume from, written after each epoch and when stopped"},
    {"resume", "FILE", CLI_STRING, SETTING(resume), .text = "go on from this checkpoint"},
    {"quiet", NULL, CLI_FLAG, SETTING(quiet), .text = "no progress"},
};

const struct cli_syntax train_syntax = {
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .text = "Train a network on labelled pictures and write a model file.\v"
            "DIR holds an IDX pair (MNIST's or EMNIST's file names, plain or .gz) or one folder of "
            "PNGs a class. Ctrl-C finishes the step, saves the checkpoint and says how to go on.",
};
