/* import_program.c: `convnet-import`: reads one foreign file and writes a model, in a sandbox; or
 * packs a model as a Keras file, since it has the libraries for that.
 *
 * `convnet import` and `convnet export` start it with the descriptors of protocol.h and one
 * argument, the request as JSON. It opens no file by name. Its report is JSON, also after a
 * failure. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/openmp.h"
#include "base/sha256.h"
#include "convnet/model.h"
#include "import/assemble.h"
#include "import/keras_pack.h"
#include "import/lock_down.h"
#include "import/protocol.h"
#include "model/foreign.h"
#include "model/model_file.h"
#include "json/load.h"
#ifdef HAVE_ONNX
#include "import/onnx.h"
#endif

enum { SHARD_FLOATS = 1 << 25 /* the most in the shards of a model.json */ };

/* One import, from the request to the report. */
struct job {
    const json_t *request;
    struct import_file file;
    unsigned char *bytes, *architecture;
    size_t architecture_length;
    struct cn_shape shape; /* rank 0: not given */
    struct import_report report;
    struct cn_network *network;
    json_t *labels; /* from the file; NULL: none */
    const char *format;
    json_t *tensors; /* names and shapes of the source's ports; NULL: the network's */
    struct cn_error error;
};

typedef enum cn_status (*source_reader)(const struct import_file *file,
                                        struct import_source *source, struct cn_error *error);

/* THE list of containers that have tensors and Keras JSON. */
static const struct {
    enum cn_foreign kind;
    source_reader read;
} readers[] = {
    {CN_FOREIGN_HDF5, import_hdf5},           {CN_FOREIGN_KERAS_ZIP, import_keras_zip},
    {CN_FOREIGN_TORCH_ZIP, import_torch_zip}, {CN_FOREIGN_TORCH_LEGACY, import_torch_legacy},
    {CN_FOREIGN_JSON, import_tfjs},           {CN_FOREIGN_SAFETENSORS, import_safetensors},
};

