/* sandbox.c: see sandbox.h. If the kernel refuses a part, which it does in some containers, the log
 * says so and the daemon runs without it. Main thread. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "daemon/sandbox.h"

#include "daemon/log.h"

#ifdef HAVE_SANDBOX
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/openmp.h"

enum { PATHS = 96, LINKS = 8 /* of symbolic links in a chain */ };

/* The paths that stay accessible. The list owns its texts. */
struct sandbox_paths {
    size_t count;
    struct cn_confine_path paths[PATHS];
};

static bool files_closed;
static int files_fault; /* errno of the first failure */

/* Allows a copy of the first `length` bytes of `path`. The root is never allowed, since that would
 * allow everything. */
static void allow_path(struct sandbox_paths *list, const char *path, size_t length,
                       unsigned rights) {
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || (length == 1 && path[0] == '/') || list->count == PATHS)
        return;
    char *copy = strndup(path, length);
    if (copy != NULL)
        list->paths[list->count++] = (struct cn_confine_path){.path = copy, .rights = rights};
}

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) : 0;
}

/* Allows the folder of each symbolic link on the way to `path`, which is absolute, and the folder
 * of the link's target. */
static void allow_links(struct sandbox_paths *list, const char *path, int depth) {
    char link[PATH_MAX], target[PATH_MAX], next[2 * PATH_MAX];
    for (size_t i = 1; i <= strlen(path) && depth < LINKS; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(link, path, i);
        link[i] = '\0';
        const ssize_t length = readlink(link, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        const size_t folder = folder_length(link);
        allow_path(list, link, folder, CN_CONFINE_READ);
        (void)snprintf(next, sizeof next, "%.*s/%s", target[0] == '/' ? 0 : (int)folder, link,
                       target);
        if (strlen(next) < PATH_MAX)
            allow_links(list, next, depth + 1);
        if (realpath(link, target) != NULL)
            allow_path(list, target, folder_length(target), CN_CONFINE_READ);
    }
}

/* Allows the folder of a file, so that the file may be replaced; or a folder itself. */
static void allow_place(struct sandbox_paths *list, const char *path, bool folder) {
    char absolute[PATH_MAX], resolved[PATH_MAX];
    if (path[0] == '\0')
        return;
    if (path[0] == '/') {
        if (strlen(path) >= sizeof absolute)
            return;
        memcpy(absolute, path, strlen(path) + 1);
    } else {
        char here[PATH_MAX];
        if (getcwd(here, sizeof here) == NULL ||
            (size_t)snprintf(absolute, sizeof absolute, "%s/%s", here, path) >= sizeof absolute)
            return;
    }
    if (realpath(absolute, resolved) != NULL) {
        allow_path(list, resolved, folder ? strlen(resolved) : folder_length(resolved),
                   CN_CONFINE_READ);
        /* A file in the root: only the file is allowed. */
        if (!folder && folder_length(resolved) == 0)
            allow_path(list, resolved, strlen(resolved), CN_CONFINE_READ);
    }
    const size_t length = folder ? strlen(absolute) : folder_length(absolute);
    allow_path(list, absolute, length, CN_CONFINE_READ);
    allow_links(list, absolute, 0);
}

/* Allows what libraries and the C library read at any time; all of it is public. */
static void allow_system(struct sandbox_paths *list) {
    static const char *const system_places[] = {"/proc",          "/sys",
                                                "/usr",           "/lib",
                                                "/lib64",         "/etc/gnutls",
                                                "/etc/localtime", "/etc/crypto-policies",
                                                "/etc/ssl",       "/dev/null",
                                                "/dev/zero",      "/dev/urandom",
                                                "/dev/random",    "/etc/ld.so.cache"};
    for (size_t i = 0; i < sizeof system_places / sizeof *system_places; i++)
        allow_path(list, system_places[i], strlen(system_places[i]), CN_CONFINE_READ);
}

static void *thread_exit(void *data) {
    (void)data;
    pthread_exit(NULL);
}

/* Lets libraries open what they open at their first use, which the sandbox forbids, and without
 * which they abort: LLVM's OpenMP takes shared memory, and the C library loads its unwinder
 * (libgcc_s) where a thread calls pthread_exit, as GNU's OpenMP does at its end. */
static void begin_libraries(void) {
    pthread_t thread;
    (void)omp_get_max_threads();
    if (pthread_create(&thread, NULL, thread_exit, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

void sandbox_close_files(const struct daemon_options *options) {
    struct sandbox_paths list = {0};
    if (options->no_sandbox || !cn_confine_possible())
        return;
    begin_libraries();
    allow_system(&list);
    allow_place(&list, options->model_dir[0] != '\0' ? options->model_dir : options->model_file,
                options->model_dir[0] != '\0');
    allow_place(&list, options->api_keys_file, false);
    allow_place(&list, options->trusted_keys, false);
    allow_place(&list, options->tls_certificate, false);
    allow_place(&list, options->tls_key, false);
    allow_place(&list, options->tls_client_ca, false);
    allow_place(&list, options_configuration(), false);
    allow_path(&list, options->admin_socket, folder_length(options->admin_socket),
               CN_CONFINE_SOCKETS);
    files_closed = cn_confine_files(list.paths, list.count);
    files_fault = errno;
    while (list.count > 0)
        free((char *)(uintptr_t)list.paths[--list.count].path);
}

#define CALL(name)                                                                                 \
    { .call = SCMP_SYS(name) }
#define CALL_IF(name, argument, operation, ...)                                                    \
    {                                                                                              \
        .call = SCMP_SYS(name), .arg_count = 1, .args = {                                          \
            {.arg = (argument), .op = (operation), .datum_a = __VA_ARGS__}                         \
        }                                                                                          \
    }

/* Opens for reading only, without creating. */
#define OPEN_READ                                                                                  \
    (scmp_datum_t)(O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)),                    \
        .datum_b = (scmp_datum_t)O_RDONLY
#define NOT_EXECUTABLE (scmp_datum_t) PROT_EXEC, .datum_b = 0
#define A_THREAD       (scmp_datum_t) CLONE_THREAD, .datum_b = (scmp_datum_t)CLONE_THREAD

/* THE list of allowed system calls. */
static const struct cn_confine_call calls_left[] = {
    /* memory that is not executable */
    CALL(brk),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL_IF(mmap, 2, SCMP_CMP_MASKED_EQ, NOT_EXECUTABLE),
    CALL_IF(mmap2, 2, SCMP_CMP_MASKED_EQ, NOT_EXECUTABLE),
    CALL_IF(mprotect, 2, SCMP_CMP_MASKED_EQ, NOT_EXECUTABLE),
    /* reading files */
    CALL_IF(openat, 2, SCMP_CMP_MASKED_EQ, OPEN_READ),
    CALL_IF(open, 1, SCMP_CMP_MASKED_EQ, OPEN_READ),
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(preadv),
    CALL(lseek),
    CALL(_llseek),
    CALL(close),
    CALL(fstat),
    CALL(fstat64),
    CALL(stat),
    CALL(lstat),
    CALL(newfstatat),
    CALL(fstatat64),
    CALL(statx),
    CALL(fstatfs),
    CALL(statfs),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlink),
    CALL(readlinkat),
    CALL(getdents64),
    CALL(getcwd),
    CALL(dup),
    CALL(fcntl),
    CALL(fcntl64),
    CALL(fadvise64),
    CALL_IF(ioctl, 1, SCMP_CMP_EQ, FIONREAD),
    CALL_IF(ioctl, 1, SCMP_CMP_EQ, FIONBIO),
    CALL_IF(ioctl, 1, SCMP_CMP_EQ, TCGETS),
    /* writing answers and the log */
    CALL(write),
    CALL(writev),
    CALL(sendfile),
    CALL(sendfile64),
    /* removing the admin socket at the end */
    CALL(unlink),
    CALL(unlinkat),
    /* clients' sockets; the daemon itself opens only unix sockets: the service manager's, the
       watchdog's */
    CALL(accept),
    CALL(accept4),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(recv),
    CALL(sendto),
    CALL(sendmsg),
    CALL(send),
    CALL(shutdown),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(getsockname),
    CALL(getpeername),
    CALL(connect),
    CALL_IF(socket, 0, SCMP_CMP_EQ, AF_UNIX),
    CALL_IF(socketpair, 0, SCMP_CMP_EQ, AF_UNIX),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(eventfd2),
    CALL(pipe2),
    /* threads */
    CALL_IF(clone, 0, SCMP_CMP_MASKED_EQ, A_THREAD),
    {.call = SCMP_SYS(clone3), .fault = ENOSYS},
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(membarrier),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(getcpu),
    CALL(gettid),
    CALL(exit),
    CALL(exit_group),
    CALL_IF(prctl, 0, SCMP_CMP_EQ, PR_SET_NAME),
    CALL_IF(prctl, 0, SCMP_CMP_EQ, PR_GET_NAME),
    /* signals, and ending the process by one */
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(rt_sigtimedwait),
    CALL(tgkill),
    CALL(restart_syscall),
    /* time, random numbers, and properties of the process */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(getrandom),
    CALL(getpid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getrusage),
    CALL(times),
    CALL(sysinfo),
    CALL(uname),
    CALL(umask),
    /* limits: reading them only */
    CALL(getrlimit),
    CALL_IF(prlimit64, 2, SCMP_CMP_EQ, 0),
};

void sandbox_close_calls(const struct daemon_options *options) {
    const size_t count = sizeof calls_left / sizeof *calls_left;
    if (options->no_sandbox) {
        log_write(LOG_LEVEL_WARNING, "sandbox: none, as no-sandbox says");
        return;
    }
    if (!cn_confine_possible()) {
        log_write(LOG_LEVEL_INFO, "sandbox: none in a build with a sanitizer");
        return;
    }
    const bool closed = cn_confine_calls(calls_left, count, true);
    const int fault = errno;
    log_write(closed && files_closed ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "sandbox: %s%s; %s%s",
              files_closed ? "only its own files are read (Landlock)"
                           : "files stay open, the kernel has no Landlock: ",
              files_closed ? "" : strerror(files_fault),
              closed ? "no program, no outgoing connection, no file written, no new code (seccomp)"
                     : "system calls stay open, the kernel refuses seccomp: ",
              closed ? "" : strerror(fault));
}

#else

void sandbox_close_files(const struct daemon_options *options) {
    (void)options;
}

void sandbox_close_calls(const struct daemon_options *options) {
    (void)options;
    log_write(LOG_LEVEL_INFO, "sandbox: none in this build (configure --disable-sandbox)");
}

#endif
