/* confine.h: irrevocable restrictions of a process: files by Landlock, system calls by seccomp.
 * Used by the daemon and the import program, which list what each keeps. */
#ifndef CONVNET_BASE_CONFINE_H
#define CONVNET_BASE_CONFINE_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

/* False in a build with a sanitizer, which needs more access than either program keeps. */
bool cn_confine_possible(void);

enum cn_confine_rights {
    CN_CONFINE_READ = 1,   /* reading files and folders */
    CN_CONFINE_SOCKETS = 2 /* creating, replacing and removing unix sockets and files in a folder */
};

/* A file, or a folder and everything in it. */
struct cn_confine_path {
    const char *path; /* NULL: use `fd` */
    int fd;
    unsigned rights; /* flags of enum cn_confine_rights */
};

/* Restricts this thread, and those that it starts, to opening, creating and removing files in these
 * paths. Paths that do not exist are skipped. False: the kernel has no Landlock, or refuses; sets
 * errno. */
bool cn_confine_files(const struct cn_confine_path *paths, size_t count);

/* A system call that stays allowed, if its arguments satisfy `args`. */
struct cn_confine_call {
    int call;  /* SCMP_SYS(name) */
    int fault; /* 0, or the error with which it fails instead of EPERM */
    unsigned arg_count;
    struct scmp_arg_cmp args[2];
};

/* Makes every other system call fail with EPERM: in `all_threads`, or in this thread and those that
 * it starts. False: the kernel refuses; sets errno. */
bool cn_confine_calls(const struct cn_confine_call *calls, size_t count, bool all_threads);

#endif
