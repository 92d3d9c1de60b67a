/* train_options.c: THE table of `convnet train`'s options.
 *
 * It checks each value by itself; cn_training_options_check checks their combination. */
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

#define SETTING(field) offsetof(struct train_settings, field)
#define OPTION(field)  offsetof(struct train_settings, options.field)

bool train_parse_augmentation(const char *text, void *field, const char **ret_rule) {
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
    for (const char *u = units; unit != NULL && u <= unit; u++)
        size *= 1024;
    *ret_rule = "must be a size from 1M to 1024T, such as 512M";
    if (end == text || (unit != NULL ? end[1] : *end) != '\0' ||
        !(size >= 1048576.0 && size <= 1.125899906842624e15))
        return false;
    *(size_t *)field = (size_t)size;
    return true;
}

/* Writes the baseline, which is `field`, and has_baseline beside it. */
static bool parse_baseline(const char *text, void *field, const char **ret_rule) {
    struct cn_training_options *o =
        (void *)((char *)field - offsetof(struct cn_training_options, baseline));
    char *end;
    const double value = strtod(text, &end);
    *ret_rule = "must be a number from -1e6 to 1e6";
    if (end == text || *end != '\0' || !(value >= -1e6 && value <= 1e6))
        return false;
    o->baseline = (float)value;
    o->has_baseline = true;
    return true;
}

static const char *const keep_names[] = {"auto", "best", "last", NULL};

