/* lock_down.c: see lock_down.h. Sets limits, then uses base/confine. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/confine.h"
#include "import/lock_down.h"

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
    const bool good = limit(RLIMIT_CPU, SECONDS) && limit(RLIMIT_CORE, 0) &&
                      limit(RLIMIT_NOFILE, FILES) && limit(RLIMIT_FSIZE, (rlim_t)2048 * MEBIBYTE);
    if (!good || !cn_confine_possible())
        return good;
    return limit(RLIMIT_AS, (rlim_t)BASE_MEMORY * MEBIBYTE + (rlim_t)8 * length);
}

static bool restrict_calls(int folder) {
    const struct cn_confine_call calls[] = {
        {.call = SCMP_SYS(read)},
        {.call = SCMP_SYS(pread64)},
        {.call = SCMP_SYS(write)},
        {.call = SCMP_SYS(writev)},
        {.call = SCMP_SYS(lseek)},
        {.call = SCMP_SYS(fstat)},
        {.call = SCMP_SYS(newfstatat)},
        {.call = SCMP_SYS(close)},
        {.call = SCMP_SYS(mmap)},
        {.call = SCMP_SYS(munmap)},
        {.call = SCMP_SYS(mremap)},
        {.call = SCMP_SYS(mprotect)},
        {.call = SCMP_SYS(madvise)},
        {.call = SCMP_SYS(brk)},
        {.call = SCMP_SYS(exit)},
        {.call = SCMP_SYS(exit_group)},
        {.call = SCMP_SYS(rt_sigreturn)},
        {.call = SCMP_SYS(rt_sigprocmask)},
        {.call = SCMP_SYS(rt_sigaction)},
        {.call = SCMP_SYS(clock_gettime)},
        {.call = SCMP_SYS(gettimeofday)},
        {.call = SCMP_SYS(getrandom)},
        {.call = SCMP_SYS(futex)},
        {.call = SCMP_SYS(getpid)},
        {.call = SCMP_SYS(gettid)},
        {.call = SCMP_SYS(tgkill)},
        {.call = SCMP_SYS(sched_yield)},
        {.call = SCMP_SYS(sched_getaffinity)},
        /* Below the folder, for reading only. This entry is last, so that it can be omitted without
           a folder. */
        {.call = SCMP_SYS(openat),
         .arg_count = 2,
         .args = {{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)folder},
                  {.arg = 2,
                   .op = SCMP_CMP_MASKED_EQ,
                   .datum_a = (scmp_datum_t)(O_ACCMODE | O_CREAT | O_TRUNC),
                   .datum_b = (scmp_datum_t)O_RDONLY}}}};
    const size_t count = sizeof calls / sizeof *calls;
    return cn_confine_calls(calls, folder >= 0 ? count : count - 1, false);
}

enum cn_status import_lock_down(int folder, size_t length, bool *ret_landlock,
                                struct cn_error *error) {
    const struct cn_confine_path below = {.fd = folder, .rights = CN_CONFINE_READ};
    *ret_landlock = false;
    if (!limit_all(length))
        return cn_fail(error, CN_IO, "cannot limit the import program: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return cn_fail(error, CN_IO, "cannot give up privileges: %s", strerror(errno));
    if (!cn_confine_possible())
        return CN_OK;
    *ret_landlock = cn_confine_files(&below, folder >= 0 ? 1 : 0);
    if (!restrict_calls(folder))
        return cn_fail(error, CN_IO, "cannot lock the import program in (seccomp): %s",
                       strerror(errno));
    return CN_OK;
}
