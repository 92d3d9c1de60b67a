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

static bool parse_memory(const char *text, void *field, const char **ret_rule) {
    static const char units[] = "KMGT";
    char *end;
    const double number = strtod(text, &end);
    double size = number;
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    for (const char *u = units; unit != NULL && u <= unit; u++) {
        size *= 1024;
    }
    *ret_rule = "must be a size from 1M to 1024T, such as 512M";
    if (end == text || (unit != NULL ? end[1] : *end) != '\0' ||
        !(size >= 1048576.0 && size <= 1.125899906842624e15)) {
        return false;
    }
    *(size_t *)field = (size_t)size;
    return true;
}

/* `field` is the baseline's; that there is one is the field before it. */
static bool parse_baseline(const char *text, void *field, const char **ret_rule) {
    struct cn_training_options *o =
        (void *)((char *)field - offsetof(struct cn_training_options, baseline));
    char *end;
    const double value = strtod(text, &end);
    *ret_rule = "must be a number from -1e6 to 1e6";
    if (end == text || *end != '\0' || !(value >= -1e6 && value <= 1e6)) {
        return false;
    }
    o->baseline = (float)value;
    o->has_baseline = true;
    return true;
}

const char *const train_keep_names[] = {"auto", "best", "last", NULL};

static const struct cli_option options[] = {
    {"architecture", "NAME|FILE.json", CLI_STRING, SETTING(architecture),
     .text = "Keras Sequential JSON file, or the name of a known one"},
    {"weights", "MODEL", CLI_STRING, SETTING(weights),
     .text = "go on from this model instead, its weights and its architecture"},
    {"new-head", NULL, CLI_FLAG, SETTING(new_head),
     .text = "begin the last layer anew, with an output for each class of the data"},
    {"freeze", "LIST", CLI_STRING, SETTING(freeze),
     .text = "layers that do not learn, by shell patterns: 'conv2d*,batch*'"},
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
    {"optimizer", "NAME", CLI_NAME, OPTION(optimizer),
     .text = "sgd (default), adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam, lion",
     .names = cn_optimizer_names},
    {"learning-rate", "X", CLI_FLOAT, OPTION(learning_rate),
     .text = "step size (sgd 0.01, the others 0.001)", .minimum = 1e-12, .maximum = 1000},
    {"momentum", "X", CLI_FLOAT, OPTION(momentum), .text = "of sgd and rmsprop (0)",
     .maximum = 0.9999},
    {"nesterov", NULL, CLI_FLAG, OPTION(nesterov), .text = "Nesterov's form of sgd's momentum"},
    {"beta-1", "X", CLI_FLOAT, OPTION(beta_1), .text = "first decay of the Adams and lion (0.9)",
     .maximum = 0.999999},
    {"beta-2", "X", CLI_FLOAT, OPTION(beta_2), .text = "their second decay (0.999, lion 0.99)",
     .maximum = 0.999999},
    {"rho", "X", CLI_FLOAT, OPTION(rho), .text = "decay of rmsprop (0.9) and adadelta (0.95)",
     .maximum = 0.999999},
    {"epsilon", "X", CLI_FLOAT, OPTION(epsilon), .text = "what keeps divisions finite (1e-7)",
     .minimum = 1e-12, .maximum = 1},
    {"weight-decay", "X", CLI_FLOAT, OPTION(weight_decay),
     .text = "decoupled decay of the kernels (adamw 0.004, the others 0)", .maximum = 1},
    {"clip-value", "X", CLI_FLOAT, OPTION(clip_value), .text = "clip each gradient to -X..X",
     .maximum = 1e6},
    {"clip-norm", "X", CLI_FLOAT, OPTION(clip_norm),
     .text = "limit the norm of each tensor's gradient", .maximum = 1e6},
    {"global-clip-norm", "X", CLI_FLOAT, OPTION(global_clip_norm),
     .text = "limit the norm of all gradients together", .maximum = 1e6},
    {"schedule", "NAME", CLI_NAME, OPTION(schedule),
     .text = "constant (default), cosine, one-cycle, step, exponential, polynomial",
     .names = cn_schedule_names},
    {"decay-rate", "X", CLI_FLOAT, OPTION(decay_rate),
     .text = "factor of step and exponential (0.1)", .minimum = 1e-6, .maximum = 1},
    {"decay-epochs", "X", CLI_FLOAT, OPTION(decay_epochs), .text = "epochs that it takes (10)",
     .minimum = 0.001, .maximum = 1e6},
    {"end-rate", "X", CLI_FLOAT, OPTION(end_rate), .text = "where polynomial ends (0)",
     .maximum = 1000},
    {"power", "X", CLI_FLOAT, OPTION(power), .text = "power of polynomial (1)", .minimum = 0.001,
     .maximum = 100},
    {"warmup-epochs", "X", CLI_FLOAT, OPTION(warmup_epochs),
     .text = "epochs in which the rate climbs from 0, before the schedule begins (0)",
     .maximum = 1e6},
    {"early-stopping", "N", CLI_INT, OPTION(early_stopping),
     .text = "stop after N epochs without a better one (0: never)", .maximum = 1000000},
    {"baseline", "X", CLI_CUSTOM, OPTION(baseline),
     .text = "what the monitored number must beat, or the stopping goes on counting (none)",
     .parse = parse_baseline},
    {"start-from-epoch", "N", CLI_INT, OPTION(start_from_epoch),
     .text = "epochs up to N are neither counted nor the best (0)", .maximum = 1000000},
    {"reduce-on-plateau", "N", CLI_INT, OPTION(plateau_patience),
     .text = "lower the rate after N epochs without a better one (0: never)", .maximum = 1000000},
    {"plateau-factor", "X", CLI_FLOAT, OPTION(plateau_factor), .text = "times this (0.1)",
     .minimum = 1e-6, .maximum = 0.9999},
    {"plateau-min-delta", "X", CLI_FLOAT, OPTION(plateau_min_delta),
     .text = "what counts as better there (0.0001)", .maximum = 1e6},
    {"plateau-cooldown", "N", CLI_INT, OPTION(plateau_cooldown),
     .text = "epochs after a lowered rate that do not count (0)", .maximum = 1000000},
    {"min-rate", "X", CLI_FLOAT, OPTION(plateau_min_rate), .text = "not below this (0)",
     .maximum = 1000},
    {"monitor", "NAME", CLI_NAME, OPTION(monitor),
     .text = "what better means: auto (default: val_loss, else loss), loss, accuracy, val_loss, "
             "val_accuracy, and with --epoch-metrics val_f1, val_auc",
     .names = cn_monitor_names},
    {"min-delta", "X", CLI_FLOAT, OPTION(min_delta), .text = "by how much at least (0)",
     .maximum = 1e6},
    {"keep", "NAME", CLI_NAME, SETTING(keep),
     .text = "the weights to write: auto (default: best with validation, else last), best, last",
     .names = train_keep_names},
    {"ema", "X", CLI_FLOAT, OPTION(ema),
     .text = "decay of an average of the weights, which is then validated and written (0: none)",
     .maximum = 0.999999},
    {"loss", "NAME", CLI_NAME, OPTION(loss),
     .text = "mean_squared_error (default), categorical_crossentropy, binary_crossentropy, or "
             "another of Keras's: see convnet(1)",
     .names = cn_loss_names, .short_names = cn_loss_short_names},
    {"class-weight", "LIST", CLI_STRING, SETTING(class_weight),
     .text = "weights of the classes, cat=2,dog=0.5 (1), or balanced: rare ones count more"},
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
     .text = "random changes of the images: handwriting, photos, or a list like shift=2,flip=1@0.5 "
             "(none)",
     .parse = parse_augment},
    {"seed", "N", CLI_SEED, OPTION(seed), .text = "random seed; the same seed gives the same bits"},
    {"threads", "N", CLI_INT, OPTION(threads),
     .text = "threads (default: the processors); changes the speed, not the result", .minimum = 1,
     .maximum = 1024},
    {"memory", "SIZE", CLI_CUSTOM, SETTING(memory),
     .text =
         "memory that the training may take, as in 512M or 4G; pictures beyond it lie in a file "
         "(the machine's)",
     .parse = parse_memory},
    {"spill-dir", "DIR", CLI_STRING, SETTING(spill_folder),
     .text = "folder for that file ($TMPDIR, else /var/tmp)"},
    {"history", "FILE.csv", CLI_STRING, SETTING(history),
     .text = "losses and accuracies, one row per epoch"},
    {"epoch-metrics", NULL, CLI_FLAG, OPTION(epoch_metrics),
     .text = "also precision, recall, F1, AUC and top 5 of the validation data in each epoch"},
    {"log-dir", "DIR", CLI_STRING, SETTING(log_folder),
     .text = "write TensorBoard's event files there, after each epoch"},
    {"checkpoint", "FILE", CLI_STRING, SETTING(checkpoint),
     .text = "state to resume from, written after each epoch and when stopped"},
    {"resume", "FILE", CLI_STRING, SETTING(resume), .text = "go on from this checkpoint"},
    {"quiet", NULL, CLI_FLAG, SETTING(quiet), .text = "no progress"},
};

const struct cli_syntax train_syntax = {
    CLI_OPTIONS(options),
    .text = "Train a network on labelled pictures and write a model file.\v"
            "DIR holds pictures in one folder per class, pictures and a labels.csv, or one of the "
            "usual data sets (MNIST's, EMNIST's and CIFAR's files, Kaggle's train.csv, NumPy's "
            ".npz). Ctrl-C finishes the step, saves the checkpoint and says how to go on.",
};
