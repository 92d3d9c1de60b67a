/* control.h: `convnetd reload` and the other calls of an operator to a running daemon. */
#ifndef CONVNET_DAEMON_CONTROL_H
#define CONVNET_DAEMON_CONTROL_H

#include "daemon/options.h"

/* True if the command line's first word is one of these calls. */
bool control_recognize(int argc, char **argv);

/* Sends the call that argv names to the admin socket of `options`, or to that of the service, and
 * prints the answer. Returns the exit status: 0 if the daemon did it, 1 with the daemon's message
 * on stderr if it did not, 2 for wrong usage. */
int control_run(const char *word, const char *operand, const struct daemon_options *options);

/* Writes one line per call, for --help. */
void control_describe(char *text, size_t size);

#endif
