/* lock_down.h: what is left to the import program once it has its descriptors. */
#ifndef CONVNET_IMPORT_LOCK_DOWN_H
#define CONVNET_IMPORT_LOCK_DOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "convnet/status.h"

/* From here on the process can read and write the descriptors it has, open files for reading below
 * the folder `folder` (-1: none), and nothing else: no other file, no socket, no program. Memory is
 * limited to 512 MiB and eight times `length`, time to 60 s of processor. CN_IO if the kernel
 * refuses. *ret_landlock: the kernel has Landlock. Built with a sanitizer it only sets the limits
 * that sanitizers bear. */
enum cn_status import_lock_down(int folder, size_t length, bool *ret_landlock,
                                struct cn_error *error);

#endif
