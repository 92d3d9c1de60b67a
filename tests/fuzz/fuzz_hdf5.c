/* fuzz_hdf5.c: any bytes as an HDF5 file. libhdf5 is known to crash on some files, which is why a
 * process of its own reads them; here each input has a process of its own, too. This fuzzer finds
 * hangs and contradictory answers. */
#include <signal.h>
#include <sys/wait.h>

#include "fuzz/fuzz.h"
#include "import/source.h"

enum { CONTRADICTION = 9, SECONDS = 20 };

static int read_file(const uint8_t *bytes, size_t length) {
    const struct import_file file = {
        .name = "fuzz", .bytes = bytes, .length = length, .folder = -1};
    struct import_source source = {.limit = 4 * length + 65536};
    struct cn_error error = {0};
    const enum cn_status status = import_hdf5(&file, &source, &error);
    const bool good = error.status == status && (status != CN_OK) == (error.text[0] != '\0') &&
                      source.floats <= source.limit;
    import_source_clear(&source);
    return good ? 0 : CONTRADICTION;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    int status = 0;
    const pid_t child = fork();
    if (child < 0)
        return 0;
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)alarm(SECONDS);
        (void)signal(SIGALRM, SIG_DFL);
        _exit(read_file(bytes, length));
    }
    if (waitpid(child, &status, 0) != child)
        return 0;
    if ((WIFEXITED(status) && WEXITSTATUS(status) == CONTRADICTION) ||
        (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
        abort();
    return 0;
}
