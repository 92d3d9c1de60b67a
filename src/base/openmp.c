/* openmp.c: makes OpenMP's threads sleep between two regions. Part of each program, not of the
 * library, since only a program has functions that run before the constructors of its libraries.
 *
 * The variable must be set when libgomp is initialised, but the C library's own functions are not
 * usable at that point. So the setting replaces an environment variable that no library reads.
 * Starting the program again instead would take a quarter of the time until the first answer. */
#include "base/openmp.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* Code that runs before main also runs before the sanitizers are initialised. */
#define EARLY __attribute__((no_sanitize("address", "thread", "undefined")))

static char variable[] = "OMP_WAIT_POLICY=passive";
static char **place, *displaced;

EARLY static bool begins(const char *text, const char *with) {
    while (*with != '\0' && *text == *with)
        text++, with++;
    return *with == '\0';
}

EARLY static void lend_place(int argc, char **argv, char **environment) {
    static const char *const unread[] = {"_=", "OLDPWD=", "PWD=", "SHLVL=", "HOSTNAME=", "HOME="};
    (void)argc, (void)argv;
    char **found = NULL;
    for (char **entry = environment; *entry != NULL; entry++) {
        if (begins(*entry, "OMP_WAIT_POLICY="))
            return;
        for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
            if (begins(*entry, unread[i]))
                found = entry;
    }
    if (found == NULL)
        return;
    displaced = *found;
    place = found;
    *found = variable;
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before_libraries)(int, char **, char **) = lend_place;

void cn_openmp_wait_passively(char **argv) {
    char program[PATH_MAX];
    const bool told = place != NULL;
    if (told)
        *place = displaced;
    /* For LLVM's libomp, which reads the variable later. */
    if (getenv("OMP_WAIT_POLICY") != NULL || setenv("OMP_WAIT_POLICY", "passive", 1) != 0 || told)
        return;
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) { /* without /proc its threads spin */
        program[length] = '\0';
        (void)execv(program, argv);
    }
}
