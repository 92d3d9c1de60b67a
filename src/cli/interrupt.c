/* interrupt.c: records a signal, for commands that end at the next good point. The state is the
 * process's. */
#include <signal.h>

#include "cli/cli.h"

static volatile sig_atomic_t noted;

static void note_interrupt(int number) {
    noted = number;
}

void cli_interrupt_catch(void) {
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

int cli_interrupted(void) {
    return noted;
}
