/* emulated_exec.c: an LD_PRELOAD library for tests/cross-arm64. A program in qemu's user mode that
 * executes itself again, as Criterion does for each test, is started in qemu again; otherwise the
 * kernel would have to run a program of another architecture. EMULATOR is qemu's own path. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

int execve(const char *program, char *const argv[], char *const environment[]) {
    int (*real)(const char *, char *const[], char *const[]) = NULL;
    const char *emulator = getenv("EMULATOR");
    size_t count = 0;
    *(void **)&real = dlsym(RTLD_NEXT, "execve");
    while (argv[count] != NULL)
        count++;
    const char *emulated[count + 3]; /* after fork(), so it must not allocate */
    emulated[0] = emulator;
    emulated[1] = program;
    for (size_t i = 1; i <= count; i++)
        emulated[i + 1] = argv[i];
    return emulator == NULL ? real(program, argv, environment)
                            : real(emulator, (char *const *)emulated, environment);
}
