/* control.h: `convnetd reload` and its like: an operator's calls to a daemon that runs. */
#ifndef CONVNET_DAEMON_CONTROL_H
#define CONVNET_DAEMON_CONTROL_H

#include "daemon/options.h"

/* True if the command line's first word is one of these calls. */
bool control_recognize(int argc, char **argv);

/* Sends the call that argv names to the admin socket of `options`, or to the one that a service
 * has, and prints the answer. Returns the exit status: 0 if it was carried out, 1 with the daemon's
 * sentence on stderr if it was not, 2 for wrong usage. */
int control_run(const char *word, const char *operand, const struct daemon_options *options);

/* One line per call, for --help. */
void control_describe(char *text, size_t size);

#endif
