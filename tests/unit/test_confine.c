/* test_confine.c: what a process can still do after it has given up files and system calls. Each
 * case runs in a child process, because a process cannot get them back; the exit status of the
 * child says which step failed. */
#include "base/confine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"

enum { WRONG = 1, NOT_HERE = 77 };

static char inside[FOLDER_PATH], outside[FOLDER_PATH], file_in[FOLDER_PATH], file_out[FOLDER_PATH];

static void setup(void) {
    folder_create(inside);
    folder_create(outside);
    folder_join(file_in, inside, "a");
    folder_join(file_out, outside, "a");
    folder_write(file_in, "x", 1);
    folder_write(file_out, "x", 1);
}

static void teardown(void) {
    folder_remove(inside);
    folder_remove(outside);
}

TestSuite(confine, .init = setup, .fini = teardown);

/* The child's exit status. */
static int run_child(void (*body)(void)) {
    int status = 0;
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        body();
        _exit(WRONG);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static bool opens(const char *path, int flags) {
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static void *open_outside(void *data) {
    *(bool *)data = opens(file_out, O_RDONLY);
    return NULL;
}

static void give_up_files(void) {
    const struct cn_confine_path paths[] = {
        {.path = inside, .rights = CN_CONFINE_READ},
        {.path = "/nowhere/at/all", .rights = CN_CONFINE_READ},
    };
    pthread_t thread;
    bool opened = true;
    if (!cn_confine_files(paths, 2))
        _exit(NOT_HERE);
    if (!opens(file_in, O_RDONLY))
        _exit(2);
    if (opens(file_out, O_RDONLY) || errno != EACCES)
        _exit(3);
    if (opens(file_in, O_WRONLY) || unlink(file_in) == 0)
        _exit(4);
    if (pthread_create(&thread, NULL, open_outside, &opened) == 0)
        (void)pthread_join(thread, NULL);
    _exit(opened ? 5 : 0);
}

Test(confine, files) {
    const int status = run_child(give_up_files);
    if (status == NOT_HERE)
        cr_skip_test("no Landlock in this kernel");
    cr_expect_eq(status, 0);
}

/* Pipes: `go` tells the thread to try a call, `done` returns the result. */
static int go[2], done[2];

static void *try_socket(void *data) {
    char byte;
    (void)data;
    /* The thread has started before calls are given up, since starting needs more of them. */
    if (write(done[1], "b", 1) != 1 || read(go[0], &byte, 1) != 1)
        return NULL;
    byte = socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM ? 'n' : 'y';
    (void)!write(done[1], &byte, 1);
    return NULL;
}

static void give_up_calls(void) {
    static const struct cn_confine_call calls[] = {
        {.call = SCMP_SYS(read)},
        {.call = SCMP_SYS(write)},
        {.call = SCMP_SYS(exit_group)},
        {.call = SCMP_SYS(exit)},
        {.call = SCMP_SYS(futex)},
        {.call = SCMP_SYS(madvise)},
        {.call = SCMP_SYS(munmap)},
        {.call = SCMP_SYS(rt_sigprocmask)},
        {.call = SCMP_SYS(sched_yield), .fault = ENOSYS},
        {.call = SCMP_SYS(socket),
         .arg_count = 1,
         .args = {{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX}}}};
    pthread_t thread;
    char byte = 'x';
    if (pipe(go) != 0 || pipe(done) != 0 || pthread_create(&thread, NULL, try_socket, NULL) != 0 ||
        read(done[0], &byte, 1) != 1)
        _exit(WRONG);
    if (!cn_confine_calls(calls, sizeof calls / sizeof *calls, true))
        _exit(NOT_HERE);
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
        _exit(2);
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        _exit(3);
    if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM)
        _exit(4);
    if (fork() >= 0)
        _exit(5);
    if (sched_yield() == 0 || errno != ENOSYS)
        _exit(6);
    if (write(go[1], "x", 1) != 1 || read(done[0], &byte, 1) != 1)
        _exit(7);
    _exit(byte == 'n' ? 0 : 8);
}

Test(confine, calls_in_every_thread) {
    if (!cn_confine_possible())
        cr_skip_test("a sanitizer needs more");
    const int status = run_child(give_up_calls);
    if (status == NOT_HERE)
        cr_skip_test("no seccomp here");
    cr_expect_eq(status, 0);
}
