/* passive_openmp.c: see passive_openmp.h. Part of each program, not of the library: only a program
 * has functions that run before those of the libraries it needs.
 *
 * The variable has to be there when libgomp is set up, and the C library's own functions are not
 * ready by then: for that moment it takes the place of a variable that no library looks for.
 * Starting again instead takes a quarter of the time until the first answer. */
#include "base/passive_openmp.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* What runs before main runs before the sanitizers' own beginning. */
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
    /* For LLVM's libomp, which reads it later. */
    if (getenv("OMP_WAIT_POLICY") != NULL || setenv("OMP_WAIT_POLICY", "passive", 1) != 0 || told)
        return;
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) { /* without /proc it goes on, only hotter */
        program[length] = '\0';
        (void)execv(program, argv);
    }
}
