/* train.c: `convnet train`: makes a model file from data and an architecture.
 *
 * Calls the trainer epoch by epoch, so that history and checkpoint are written between epochs,
 * outside its callbacks. SIGINT and SIGTERM end it after the current step; a second one kills it.
 * One thread here; the trainer uses its own. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/event_log.h"
#include "cli/ranks.h"
#include "cli/train.h"

/* The state of one training. */
struct training {
    const char *command;
    const struct cn_ranks *ranks; /* NULL: this process alone */
    struct train_settings settings;
    struct cn_model *model, *teacher; /* teacher: may be NULL */
    struct train_data data;
    struct cn_trainer *trainer;
    struct train_progress progress;
    struct event_log *events; /* NULL: none */
    size_t logged;            /* epochs that the log has, or that came before it */
    size_t steps;             /* of an epoch */
    int epoch;                /* of the last finished step */
    size_t step;
};

static bool on_step(void *data, int epoch, size_t step, size_t steps, double loss,
                    double accuracy) {
    struct training *training = data;
    training->steps = steps;
    training->epoch = epoch;
    training->step = step;
    train_progress_step(&training->progress, epoch, step, steps, loss, accuracy);
    return cli_interrupted() == 0;
}

/* Pauses after each epoch, when the state is complete. */
static bool on_epoch(void *data, const struct cn_epoch_record *record) {
    struct training *training = data;
    train_progress_epoch(&training->progress, record, training->steps,
                         training->settings.options.epoch_metrics);
    return false;
}

/* Checks the files that will be written, before the first epoch. */
static enum cn_status check_outputs(const struct train_settings *settings, struct cn_error *error) {
    const char *paths[] = {settings->output, settings->history, settings->checkpoint};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL && cli_check_writable(paths[i], error) != CN_OK)
            return error->status;
    return CN_OK;
}

/* Creates a new network, or reads a trained one to continue with. */
static enum cn_status read_model(struct training *training, struct cn_error *error) {
    struct cn_network *network = NULL;
    if (training->settings.weights != NULL) {
        enum cn_status status =
            cli_model_find(training->settings.weights, false, &training->model, NULL, error);
        if (status == CN_OK) {
            /* Its calibration does not hold any more. */
            training->model->network->temperature = 1;
            training->model->error_levels.count = 0;
        }
        return status;
    }
    enum cn_status status = cli_architecture_find(training->settings.architecture, &network, error);
    if (status != CN_OK)
        return status;
    cn_network_initialize(network, training->settings.options.seed);
    return cn_model_create(network, &training->model, error);
}

static struct train_networks networks_of(const struct training *training) {
    return (struct train_networks){training->model->network,
                                   training->teacher != NULL ? training->teacher->network : NULL};
}

static enum cn_status check_memory(struct training *training, struct cn_error *error) {
    const struct train_networks networks = networks_of(training);
    return train_check_memory(&training->settings, &networks, &training->data, error);
}

static bool keeps_best(const struct train_settings *settings) {
    return settings->keep == TRAIN_KEEP_BEST ||
           (settings->keep == TRAIN_KEEP_AUTO &&
            (settings->validation_split > 0 || settings->validation_data != NULL ||
             cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION)));
}

static enum cn_status train_prepare(struct training *training, struct cn_error *error) {
    const struct train_settings *settings = &training->settings;
    training->settings.options.keep_best = keeps_best(settings); /* it takes memory */
    enum cn_status status = check_outputs(settings, error);
    if (status == CN_OK)
        status = read_model(training, error);
    if (status == CN_OK && settings->teacher != NULL)
        status = cli_model_find(settings->teacher, false, &training->teacher, NULL, error);
    if (status == CN_OK)
        status = check_memory(training, error);
    if (status == CN_OK)
        status = train_read_data(settings, training->model, &training->data, error);
    if (status == CN_OK && !settings->quiet) {
        train_say_data(settings, &training->data);
        const struct train_networks networks = networks_of(training);
        train_say_memory(settings, &networks, &training->data);
    }
    if (status == CN_OK) {
        training->settings.options.class_weights = training->data.class_weights;
        status =
            cn_trainer_create(training->model, training->data.training, training->data.validation,
                              &settings->options, &training->trainer, error);
    }
    if (status == CN_OK && training->teacher != NULL)
        status = cn_trainer_set_teacher(training->trainer, training->teacher,
                                        settings->teacher_share, error);
    if (status == CN_OK && settings->resume != NULL)
        status = cn_trainer_read_checkpoint(training->trainer, settings->resume, error);
    if (status == CN_OK && settings->log_folder != NULL) {
        (void)cn_trainer_history(training->trainer, &training->logged);
        status = event_log_open(settings->log_folder, &training->events, error);
    }
    if (status == CN_OK && training->ranks != NULL)
        status = cn_trainer_set_ranks(training->trainer, training->ranks, error);
    return status;
}

