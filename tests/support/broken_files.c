/* broken_files.c: reads files of other programs that are cut short or changed: each must become a
 * network, or be refused in one sentence, and nothing may crash.
 *
 *   broken_files ARCHITECTURE FILE...
 *
 * Each file is cut at each 1/200 of its length, and 200 of its bytes are inverted and increased by
 * one. A child process reads the broken forms of one file, so that a crash is told with its place.
 * The readers are called as the import program calls them, but without its sandbox. Prints a line
 * per file; exits with 1 after a fault. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "import/assemble.h"
#include "model/foreign.h"
#ifdef HAVE_ONNX
#include "import/onnx.h"
#endif

enum { PARTS = 200, FORMS = 3 * PARTS, SECONDS = 120 };

/* What the child has done so far. */
struct progress {
    int form, imported, faults;
};

static enum cn_status read_source(const struct import_file *file, enum cn_foreign kind,
                                  const json_t *architecture, struct cn_network **ret_network,
                                  struct cn_error *error) {
    static enum cn_status (*const readers[])(const struct import_file *, struct import_source *,
                                             struct cn_error *) = {
        [CN_FOREIGN_HDF5] = import_hdf5,           [CN_FOREIGN_KERAS_ZIP] = import_keras_zip,
        [CN_FOREIGN_TORCH_ZIP] = import_torch_zip, [CN_FOREIGN_TORCH_LEGACY] = import_torch_legacy,
        [CN_FOREIGN_JSON] = import_tfjs,           [CN_FOREIGN_SAFETENSORS] = import_safetensors};
    struct import_report report = {
        .layers = json_array(), .notes = json_array(), .obstacles = json_array()};
    struct import_source source = {.limit = 4 * file->length + 65536};
    enum cn_status status =
        kind < (enum cn_foreign)(sizeof readers / sizeof *readers) && readers[kind] != NULL
            ? readers[kind](file, &source, error)
            : cn_foreign_refuse(kind, file->name, error);
    if (status == CN_OK && source.architecture == NULL)
        source.architecture = json_deep_copy(architecture);
    if (status == CN_OK)
        status = import_assemble(&source, NULL, &report, ret_network, error);
    import_source_clear(&source);
    json_decref(report.layers);
    json_decref(report.notes);
    json_decref(report.obstacles);
    json_decref(report.tensors);
    return status;
}

static enum cn_status read_any(const struct import_file *file, const json_t *architecture,
                               struct cn_network **ret_network, struct cn_error *error) {
    const enum cn_foreign kind = cn_foreign_recognize(file->bytes, file->length);
#ifdef HAVE_ONNX
    if (kind == CN_FOREIGN_ONNX) {
        const struct import_onnx_options options = {
            .name = file->name, .bytes = file->bytes, .length = file->length, .folder = -1};
        struct import_onnx_result result = {0};
        const enum cn_status status = import_onnx(&options, &result, error);
        *ret_network = result.network;
        result.network = NULL;
        import_onnx_clear(&result);
        return status;
    }
#endif
    return read_source(file, kind, architecture, ret_network, error);
}

/* A refusal's text is one line of words; a success has none. */
static bool is_good(enum cn_status status, const struct cn_network *network,
                    const struct cn_error *error) {
    if (status == CN_OK)
        return network != NULL && error->text[0] == '\0';
    bool printable = strlen(error->text) > 10 && network == NULL && error->status == status;
    for (const char *c = error->text; *c != '\0'; c++)
        printable = printable && !iscntrl((unsigned char)*c);
    return printable;
}

static void read_forms(const struct import_file *whole, const json_t *architecture,
                       struct progress *progress) {
    for (int form = 0; form < FORMS; form++) {
        const size_t place = whole->length * (size_t)(form % PARTS) / PARTS;
        struct import_file file = *whole;
        struct cn_network *network = NULL;
        struct cn_error error = {0};
        if (form < PARTS)
            file.length = place;
        unsigned char *bytes = malloc(file.length + 1); /* of its own, so that overruns are seen */
        if (bytes == NULL)
            abort();
        memcpy(bytes, whole->bytes, file.length);
        bytes[file.length] = '\0';
        if (form >= PARTS)
            bytes[place] = (unsigned char)(form < 2 * PARTS ? ~bytes[place] : bytes[place] + 1);
        file.bytes = bytes;
        progress->form = form;
        const enum cn_status status = read_any(&file, architecture, &network, &error);
        progress->imported += status == CN_OK;
        if (!is_good(status, network, &error)) {
            progress->faults++;
            printf("%s, form %d: %d \"%s\"\n", whole->name, form, (int)status, error.text);
        }
        cn_network_free(network);
        free(bytes);
    }
}

/* True if all forms of the file are as they should be. */
static bool try_file(const char *path, const json_t *architecture, struct progress *progress) {
    struct import_file file = {.name = path, .folder = -1};
    unsigned char *bytes = NULL;
    struct cn_error error = {0};
    int status = 0;
    if (cn_file_read(path, (size_t)64 << 20, &bytes, &file.length, &error) != CN_OK) {
        printf("%s: %s\n", path, error.text);
        return false;
    }
    *progress = (struct progress){0};
    file.bytes = bytes;
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        char folder[1024];
        (void)snprintf(folder, sizeof folder, "%s", path);
        char *slash = strrchr(folder, '/');
        if (slash != NULL) {
            *slash = '\0';
            file.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        (void)alarm(SECONDS);
        read_forms(&file, architecture, progress);
        free(bytes);
        exit(progress->faults > 0); /* a sanitizer looks for leaks here */
    }
    const bool waited = child > 0 && waitpid(child, &status, 0) == child;
    free(bytes);
    printf("%s: %d of %d forms became a network\n", path, progress->imported, FORMS);
    if (waited && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return progress->form == FORMS - 1;
    printf("%s: form %d ended the reader with %s %d\n", path, progress->form,
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

int main(int argc, char **argv) {
    struct progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    json_t *architecture = argc > 2 ? json_load_file(argv[1], 0, NULL) : NULL;
    if (progress == MAP_FAILED || architecture == NULL) {
        (void)fprintf(stderr, "usage: broken_files ARCHITECTURE FILE...\n");
        return 2;
    }
    bool good = true;
    for (int i = 2; i < argc; i++)
        good = try_file(argv[i], architecture, progress) && good;
    json_decref(architecture);
    return good ? 0 : 1;
}
