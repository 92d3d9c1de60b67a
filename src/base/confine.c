/* confine.c: see confine.h. It decides nothing and prints nothing. Files are restricted before
 * threads start, since Landlock restricts only the calling thread and its descendants. */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Constants of kernels that are newer than the headers. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

static const uint64_t file_rights = LANDLOCK_ACCESS_FS_READ_FILE,
                      folder_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
                      socket_rights = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;

bool cn_confine_possible(void) {
#ifdef SANITIZED
    return false;
#else
    return true;
#endif
}

/* All access rights to files that this kernel can restrict; 0 without Landlock. */
static uint64_t known_rights(void) {
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1);
    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return rights;
}

static bool add_path(int ruleset, const struct cn_confine_path *path) {
    struct stat info;
    const int fd = path->path != NULL ? open(path->path, O_PATH | O_CLOEXEC) : path->fd;
    if (fd < 0)
        return true; /* a missing path needs no right */
    const bool folder = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    struct landlock_path_beneath_attr below = {.parent_fd = fd};
    if ((path->rights & CN_CONFINE_READ) != 0)
        below.allowed_access |= folder ? folder_rights : file_rights;
    if ((path->rights & CN_CONFINE_SOCKETS) != 0 && folder)
        below.allowed_access |= socket_rights;
    const bool good =
        below.allowed_access == 0 ||
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0;
    const int fault = errno;
    if (path->path != NULL)
        (void)close(fd);
    errno = fault;
    return good;
}

bool cn_confine_files(const struct cn_confine_path *paths, size_t count) {
    const struct landlock_ruleset_attr rules = {.handled_access_fs = known_rights()};
    if (rules.handled_access_fs == 0)
        return false;
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (ruleset < 0)
        return false;
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = add_path(ruleset, &paths[i]);
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    const int fault = errno;
    (void)close(ruleset);
    errno = fault;
    return good;
}

bool cn_confine_calls(const struct cn_confine_call *calls, size_t count, bool all_threads) {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return false;
    int fault = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, all_threads);
    for (size_t i = 0; fault == 0 && i < count; i++) {
        const uint32_t action =
            calls[i].fault != 0 ? SCMP_ACT_ERRNO((unsigned)calls[i].fault) : SCMP_ACT_ALLOW;
        fault = seccomp_rule_add_array(filter, action, calls[i].call, calls[i].arg_count,
                                       calls[i].args);
    }
    if (fault == 0)
        fault = seccomp_load(filter);
    seccomp_release(filter);
    errno = -fault;
    return fault == 0;
}