static enum cn_status save_progress(struct training *training, struct cn_error *error) {
    const struct train_settings *settings = &training->settings;
    enum cn_status status = CN_OK;
    size_t count;
    const struct cn_epoch_record *records = cn_trainer_history(training->trainer, &count);
    if (settings->history != NULL) {
        status = train_write_history(settings->history, records, count,
                                     settings->options.epoch_metrics, error);
    }
    if (status == CN_OK && settings->checkpoint != NULL)
        status = cn_trainer_write_checkpoint(training->trainer, settings->checkpoint, error);
    if (status == CN_OK && training->events != NULL && count > training->logged)
        status = event_log_epoch(training->events, &records[count - 1], error);
    training->logged = count;
    return status;
}

/* Only the first rank prints and writes. */
static void silence(struct training *training) {
    struct train_settings *settings = &training->settings;
    if (!cli_ranks_speaks(training->ranks)) {
        settings->quiet = true;
        settings->history = settings->checkpoint = settings->log_folder = NULL;
    }
}

static bool is_stopped(const struct training *training) {
    return cli_ranks_any(training->ranks, cli_interrupted() != 0);
}

/* CN_CANCELED after a signal. */
static enum cn_status train_epochs(struct training *training, struct cn_error *error) {
    const struct cn_training_callbacks callbacks = {training, on_step, on_epoch};
    enum cn_status status = CN_OK;
    while (status == CN_OK && !cn_trainer_done(training->trainer) && !is_stopped(training)) {
        progress_begin(&training->progress.bar);
        struct cn_error pause = {0}; /* a pause is no error, and the first error would win */
        status = cn_trainer_run(training->trainer, &callbacks, &pause);
        if (status == CN_OK || status == CN_CANCELED)
            status = save_progress(training, error);
        else
            *error = pause;
    }
    return status == CN_OK && !cn_trainer_done(training->trainer) ? CN_CANCELED : status;
}

/* The epoch whose weights are written. */
static const struct cn_epoch_record *written_epoch(const struct training *training) {
    size_t count;
    const struct cn_epoch_record *records = cn_trainer_history(training->trainer, &count);
    const int best = cn_trainer_best_epoch(training->trainer);
    return count == 0 ? NULL
                      : &records[training->settings.options.keep_best && best > 0 ? (size_t)best - 1
                                                                                  : count - 1];
}

static enum cn_status write_model(struct training *training, struct cn_error *error) {
    const struct cn_epoch_record *written = written_epoch(training);
    cn_trainer_finish(training->trainer);
    char *record = written == NULL
                       ? NULL
                       : train_record(&training->settings, training->model->sha256,
                                      training->teacher != NULL ? training->teacher->sha256 : "",
                                      &training->data, written);
    enum cn_status status = record == NULL
                                ? cn_fail(error, CN_MEMORY, "no memory for the training record")
                                : cn_model_set_training(training->model, record, error);
    free(record);
    if (!cli_ranks_speaks(training->ranks))
        return status;
    return status == CN_OK ? cn_model_write(training->model, training->settings.output, error)
                           : status;
}

