/* lock_down.h: the import program's sandbox. */
#ifndef CONVNET_IMPORT_LOCK_DOWN_H
#define CONVNET_IMPORT_LOCK_DOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "convnet/status.h"

/* From here on the process can read and write its open descriptors, and open files for reading
 * below the folder `folder` (-1: none). It cannot open other files or sockets, or start programs.
 * Memory is limited to 512 MiB plus eight times `length`, processor time to 60 s. CN_IO if the
 * kernel refuses. *ret_landlock: the kernel has Landlock. A build with a sanitizer only sets the
 * limits that the sanitizer tolerates. */
enum cn_status import_lock_down(int folder, size_t length, bool *ret_landlock,
                                struct cn_error *error);

#endif
