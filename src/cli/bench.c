/* bench.c: `convnet bench`: images per second by batch size and threads, compared with the
 * processor's peak.
 *
 * Measures only the forward pass, on random images. Each number is the median of many short runs,
 * so that other work on the machine disturbs only some of them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/random.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/peak_speed.h"
#include "convnet/plan.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 4000, STEP_RUNS = 400, MAX_RESULTS = 64 };

static const double run_goal = 2e-4; /* the least time of a run in seconds */

struct bench_settings {
    int batch_size, threads; /* batch_size 0: the usual ones */
    double seconds;
    bool layers, json;
};

#define SETTING(field) offsetof(struct bench_settings, field)

static const struct cli_option options[] = {
    {"batch-size", "N", CLI_INT, SETTING(batch_size),
     .text = "measure only this batch size (default: 1, 32, 256 and 1024)", .minimum = 1,
     .maximum = 65536},
    {"threads", "N", CLI_INT, SETTING(threads),
     .text = "largest number of threads: measures 1, 2, 4 ... and N (default: the available "
             "processors)",
     .minimum = 1, .maximum = 1024},
    {"seconds", "X", CLI_DOUBLE, SETTING(seconds), .text = "seconds per measurement (0.5)",
     .minimum = 0.001, .maximum = 600},
    {"layers", NULL, CLI_FLAG, SETTING(layers),
     .text = "measure each step of the network on one thread, at --batch-size (default: 1)"},
    CLI_JSON_OPTION(SETTING(json)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("MODEL|FILE.json|NAME", 1, 1),
    .text = "Measure how many images per second a model computes, by batch size and number of "
            "threads, and compare with the measured peak of one core.",
};

struct bench_result {
    int batch_size, threads;
    double images_per_second, best; /* median of the runs, and their best tenth */
    double gflops;
};

/* The state that all measurements share. */
struct bench {
    const struct bench_settings *settings;
    struct cn_plan *plan;
    struct cn_workspace **workspaces; /* [settings->threads] */
    float *images, *outputs;          /* of the largest batch */
    double flops;                     /* of one image */
    double peak;                      /* gflops of one core */
    size_t count;
    struct bench_result results[MAX_RESULTS];
};

/* A single thread is measured in processor time, which other work on the machine hardly changes;
 * numbers of threads are compared by elapsed time. */
static uint64_t bench_clock(int threads) {
    return threads > 1 ? cn_clock_nanoseconds() : cn_clock_thread_nanoseconds();
}

static double run_seconds(const struct bench *bench, int batch_size, int threads, size_t batches) {
    uint64_t begun = bench_clock(bench->settings->threads);
    for (size_t i = 0; i < batches; i++) {
        cn_plan_run_parallel(bench->plan, bench->workspaces, threads, bench->images,
                             (size_t)batch_size, bench->outputs);
    }
    return cn_seconds(bench_clock(bench->settings->threads) - begun);
}

static void measure(struct bench *bench, int batch_size, int threads) {
    double times[MOST_RUNS], taken = 0;
    size_t batches = 1, runs = 0;
    (void)run_seconds(bench, batch_size, threads, 1); /* warms the caches */
    while (run_seconds(bench, batch_size, threads, batches) < run_goal)
        batches *= 2;
    while (runs < LEAST_RUNS || (runs < MOST_RUNS && taken < bench->settings->seconds)) {
        times[runs] = run_seconds(bench, batch_size, threads, batches);
        taken += times[runs++];
    }
    qsort(times, runs, sizeof times[0], cn_number_compare);
    double rate = (double)batches * batch_size / times[runs / 2];
    bench->results[bench->count++] = (struct bench_result){
        batch_size, threads, rate, (double)batches * batch_size / times[runs / 10],
        rate * bench->flops * 1e-9};
}

static void measure_all(struct bench *bench) {
    static const int usual[] = {1, 32, 256, 1024};
    const struct bench_settings *settings = bench->settings;
    const int *sizes = settings->batch_size > 0 ? &settings->batch_size : usual;
    size_t size_count = settings->batch_size > 0 ? 1 : sizeof usual / sizeof usual[0];
    bench->peak = peak_gflops(settings->seconds);
    for (int threads = 1, last = 0; !last; threads *= 2) {
        last = threads >= settings->threads;
        threads = last ? settings->threads : threads;
        for (size_t i = 0; i < size_count && bench->count < MAX_RESULTS; i++)
            measure(bench, sizes[i], threads);
    }
}

static double peak_share(const struct bench *bench, const struct bench_result *result) {
    return result->gflops / (bench->peak * result->threads);
}

/* ---- --layers ---- */

/* The times of the steps; each is a median over the runs. */
struct step_times {
    double *times; /* [runs][count], nanoseconds */
    size_t count, run;
    uint64_t last;
};

static void note_step(void *context, size_t step) {
    struct step_times *steps = context;
    const uint64_t now = bench_clock(1);
    steps->times[steps->run * steps->count + step] += (double)(now - steps->last);
    steps->last = bench_clock(1);
}

static void measure_steps(struct bench *bench, struct step_times *steps, double *ret_medians) {
    double column[STEP_RUNS];
    const uint64_t begun = bench_clock(1);
    const double goal = bench->settings->seconds * 1e9;
    while (steps->run < LEAST_RUNS ||
           (steps->run < STEP_RUNS && (double)(bench_clock(1) - begun) < goal)) {
        for (size_t s = 0; s < steps->count; s++)
            steps->times[steps->run * steps->count + s] = 0;
        steps->last = bench_clock(1);
        cn_plan_run_observed(bench->plan, bench->workspaces[0], bench->images,
                             (size_t)bench->settings->batch_size, bench->outputs, note_step, steps);
        steps->run++;
    }
    for (size_t s = 0; s < steps->count; s++) {
        for (size_t r = 0; r < steps->run; r++)
            column[r] = steps->times[r * steps->count + s];
        qsort(column, steps->run, sizeof column[0], cn_number_compare);
        ret_medians[s] = column[steps->run / 2] * 1e-9 / bench->settings->batch_size;
    }
}

/* The measurements of one step, per image. */
static json_t *step_row(const struct bench *bench, const struct cn_plan_step *step,
                        double seconds) {
    const double gflops = 2e-9 * (double)step->macs / seconds;
    return json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:I}", "name", step->name, "type",
                     step->class_name, "kernel", step->kernel, "microseconds", seconds * 1e6,
                     "gflops", gflops, "peak_share", gflops / bench->peak, "weight_bytes",
                     (json_int_t)step->weight_bytes, "activation_bytes",
                     (json_int_t)step->activation_bytes);
}

