/* confine.h: what a process gives up for good: files by Landlock, system calls by seccomp. Shared
 * by the daemon and the import program, which say what each keeps. */
#ifndef CONVNET_BASE_CONFINE_H
#define CONVNET_BASE_CONFINE_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

/* False in a build with a sanitizer, which needs more than either leaves. */
bool cn_confine_possible(void);

enum cn_confine_rights {
    CN_CONFINE_READ = 1,   /* read files and folders */
    CN_CONFINE_SOCKETS = 2 /* make, replace and remove unix sockets and files in a folder */
};

/* A file, or a folder with all below it. */
struct cn_confine_path {
    const char *path; /* NULL: `fd` */
    int fd;
    unsigned rights; /* of enum cn_confine_rights */
};

/* From here on this thread, and those that it starts, can open, make and remove no files but these.
 * A path that is not there is left out. False: the kernel has no Landlock, or refuses; errno. */
bool cn_confine_files(const struct cn_confine_path *paths, size_t count);

/* A system call that goes on working, if its arguments are as `args` says. */
struct cn_confine_call {
    int call;  /* SCMP_SYS(name) */
    int fault; /* 0, or what it fails with instead of EPERM */
    unsigned arg_count;
    struct scmp_arg_cmp args[2];
};

/* From here on every other system call of the process fails with EPERM; in `all_threads` or in this
 * one and those that it starts. False: the kernel refuses; errno. */
bool cn_confine_calls(const struct cn_confine_call *calls, size_t count, bool all_threads);

#endif