static enum cn_status read_descriptor(int fd, size_t limit, unsigned char **ret_bytes,
                                      size_t *ret_length, struct cn_error *error) {
    struct stat info;
    size_t used = 0;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return cn_fail(error, CN_INVALID, "is not a regular file");
    if (info.st_size < 0 || (size_t)info.st_size > limit)
        return cn_fail(error, CN_LIMIT, "has %lld bytes; the limit is %zu", (long long)info.st_size,
                       limit);
    unsigned char *bytes = malloc((size_t)info.st_size + 1);
    if (bytes == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for its %lld bytes", (long long)info.st_size);
    while (used < (size_t)info.st_size) {
        const ssize_t got = pread(fd, bytes + used, (size_t)info.st_size - used, (off_t)used);
        if (got <= 0) {
            free(bytes);
            return cn_fail(error, CN_IO, "cannot be read");
        }
        used += (size_t)got;
    }
    bytes[used] = '\0';
    *ret_bytes = bytes;
    *ret_length = used;
    return CN_OK;
}

static enum cn_status open_job(struct job *job) {
    bool landlock = false;
    struct stat info;
    const bool folder = fcntl_is_open(IMPORT_FD_FOLDER);
    const bool architecture = fcntl_is_open(IMPORT_FD_ARCHITECTURE);
    job->file.name = json_string_value(json_object_get(job->request, "name"));
    job->file.folder = folder ? IMPORT_FD_FOLDER : -1;
    if (job->file.name == NULL || fstat(IMPORT_FD_INPUT, &info) != 0)
        return cn_fail(&job->error, CN_INVALID, "convnet-import is started by `convnet import'");
    (void)omp_get_max_threads(); /* LLVM's OpenMP opens shared memory at its first use, and aborts
                                    if it cannot */
    enum cn_status status = import_lock_down(
        job->file.folder, info.st_size > 0 ? (size_t)info.st_size : 0, &landlock, &job->error);
    if (status == CN_OK)
        status = read_descriptor(IMPORT_FD_INPUT, IMPORT_MAX_FILE, &job->bytes, &job->file.length,
                                 &job->error);
    if (status == CN_OK && architecture)
        status = read_descriptor(IMPORT_FD_ARCHITECTURE, CN_JSON_MAX_LENGTH, &job->architecture,
                                 &job->architecture_length, &job->error);
    job->file.bytes = job->bytes;
    const json_t *shape = json_object_get(job->request, "input_shape");
    job->shape.rank = (int)json_array_size(shape);
    for (int i = 0; i < CN_SHAPE_MAX_RANK; i++)
        job->shape.dims[i] =
            i < job->shape.rank ? (int)json_integer_value(json_array_get(shape, (size_t)i)) : 1;
    return status;
}

static enum cn_status give_architecture(struct job *job, struct import_source *source) {
    json_error_t problem;
    if (job->architecture == NULL)
        return CN_OK;
    json_t *json =
        cn_json_load((const char *)job->architecture, job->architecture_length, &problem);
    if (json == NULL)
        return cn_fail(&job->error, CN_MALFORMED, "the --architecture is not JSON: %s (line %d)",
                       problem.text, problem.line);
    json_decref(source->architecture);
    source->architecture = json;
    return CN_OK;
}

static enum cn_status import_by_source(struct job *job, source_reader read) {
    /* A file of n bytes has at most n numbers of a byte each, and some more if it is compressed. A
     * model.json has its numbers in other files. */
    const bool beside = read == import_tfjs;
    struct import_source source = {.limit = beside ? SHARD_FLOATS : 4 * job->file.length + 65536};
    enum cn_status status = read(&job->file, &source, &job->error);
    if (status == CN_OK)
        status = give_architecture(job, &source);
    if (status == CN_OK)
        status = import_assemble(&source, job->shape.rank > 0 ? &job->shape : NULL, &job->report,
                                 &job->network, &job->error);
    job->format = source.format;
    job->labels = json_incref(source.labels);
    job->tensors = job->report.tensors;
    import_source_clear(&source);
    return status;
}

#ifdef HAVE_ONNX
static enum cn_status import_by_onnx(struct job *job) {
    struct import_onnx_result result = {0};
    const json_t *shapes = json_object_get(job->request, "input_shapes");
    const char *texts[CN_NETWORK_MAX_PORTS];
    size_t count = 0;
    for (; count < json_array_size(shapes) && count < CN_NETWORK_MAX_PORTS; count++)
        texts[count] = json_string_value(json_array_get(shapes, count));
    const struct import_onnx_options options = {.name = job->file.name,
                                                .bytes = job->file.bytes,
                                                .length = job->file.length,
                                                .folder = job->file.folder,
                                                .input_shapes = texts,
                                                .input_shape_count = count};
    const enum cn_status status = import_onnx(&options, &result, &job->error);
    job->format = "ONNX model";
    job->network = result.network;
    result.network = NULL;
    json_array_extend(job->report.layers, result.layers);
    json_array_extend(job->report.notes, result.notes);
    json_array_extend(job->report.obstacles, result.obstacles);
    job->labels = json_incref(result.labels);
    job->tensors = json_incref(result.tensors);
    import_onnx_clear(&result);
    return status;
}
#endif

static enum cn_status import_file(struct job *job) {
    const enum cn_foreign kind = cn_foreign_recognize(job->file.bytes, job->file.length);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (readers[i].kind == kind)
            return import_by_source(job, readers[i].read);
#ifdef HAVE_ONNX
    if (kind == CN_FOREIGN_ONNX)
        return import_by_onnx(job);
#endif
    return cn_foreign_refuse(kind, job->file.name, &job->error);
}

static enum cn_status set_labels(struct cn_model *model, const json_t *labels,
                                 struct cn_error *error) {
    const size_t count = json_array_size(labels);
    if (count != model->label_count)
        return CN_OK; /* additional information in a file is not binding */
    const char **texts = calloc(count + 1, sizeof *texts);
    enum cn_status status = texts != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory");
    for (size_t i = 0; i < count && status == CN_OK; i++) {
        texts[i] = json_string_value(json_array_get(labels, i));
        if (texts[i] == NULL)
            status = cn_fail(error, CN_MALFORMED, "label %zu of the file is not text", i);
    }
    if (status == CN_OK)
        status = cn_model_set_labels(model, texts, count, error);
    free(texts);
    return status;
}

/* Writes the model's source into its training record. */
static enum cn_status set_origin(struct cn_model *model, const struct job *job,
                                 struct cn_error *error) {
    char sha256[CN_SHA256_TEXT];
    cn_sha256(&(struct cn_file_part){job->file.bytes, job->file.length}, 1, sha256);
    json_t *record = json_pack("{s:{s:s, s:s, s:s}}", "imported", "format", job->format, "file",
                               job->file.name, "sha256", sha256);
    char *text = record != NULL ? json_dumps(record, JSON_COMPACT) : NULL;
    const enum cn_status status = text != NULL ? cn_model_set_training(model, text, error)
                                               : cn_fail(error, CN_MEMORY, "no memory");
    free(text);
    json_decref(record);
    return status;
}

/* Sets the inputs and outputs of the file; of several outputs the one with a softmax answers
 * pictures. */
static enum cn_status set_tensors(struct cn_model *model, const json_t *tensors,
                                  struct cn_error *error) {
    char *text = json_dumps(tensors, JSON_COMPACT);
    enum cn_status status = text != NULL ? cn_model_set_tensors(model, text, error)
                                         : cn_fail(error, CN_MEMORY, "no memory");
    size_t found = 0, answer = 0;
    free(text);
    for (size_t k = 0; k < model->output_forms && status == CN_OK; k++)
        if (cn_network_output_kind(model->network, model->outputs[k].port) == CN_OUTPUT_SOFTMAX) {
            answer = k;
            found++;
        }
    if (status == CN_OK && found == 1 && model->output_forms > 1)
        status = cn_model_choose_answer(model, model->outputs[answer].name, error);
    return status;
}

static enum cn_status write_model(struct job *job) {
    struct cn_model *model = NULL;
    struct cn_network *network = job->network;
    job->network = NULL;
    enum cn_status status = cn_model_create(network, &model, &job->error);
    if (status == CN_OK && job->tensors != NULL)
        status = set_tensors(model, job->tensors, &job->error);
    if (status == CN_OK && job->labels != NULL)
        status = set_labels(model, job->labels, &job->error);
    if (status == CN_OK)
        status = set_origin(model, job, &job->error);
    if (status == CN_OK) {
        cn_model_reset_preprocessing(model);
        status = cn_model_write_descriptor(model, IMPORT_FD_OUTPUT, &job->error);
    }
    cn_model_free(model);
    return status;
}

static bool write_report(const struct job *job) {
    json_t *report =
        json_pack("{s:s*, s:O, s:O, s:O}", "format", job->format, "layers", job->report.layers,
                  "notes", job->report.notes, "obstacles", job->report.obstacles);
    if (job->tensors != NULL)
        (void)json_object_set(report, "tensors", job->tensors);
    if (job->error.status != CN_OK)
        (void)json_object_set_new(report, "error",
                                  json_pack("{s:s, s:s}", "status",
                                            cn_status_name(job->error.status), "text",
                                            job->error.text));
    const bool good = report != NULL && json_dumpfd(report, IMPORT_FD_REPORT, JSON_COMPACT) == 0;
    json_decref(report);
    return good;
}

/* The input has the floats, and the architecture has the layout. */
static enum cn_status pack_file(struct job *job) {
    json_error_t problem;
    const char *text = (const char *)job->architecture;
    json_t *layout = text != NULL ? json_loadb(text, job->architecture_length, 0, &problem) : NULL;
    const enum cn_status status =
        layout != NULL
            ? import_keras_pack(layout, (const float *)(const void *)job->bytes,
                                job->file.length / sizeof(float), IMPORT_FD_OUTPUT, &job->error)
            : cn_fail(&job->error, CN_INVALID, "there is no layout to write");
    json_decref(layout);
    return status;
}

int main(int argc, char **argv) {
    struct job job = {.report = {json_array(), json_array(), json_array(), NULL}, .format = ""};
    json_t *request = argc == 2 ? json_loads(argv[1], JSON_REJECT_DUPLICATES, NULL) : NULL;
    job.request = request;
    enum cn_status status = open_job(&job);
    const bool packs = json_is_true(json_object_get(request, "pack"));
    if (status == CN_OK)
        status = packs ? pack_file(&job) : import_file(&job);
    if (status == CN_OK && !packs)
        status = write_model(&job);
    const bool good = write_report(&job);
    cn_network_free(job.network);
    json_decref(job.labels);
    json_decref(job.tensors);
    json_decref(job.report.layers);
    json_decref(job.report.notes);
    json_decref(job.report.obstacles);
    json_decref(request);
    free(job.bytes);
    free(job.architecture);
    return good && status == CN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