static bool print_steps(const struct bench *bench, const double *seconds, size_t count) {
    double total = 0;
    for (size_t s = 0; s < count; s++)
        total += seconds[s];
    json_t *rows = json_array();
    if (!bench->settings->json) {
        printf("One core's peak %.1f Gflop/s (%s); %.1f us per image of a batch of %d\n\n",
               bench->peak, cn_instruction_set(), total * 1e6, bench->settings->batch_size);
        puts("step                         type                 kernel                  us   share"
             "  Gflop/s  of the peak");
    }
    for (size_t s = 0; s < count; s++) {
        struct cn_plan_step step;
        (void)cn_plan_step_at(bench->plan, s, &step);
        const double gflops = 2e-9 * (double)step.macs / seconds[s];
        if (bench->settings->json)
            (void)json_array_append_new(rows, step_row(bench, &step, seconds[s]));
        else
            printf("%-28.28s %-20.20s %-16.16s %9.2f %5.1f %% %8.2f %10.1f %%\n", step.name,
                   step.class_name, step.kernel, seconds[s] * 1e6, 100 * seconds[s] / total, gflops,
                   100 * gflops / bench->peak);
    }
    if (!bench->settings->json) {
        json_decref(rows);
        return cli_stdout_good();
    }
    return cli_put_json_value(json_pack("{s:s, s:f, s:i, s:o}", "instruction_set",
                                        cn_instruction_set(), "peak_gflops", bench->peak,
                                        "batch_size", bench->settings->batch_size, "steps", rows));
}

