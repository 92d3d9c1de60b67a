/* info_about.c: what a model says of itself: its inputs and outputs and what their numbers are, how
 * a picture becomes the input, labels, where it comes from, who signed it. One thread. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/info.h"

enum { MAX_SIGNATURE = 4096 /* bytes */, SHOWN_LABELS = 20 };

static const char *const kind_texts[] = {
    [CN_OUTPUT_SOFTMAX] = "softmax: a probability for each class, 1 in all",
    [CN_OUTPUT_SIGMOID] = "sigmoid: the probability of the second of two classes",
    [CN_OUTPUT_SIGMOIDS] = "sigmoids: a probability for each label by itself",
    [CN_OUTPUT_LOGITS] = "logits: numbers of any size, larger for a likelier class",
    [CN_OUTPUT_NUMBER] = "number: a regression",
    [CN_OUTPUT_MAP] = "map: numbers for each place",
};

static json_t *form_dims(const struct cn_tensor_form *form) {
    json_t *dims = json_array();
    for (int i = 0; i < form->rank; i++)
        (void)json_array_append_new(dims, json_integer(form->dims[i]));
    return dims;
}

static json_t *form_json(const struct cn_tensor_form *form) {
    return json_pack("{s:s, s:o}", "name", form->name, "shape", form_dims(form));
}

static void print_form(const char *title, const struct cn_tensor_form *form, const char *kind) {
    printf("%-21s ", title);
    cli_put_plain(form->name, 0);
    fputs(" (", stdout);
    for (int i = 0; i < form->rank; i++)
        printf("%s%d", i > 0 ? ", " : "", form->dims[i]);
    printf(")%s%s\n", kind[0] != '\0' ? "; " : "", kind);
}

/* ---- The signature beside the file: what it says, unchecked ---- */

struct signature {
    char key[65], sha256[65];
    long long time;
};

static bool signature_read(const char *path, struct signature *ret) {
    char sig[PATH_MAX];
    unsigned char *bytes = NULL;
    size_t length;
    if (path == NULL || (size_t)snprintf(sig, sizeof sig, "%s.sig", path) >= sizeof sig ||
        cn_file_read(sig, MAX_SIGNATURE, &bytes, &length, NULL) != CN_OK)
        return false;
    const bool good = sscanf((const char *)bytes,
                             "convnet-signature/1 key %64[0-9a-f] time %lld sha256 %64[0-9a-f]",
                             ret->key, &ret->time, ret->sha256) == 3;
    free(bytes);
    return good;
}

static void format_time(long long seconds, char when[static 40]) {
    const time_t at = (time_t)seconds;
    struct tm utc;
    when[0] = '\0';
    if (gmtime_r(&at, &utc) != NULL)
        (void)strftime(when, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void print_signature(const struct cn_model *model, const char *path) {
    struct signature signature;
    char when[40];
    if (!signature_read(path, &signature)) {
        puts("Signature             none beside the file");
        return;
    }
    format_time(signature.time, when);
    printf("Signature             %s, at %s by key %s; `convnet verify' checks it\n",
           strcmp(signature.sha256, model->sha256) == 0 ? "of this file" : "OF ANOTHER FILE", when,
           signature.key);
}

static void add_signature(const struct cn_model *model, const char *path, json_t *object) {
    struct signature signature;
    char when[40];
    if (!signature_read(path, &signature)) {
        (void)json_object_set_new(object, "signature", json_null());
        return;
    }
    format_time(signature.time, when);
    (void)json_object_set_new(object, "signature",
                              json_pack("{s:s, s:s, s:b}", "key", signature.key, "time", when,
                                        "of_this_file",
                                        strcmp(signature.sha256, model->sha256) == 0));
}

/* ---- The whole ---- */

static void print_labels(const struct cn_model *model) {
    printf("Labels                ");
    for (size_t i = 0; i < model->label_count && i < SHOWN_LABELS; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        cli_put_plain(model->labels[i], 0);
    }
    if (model->label_count > SHOWN_LABELS)
        printf(", ... (%zu; --json has all)", model->label_count);
    puts(model->label_count == 0 ? "none" : "");
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static void print_source(const json_t *imported) {
    if (imported == NULL)
        return;
    printf("Source                ");
    cli_put_plain(text_of(imported, "format"), 0);
    putchar(' ');
    cli_put_plain(text_of(imported, "file"), 0);
    printf("\n                      SHA-256 ");
    cli_put_plain(text_of(imported, "sha256"), 0);
    putchar('\n');
}

void cli_info_print_about(const struct cn_model *model, const json_t *training, const char *path) {
    char text[CN_PREPROCESSING_TEXT];
    for (size_t i = 0; i < model->input_forms; i++)
        print_form(i == 0 ? "Inputs" : "", &model->inputs[i], "");
    for (size_t k = 0; k < model->output_forms; k++)
        print_form(k == 0 ? "Outputs" : "", &model->outputs[k],
                   kind_texts[cn_network_output_kind(model->network, model->outputs[k].port)]);
    if (model->network->temperature != 1)
        printf("Temperature           %g, which divides the softmax's inputs\n",
               (double)model->network->temperature);
    printf("Preprocessing         %s\n", cn_preprocessing_format(&model->preprocessing, text));
    print_labels(model);
    printf("SHA-256               %s\n", model->sha256);
    printf("Checksum inside       %s\n",
           model->sealed ? "right" : "none (`convnet edit' writes one)");
    print_signature(model, path);
    print_source(json_object_get(training, "imported"));
}

void cli_info_add_about(const struct cn_model *model, const json_t *training, const char *path,
                        json_t *object) {
    json_t *inputs = json_array(), *outputs = json_array();
    for (size_t i = 0; i < model->input_forms; i++)
        (void)json_array_append_new(inputs, form_json(&model->inputs[i]));
    for (size_t k = 0; k < model->output_forms; k++) {
        json_t *form = form_json(&model->outputs[k]);
        const size_t port = model->outputs[k].port;
        (void)json_object_set_new(
            form, "kind",
            json_string(cn_output_kind_names[cn_network_output_kind(model->network, port)]));
        (void)json_array_append_new(outputs, form);
    }
    (void)json_object_set_new(object, "inputs", inputs);
    (void)json_object_set_new(object, "outputs", outputs);
    (void)json_object_set_new(object, "temperature",
                              json_real(cli_decimal(model->network->temperature)));
    (void)json_object_set(object, "source", json_object_get(training, "imported"));
    add_signature(model, path, object);
}