static const struct cli_option options[] = {
    {"architecture", "NAME|FILE.json", CLI_STRING, SETTING(architecture),
     .text = "Keras JSON file of the network, or the name of a known one"},
    {"weights", "MODEL", CLI_STRING, SETTING(weights),
     .text = "model to continue from, with its weights and its architecture"},
    {"new-head", NULL, CLI_FLAG, SETTING(new_head),
     .text = "replace the last layer by a new one with an output for each class of the data"},
    {"freeze", "LIST", CLI_STRING, SETTING(freeze),
     .text = "layers that keep their weights, as shell patterns: 'conv2d*,batch*'"},
    {"teacher", "MODEL", CLI_STRING, SETTING(teacher),
     .text = "model whose answers become targets beside the labels"},
    {"teacher-share", "X", CLI_FLOAT, SETTING(teacher_share),
     .text = "the teacher's share of the target (0.5)", .minimum = 0.001, .maximum = 1},
    {"data", "DIR", CLI_STRING, SETTING(data), .text = "folder with the training data",
     .required = true},
    {"extra-data", "DIR", CLI_STRING, SETTING(extra_data),
     .text = "folder with more of the same classes, for training only"},
    {"output", "MODEL", CLI_STRING, SETTING(output), .text = "model file to write",
     .required = true},
    {"epochs", "N", CLI_INT, OPTION(epochs), .text = "passes over the data (20)", .minimum = 1,
     .maximum = 1000000},
    {"batch-size", "N", CLI_INT, OPTION(batch_size), .text = "samples per step (32)", .minimum = 1,
     .maximum = 65536},
    {"optimizer", "NAME", CLI_NAME, OPTION(optimizer),
     .text = "sgd (default), adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam, lion",
     .names = cn_optimizer_names},
    {"learning-rate", "X", CLI_FLOAT, OPTION(learning_rate),
     .text = "step size (sgd 0.01, the others 0.001)", .minimum = 1e-12, .maximum = 1000},
    {"momentum", "X", CLI_FLOAT, OPTION(momentum), .text = "momentum of sgd and rmsprop (0)",
     .maximum = 0.9999},
    {"nesterov", NULL, CLI_FLAG, OPTION(nesterov), .text = "use Nesterov momentum with sgd"},
    {"beta-1", "X", CLI_FLOAT, OPTION(beta_1),
     .text = "decay of the first moment of adam, adamw, adamax, nadam and lion (0.9)",
     .maximum = 0.999999},
    {"beta-2", "X", CLI_FLOAT, OPTION(beta_2),
     .text = "decay of the second moment of the same optimizers (0.999, lion 0.99)",
     .maximum = 0.999999},
    {"rho", "X", CLI_FLOAT, OPTION(rho), .text = "decay of rmsprop (0.9) and adadelta (0.95)",
     .maximum = 0.999999},
    {"epsilon", "X", CLI_FLOAT, OPTION(epsilon),
     .text = "small number that is added to divisors (1e-7)", .minimum = 1e-12, .maximum = 1},
    {"weight-decay", "X", CLI_FLOAT, OPTION(weight_decay),
     .text = "decoupled weight decay of the kernels (adamw 0.004, the others 0)", .maximum = 1},
    {"clip-value", "X", CLI_FLOAT, OPTION(clip_value),
     .text = "clip each gradient to the range from -X to X", .maximum = 1e6},
    {"clip-norm", "X", CLI_FLOAT, OPTION(clip_norm),
     .text = "limit the norm of each tensor's gradient to X", .maximum = 1e6},
    {"global-clip-norm", "X", CLI_FLOAT, OPTION(global_clip_norm),
     .text = "limit the norm of all gradients together to X", .maximum = 1e6},
    {"schedule", "NAME", CLI_NAME, OPTION(schedule),
     .text = "how the learning rate changes: constant (default), cosine, one-cycle, step, "
             "exponential, polynomial",
     .names = cn_schedule_names},
    {"decay-rate", "X", CLI_FLOAT, OPTION(decay_rate),
     .text = "factor of the schedules step and exponential (0.1)", .minimum = 1e-6, .maximum = 1},
    {"decay-epochs", "X", CLI_FLOAT, OPTION(decay_epochs),
     .text = "epochs after which --decay-rate applies once more (10)", .minimum = 0.001,
     .maximum = 1e6},
    {"end-rate", "X", CLI_FLOAT, OPTION(end_rate),
     .text = "learning rate at the end of the schedule polynomial (0)", .maximum = 1000},
    {"power", "X", CLI_FLOAT, OPTION(power), .text = "power of the schedule polynomial (1)",
     .minimum = 0.001, .maximum = 100},
    {"warmup-epochs", "X", CLI_FLOAT, OPTION(warmup_epochs),
     .text = "epochs in which the learning rate rises from 0, before the schedule begins (0)",
     .maximum = 1e6},
    {"early-stopping", "N", CLI_INT, OPTION(early_stopping),
     .text = "stop after N epochs without an improvement (0: never)", .maximum = 1000000},
    {"baseline", "X", CLI_CUSTOM, OPTION(baseline),
     .text = "with --early-stopping: only an epoch better than X restarts the count (none)",
     .parse = parse_baseline},
    {"start-from-epoch", "N", CLI_INT, OPTION(start_from_epoch),
     .text = "the first N epochs are not counted, and none of them can be the best (0)",
     .maximum = 1000000},
    {"reduce-on-plateau", "N", CLI_INT, OPTION(plateau_patience),
     .text = "lower the learning rate after N epochs without an improvement (0: never)",
     .maximum = 1000000},
    {"plateau-factor", "X", CLI_FLOAT, OPTION(plateau_factor),
     .text = "factor of --reduce-on-plateau (0.1)", .minimum = 1e-6, .maximum = 0.9999},
    {"plateau-min-delta", "X", CLI_FLOAT, OPTION(plateau_min_delta),
     .text = "smallest improvement that --reduce-on-plateau counts (0.0001)", .maximum = 1e6},
    {"plateau-cooldown", "N", CLI_INT, OPTION(plateau_cooldown),
     .text = "epochs that --reduce-on-plateau does not count after it lowered the rate (0)",
     .maximum = 1000000},
    {"min-rate", "X", CLI_FLOAT, OPTION(plateau_min_rate),
     .text = "lowest learning rate that --reduce-on-plateau sets (0)", .maximum = 1000},
    {"monitor", "NAME", CLI_NAME, OPTION(monitor),
     .text = "number by which epochs are compared: auto (default: val_loss, else loss), loss, "
             "accuracy, val_loss, val_accuracy, and with --epoch-metrics val_f1, val_auc",
     .names = cn_monitor_names},
    {"min-delta", "X", CLI_FLOAT, OPTION(min_delta),
     .text = "smallest change of the monitored number that counts as an improvement (0)",
     .maximum = 1e6},
    {"keep", "NAME", CLI_NAME, SETTING(keep),
     .text = "weights to write: auto (default: best with validation, else last), best or last",
     .names = keep_names},
    {"ema", "X", CLI_FLOAT, OPTION(ema),
     .text =
         "decay of a moving average of the weights, which is then validated and written (0: none)",
     .maximum = 0.999999},
    {"loss", "NAME", CLI_NAME, OPTION(loss),
     .text = "mean_squared_error (default), categorical_crossentropy, binary_crossentropy, or "
             "another loss of Keras: see convnet(1)",
     .names = cn_loss_names, .short_names = cn_loss_short_names},
    {"class-weight", "LIST", CLI_STRING, SETTING(class_weight),
     .text = "factors of the losses of classes, such as cat=2,dog=0.5 (1), or balanced, which "
             "gives rare classes larger factors"},
    {"label-smoothing", "X", CLI_FLOAT, OPTION(label_smoothing),
     .text = "share of the target that is spread over all classes (0)", .maximum = 0.99},
    {"validation-data", "DIR", CLI_STRING, SETTING(validation_data),
     .text = "folder to validate on (default: the folder val or validation in the DIR of --data, "
             "if there is one)"},
    {"validation-split", "X", CLI_DOUBLE, SETTING(validation_split),
     .text = "share of the data that is kept for validation, the same share of each class (0)",
     .maximum = 0.99},
    {"validation-order", "NAME", CLI_NAME, SETTING(validation_order),
     .text = "how the samples for validation are chosen: by-class (default) draws them, tail takes "
             "the last ones as Keras does",
     .names = cn_split_order_names},
    {"split-seed", "N", CLI_SEED, SETTING(split_seed),
     .text = "seed of --validation-order by-class (0), independent of --seed"},
    {"augment", "LIST", CLI_CUSTOM, OPTION(augmentation),
     .text = "random changes of the training images: handwriting, photos, or a list such as "
             "shift=2,flip=1@0.5 (none)",
     .parse = train_parse_augmentation},
    {"seed", "N", CLI_SEED, OPTION(seed),
     .text = "random seed (0); the same seed gives the same bits"},
    {"threads", "N", CLI_INT, OPTION(threads),
     .text = "threads (default: the available processors); they change the speed, not the result",
     .minimum = 1, .maximum = 1024},
    {"memory", "SIZE", CLI_CUSTOM, SETTING(memory),
     .text = "memory that the training may take, such as 512M or 4G; pictures beyond it are kept "
             "in a file (default: the machine's memory)",
     .parse = parse_memory},
    {"spill-dir", "DIR", CLI_STRING, SETTING(spill_folder),
     .text = "folder for the file of the pictures beyond --memory ($TMPDIR, else /var/tmp)"},
    {"history", "FILE.csv", CLI_STRING, SETTING(history),
     .text = "CSV file to write, with one row of losses and accuracies per epoch"},
    {"epoch-metrics", NULL, CLI_FLAG, OPTION(epoch_metrics),
     .text = "measure precision, recall, F1, AUC and top-5 accuracy of the validation data after "
             "each epoch, too"},
    {"log-dir", "DIR", CLI_STRING, SETTING(log_folder),
     .text = "folder for TensorBoard's event files, written after each epoch"},
    {"checkpoint", "FILE", CLI_STRING, SETTING(checkpoint),
     .text = "file for the state of the training, written after each epoch and when the training "
             "is stopped"},
    {"resume", "FILE", CLI_STRING, SETTING(resume), .text = "continue from this checkpoint"},
    {"quiet", NULL, CLI_FLAG, SETTING(quiet), .text = "show no progress"},
};

const struct cli_syntax train_syntax = {
    CLI_OPTIONS(options),
    .text =
        "Train a network on labelled pictures and write a model file.\v"
        "DIR contains one folder of pictures per class, pictures and a labels.csv, or one of the "
        "usual data sets (the files of MNIST, EMNIST and CIFAR, Kaggle's train.csv, NumPy's .npz). "
        "Ctrl-C finishes the step, saves the checkpoint and prints how to continue.",
};