/* Prints the file that was written, its accuracy and on which data, and the next command. */
static void say_end(const struct training *training) {
    const struct train_settings *settings = &training->settings;
    const struct cn_epoch_record *written = written_epoch(training);
    size_t count;
    (void)cn_trainer_history(training->trainer, &count);
    if (count < (size_t)settings->options.epochs) {
        fprintf(stderr, "Stopped early: no epoch since epoch %d was better\n",
                cn_trainer_best_epoch(training->trainer));
    }
    fprintf(stderr, "Written: %s, the weights of epoch %d of %zu\n", settings->output,
            written->epoch, count);
    if (isfinite(written->validation_loss)) {
        fprintf(stderr, "It is right on %.2f %% of the %zu picture%s kept for validation\n",
                100 * written->validation_accuracy, training->data.validation->count,
                training->data.validation->count == 1 ? "" : "s");
    } else {
        fprintf(stderr,
                "It was right on %.2f %% of the pictures that it learned from; on new ones it will "
                "be less\n",
                100 * written->accuracy);
    }
    const bool kept = training->data.validation != NULL && settings->validation_data == NULL &&
                      !cn_dataset_has_split(settings->data, CN_SPLIT_TEST);
    fprintf(stderr, "Next: convnet evaluate --model %s --data %s%s\n      convnetd --model %s\n",
            settings->output, settings->data, kept ? " --split validation" : "", settings->output);
}

static int report_stop(const struct training *training) {
    const char *checkpoint = training->settings.checkpoint;
    int number = cli_interrupted() != 0 ? cli_interrupted()
                                        : SIGTERM; /* another rank may have received it */
    if (!cli_ranks_speaks(training->ranks))
        return CLI_SIGNAL + number;
    fprintf(stderr, "%sconvnet: train: stopped in epoch %d after step %zu of %zu; ",
            training->progress.bar.terminal && !training->progress.bar.quiet ? "\n" : "",
            training->epoch, training->step, training->steps);
    if (checkpoint != NULL)
        fprintf(stderr, "go on with the same command and --resume %s\n", checkpoint);
    else
        fputs("nothing was saved (--checkpoint FILE saves the state)\n", stderr);
    return CLI_SIGNAL + number;
}

static void clean_up(struct training *training) {
    event_log_close(training->events);
    cn_trainer_free(training->trainer);
    train_free_data(&training->data);
    cn_model_free(training->model);
    cn_model_free(training->teacher);
}

int cli_train(int argc, char **argv) {
    struct training training = {.command = argv[0]};
    struct cn_error error = {0};
    char **operands;
    size_t operand_count;
    training.settings.options = cn_training_options_default();
    training.settings.options.threads = cn_default_threads();
    struct cn_training_options *options = &training.settings.options;
    options->learning_rate = options->momentum = options->beta_1 = options->beta_2 = NAN;
    options->rho = options->epsilon = options->weight_decay =
        NAN; /* NaN: use the optimizer's default */
    cli_parse(&train_syntax, argc, argv, &training.settings, &operands, &operand_count);
    if ((training.settings.architecture == NULL) == (training.settings.weights == NULL)) {
        cli_usage_error(argv[0],
                        "give either --architecture, for a new network, or --weights, to go on "
                        "from a trained model");
    }
    if (training.settings.teacher_share == 0)
        training.settings.teacher_share = 0.5f;
    else if (training.settings.teacher == NULL)
        cli_usage_error(argv[0], "--teacher-share needs --teacher");
    if (options->monitor >= CN_MONITOR_VALIDATION_F1)
        options->epoch_metrics = true; /* it must be measured to be monitored */
    if (cn_training_options_complete(options, &error) != CN_OK ||
        cn_training_options_check(&training.settings.options, &error) != CN_OK)
        cli_usage_error(argv[0], "%s", error.text);
    enum cn_status status = cli_ranks_begin(&training.ranks, &error);
    if (status == CN_OK) {
        silence(&training);
        training.progress =
            train_progress_create(training.settings.options.epochs, training.settings.quiet);
        status = train_prepare(&training, &error);
    }
    if (status == CN_OK) {
        cli_interrupt_catch();
        status = train_epochs(&training, &error);
    }
    if (status == CN_OK)
        status = write_model(&training, &error);
    if (status == CN_OK && !training.settings.quiet)
        say_end(&training);
    int exit_status = status == CN_OK         ? CLI_DONE
                      : status == CN_CANCELED ? report_stop(&training)
                                              : cli_report(argv[0], &error);
    clean_up(&training);
    cli_ranks_end(status == CN_CANCELED ? CLI_DONE : exit_status);
    return exit_status;
}
