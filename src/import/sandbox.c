/* sandbox.c: see sandbox.h. Limits, no new privileges, Landlock, seccomp. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "import/sandbox.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum { MEBIBYTE = 1 << 20, BASE_MEMORY = 512 /* MiB */, SECONDS = 60, FILES = 64 };

static bool limit(__rlimit_resource_t resource, rlim_t value) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0)
        return false;
    if (now.rlim_max < value)
        value = now.rlim_max;
    return setrlimit(resource, &(struct rlimit){value, value}) == 0;
}

static bool limit_all(size_t length) {
    bool good = limit(RLIMIT_CPU, SECONDS) && limit(RLIMIT_CORE, 0) &&
                limit(RLIMIT_NOFILE, FILES) && limit(RLIMIT_FSIZE, (rlim_t)2048 * MEBIBYTE);
#ifndef SANITIZED
    good = good && limit(RLIMIT_AS, (rlim_t)BASE_MEMORY * MEBIBYTE + (rlim_t)8 * length);
#else
    (void)length;
#endif
    return good;
}

/* Files below `folder` may be read, and no other file touched. False without Landlock. */
static bool restrict_files(int folder) {
    const struct landlock_ruleset_attr rules = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                             LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                             LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                             LANDLOCK_ACCESS_FS_MAKE_SYM};
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (ruleset < 0)
        return false;
    const struct landlock_path_beneath_attr below = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
                                                     .parent_fd = folder};
    const bool good = (folder < 0 || syscall(SYS_landlock_add_rule, ruleset,
                                             LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0) &&
                      syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    (void)close(ruleset);
    return good;
}

/* Everything that is not listed fails with EPERM. */
static bool restrict_calls(int folder) {
    static const int calls[] = {
        SCMP_SYS(read),         SCMP_SYS(pread64),
        SCMP_SYS(write),        SCMP_SYS(writev),
        SCMP_SYS(lseek),        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),   SCMP_SYS(close),
        SCMP_SYS(mmap),         SCMP_SYS(munmap),
        SCMP_SYS(mremap),       SCMP_SYS(mprotect),
        SCMP_SYS(madvise),      SCMP_SYS(brk),
        SCMP_SYS(exit),         SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction), SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
        SCMP_SYS(futex),        SCMP_SYS(getpid),
        SCMP_SYS(gettid),       SCMP_SYS(tgkill),
        SCMP_SYS(sched_yield),  SCMP_SYS(sched_getaffinity),
    };
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return false;
    bool good = true;
    for (size_t i = 0; good && i < sizeof calls / sizeof calls[0]; i++)
        good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
    /* Below the folder, and to read only. */
    const struct scmp_arg_cmp read_below[] = {
        {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)folder},
        {.arg = 2,
         .op = SCMP_CMP_MASKED_EQ,
         .datum_a = (scmp_datum_t)(O_ACCMODE | O_CREAT | O_TRUNC),
         .datum_b = (scmp_datum_t)O_RDONLY}};
    if (good && folder >= 0)
        good = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 2, read_below) == 0;
    good = good && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

enum cn_status import_lock_down(int folder, size_t length, bool *ret_landlock,
                                struct cn_error *error) {
    *ret_landlock = false;
    if (!limit_all(length))
        return cn_fail(error, CN_IO, "cannot limit the import program: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return cn_fail(error, CN_IO, "cannot give up privileges: %s", strerror(errno));
#ifndef SANITIZED
    *ret_landlock = restrict_files(folder);
    if (!restrict_calls(folder))
        return cn_fail(error, CN_IO, "cannot lock the import program in (seccomp): %s",
                       strerror(errno));
#else
    (void)restrict_files;
    (void)restrict_calls;
    (void)folder;
#endif
    return CN_OK;
}