static bool bench_layers(struct bench *bench) {
    struct cn_plan_step step;
    struct step_times steps = {0};
    while (cn_plan_step_at(bench->plan, steps.count, &step))
        steps.count++;
    steps.times = calloc(STEP_RUNS * (steps.count + 1), sizeof *steps.times);
    double *medians = calloc(steps.count + 1, sizeof *medians);
    const bool fits = steps.times != NULL && medians != NULL;
    if (fits) {
        bench->peak = peak_gflops(bench->settings->seconds);
        measure_steps(bench, &steps, medians);
    } else {
        (void)fputs("convnet: no memory for the times of the steps\n", stderr);
    }
    const bool good = fits && print_steps(bench, medians, steps.count);
    free(steps.times);
    free(medians);
    return good;
}

/* ---- The table by batch size and threads ---- */

static bool print_json(const struct bench *bench) {
    json_t *results = json_array();
    for (size_t i = 0; i < bench->count; i++) {
        const struct bench_result *row = &bench->results[i];
        (void)json_array_append_new(
            results, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "batch_size", row->batch_size,
                               "threads", row->threads, "images_per_second", row->images_per_second,
                               "best_images_per_second", row->best, "gflops", row->gflops,
                               "peak_share", peak_share(bench, row)));
    }
    return cli_put_json_value(json_pack("{s:s, s:f, s:f, s:o}", "instruction_set",
                                        cn_instruction_set(), "peak_gflops", bench->peak,
                                        "flops_per_image", bench->flops, "results", results));
}

static bool print_text(const struct bench *bench) {
    printf("One core's peak %.1f Gflop/s (%s); %.3f Mflop per image\n\n", bench->peak,
           cn_instruction_set(), bench->flops * 1e-6);
    puts("   batch  threads      images/s    Gflop/s  of the peak");
    for (size_t i = 0; i < bench->count; i++) {
        const struct bench_result *row = &bench->results[i];
        printf("%8d %8d %13.0f %10.2f %10.1f %%\n", row->batch_size, row->threads,
               row->images_per_second, row->gflops, 100 * peak_share(bench, row));
    }
    return cli_stdout_good();
}

static enum cn_status bench_prepare(struct bench *bench, const struct cn_model *model,
                                    struct cn_error *error) {
    const struct bench_settings *settings = bench->settings;
    size_t largest = settings->batch_size > 0 ? (size_t)settings->batch_size : 1024;
    enum cn_status status = cn_plan_create(model->network, &bench->plan, error);
    if (status != CN_OK)
        return status;
    for (size_t i = 0; i < model->network->layer_count; i++)
        bench->flops += 2 * (double)cn_layer_macs(&model->network->layers[i]);
    size_t inputs = largest * cn_plan_input_size(bench->plan);
    bench->images = cn_floats_allocate(inputs);
    bench->outputs = cn_floats_allocate(largest * cn_plan_output_size(bench->plan));
    if (bench->images == NULL || bench->outputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu images", largest);
    struct cn_random random = cn_random_stream(0, 0, 0, 0);
    for (size_t i = 0; i < inputs; i++)
        bench->images[i] = cn_random_float(&random);
    return cn_workspaces_create(bench->plan, settings->threads, &bench->workspaces, error);
}

static void clean_up(struct bench *bench) {
    cn_workspaces_free(bench->workspaces, bench->settings->threads);
    free(bench->images);
    free(bench->outputs);
    cn_plan_free(bench->plan);
}

int cli_bench(int argc, char **argv) {
    struct bench_settings settings = {.threads = cn_default_threads(), .seconds = 0.5};
    struct bench bench = {.settings = &settings};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    char **operands;
    size_t operand_count;
    int exit_status = CLI_DONE;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (settings.layers) {
        settings.threads = 1;
        settings.batch_size = settings.batch_size > 0 ? settings.batch_size : 1;
    }
    enum cn_status status = cli_model_find(operands[0], true, &model, NULL, &error);
    if (status == CN_OK)
        status = bench_prepare(&bench, model, &error);
    if (status != CN_OK) {
        exit_status = cli_report(argv[0], &error);
    } else {
        if (settings.layers) {
            exit_status = bench_layers(&bench) ? CLI_DONE : CLI_FAILED;
        } else {
            measure_all(&bench);
            exit_status = (settings.json ? print_json : print_text)(&bench) ? CLI_DONE : CLI_FAILED;
        }
    }
    clean_up(&bench);
    cn_model_free(model);
    return exit_status;
}
