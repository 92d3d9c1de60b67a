/* convnet.c: the command `convnet`: THE table of its subcommands, --help and --version.
 *
 * Each command has a file of its own. This one also sets how idle threads wait. At exit stdout is
 * closed and checked, so that a full disk is never taken for success. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/openmp.h"
#include "cli/cli.h"

static const struct cli_command commands[] = {
    {"train", "train a network and write a model file", cli_train},
    {"augment", "draw a sheet of changed training pictures", cli_augment},
    {"evaluate", "measure a model's loss and accuracy on labelled data", cli_evaluate},
    {"report", "draw a training's curves and a model's mistakes", cli_draw_report},
    {"calibrate", "calibrate a model's probabilities", cli_calibrate},
    {"quantize", "convert a model to 8-bit integers: smaller and faster", cli_quantize},
    {"predict", "classify pictures", cli_predict},
    {"read", "read rows of digits", cli_read},
    {"info", "show a model's layers, shapes, costs and training record", cli_info},
    {"import", "make a model of a network that another program trained", cli_import},
    {"edit", "change a model's labels, preprocessing or temperature", cli_edit},
    {"keygen", "make a pair of keys to sign models with", cli_keygen},
    {"sign", "sign a model", cli_sign},
    {"verify", "check who signed a model", cli_verify},
    {"export", "write a model as ONNX, for Keras or TensorFlow.js", cli_export},
    {"layers", "list the types of layers", cli_layers},
    {"bench", "measure images per second next to the machine's peak", cli_bench},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *stream) {
    fputs("Usage: convnet COMMAND [OPTION...]\n"
          "Train, evaluate and use convolutional networks.\n\n",
          stream);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`convnet COMMAND --help' lists the options of a command; `convnet --version' prints "
          "the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 128+N stopped by signal N.\n",
          stream);
}

static int unknown_command(const char *name) {
    fprintf(stderr, "convnet: unknown command '%s'; the commands are", name);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i].name);
    fputs("\n", stderr);
    return CLI_USAGE;
}

/* Called at exit: flushes buffered output to stdout. */
static void close_stdout(void) {
    const bool failed_before = !cli_stdout_good();
    if (fclose(stdout) != 0 || failed_before) {
        fprintf(stderr, "convnet: cannot write to %s\n", cli_stdout_place());
        _exit(CLI_FAILED);
    }
}

static int run_command(const struct cli_command *command, int argc, char **argv) {
    char name[64];
    (void)snprintf(name, sizeof name, "convnet %s", command->name);
    argv[0] = name; /* argp shows it as the program's name */
    return command->run(argc, argv);
}

int main(int argc, char **argv) {
    cn_openmp_wait_passively(argv);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes becomes an error of the write */
    if (atexit(close_stdout) != 0)
        return CLI_FAILED;
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("convnet (convnetd) " PACKAGE_VERSION);
        return CLI_DONE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    return unknown_command(argv[1]);
}
