/* test_file.c: reading whole files: limits, kinds of files; and writes that leave either the old or
 * the new file. Each test uses a folder of its own under TMPDIR, which is removed at its end. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char folder[256];

static void setup(void) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/convnet-file.XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
}

/* Number of entries in the test's folder; removes them too when asked. */
static int entries(bool remove_them) {
    int count = 0;
    DIR *listing = opendir(folder);
    cr_assert_not_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_them)
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    (void)closedir(listing);
    return count;
}

static void teardown(void) {
    (void)entries(true);
    (void)rmdir(folder);
}

static const char *in_folder(const char *name) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *path, const char *text) {
    struct cn_error error = {0};
    const struct cn_file_part part = {text, strlen(text)};
    cr_assert_eq(cn_file_write(path, &part, 1, &error), CN_OK, "%s", error.text);
}

static void assert_text(const char *path, const char *text) {
    struct cn_error error = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_file_read(path, 4096, &bytes, &length, &error), CN_OK, "%s", error.text);
    cr_assert_eq(length, strlen(text));
    cr_assert_str_eq((const char *)bytes, text);
    free(bytes);
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, parts_are_written_in_order_and_read_back) {
    const char *path = in_folder("model");
    const struct cn_file_part parts[] = {{"\0a", 2}, {"", 0}, {"bc\xff", 3}};
    struct cn_error error = {0};
    cr_assert_eq(cn_file_write(path, parts, 3, &error), CN_OK, "%s", error.text);
    unsigned char *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_file_read(path, 5, &bytes, &length, &error), CN_OK, "%s", error.text);
    cr_assert_eq(length, 5u);
    cr_assert_arr_eq(bytes, "\0abc\xff", 6, "the bytes and one NUL");
    free(bytes);
    cr_assert_eq(entries(false), 1, "a temporary file was left");
}

Test(file, empty_file) {
    const char *path = in_folder("empty");
    struct cn_error error = {0};
    cr_assert_eq(cn_file_write(path, NULL, 0, &error), CN_OK, "%s", error.text);
    assert_text(path, "");
}

Test(file, replaces_the_old_file_with_the_umasks_mode) {
    const char *path = in_folder("model");
    write_text(path, "the old and longer one");
    cr_assert_eq(chmod(path, 0600), 0);
    const mode_t mask = umask(027);
    write_text(path, "new");
    (void)umask(mask);
    assert_text(path, "new");
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777u, 0640u, "mode %o", info.st_mode & 0777u);
}

Test(file, over_the_limit) {
    const char *path = in_folder("model");
    write_text(path, "12345");
    struct cn_error error = {0};
    unsigned char *bytes = (unsigned char *)path;
    size_t length = 99;
    cr_assert_eq(cn_file_read(path, 4, &bytes, &length, &error), CN_LIMIT);
    cr_assert_not_null(strstr(error.text, "5 bytes"), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "4"), "%s", error.text);
    cr_assert_str_eq(error.source, path);
    cr_assert_eq(bytes, (const unsigned char *)path, "output touched on failure");
    cr_assert_eq(length, 99u, "output touched on failure");
}

Test(file, missing_file_and_folder) {
    struct cn_error error = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_file_read(in_folder("none"), 10, &bytes, &length, &error), CN_IO);
    cr_assert_not_null(strstr(error.text, "No such file"), "%s", error.text);

    struct cn_error write_error = {0};
    const struct cn_file_part part = {"x", 1};
    cr_assert_eq(cn_file_write(in_folder("none/model"), &part, 1, &write_error), CN_IO);
    cr_assert_not_null(strstr(write_error.text, "No such file"), "%s", write_error.text);
    cr_assert_eq(entries(false), 0);
}

Test(file, not_a_regular_file, .timeout = 10) {
    struct cn_error error = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_file_read(folder, 1 << 20, &bytes, &length, &error), CN_INVALID, "a folder");

    const char *fifo = in_folder("fifo");
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    struct cn_error fifo_error = {0};
    cr_assert_eq(cn_file_read(fifo, 1 << 20, &bytes, &length, &fifo_error), CN_INVALID, "a FIFO");
    cr_assert_null(bytes);
}

Test(file, path_that_cannot_be) {
    struct cn_error error = {0};
    cr_assert_eq(cn_file_write("", NULL, 0, &error), CN_INVALID);
    char path[8192];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    struct cn_error long_error = {0};
    cr_assert_eq(cn_file_write(path, NULL, 0, &long_error), CN_INVALID);
}

Test(file, target_is_a_folder) {
    const char *path = in_folder("taken");
    cr_assert_eq(mkdir(path, 0700), 0);
    struct cn_error error = {0};
    const struct cn_file_part part = {"x", 1};
    cr_assert_eq(cn_file_write(path, &part, 1, &error), CN_IO);
    cr_assert_eq(entries(false), 1, "a temporary file was left");
    (void)rmdir(path);
}

/* A limit of file sizes has the effect of a full disk: write() fails half-way. */
Test(file, a_write_that_fails_half_way_keeps_the_old_file) {
    const char *path = in_folder("model");
    write_text(path, "old");
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit saved, small;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &saved), 0);
    small = saved;
    small.rlim_cur = 1000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char big[4000];
    const struct cn_file_part part = {big, sizeof big};
    struct cn_error error = {0};
    const enum cn_status status = cn_file_write(path, &part, 1, &error);
    (void)setrlimit(RLIMIT_FSIZE, &saved);
    cr_assert_eq(status, CN_IO);
    cr_assert_not_null(strstr(error.text, "File too large"), "%s", error.text);
    assert_text(path, "old");
    cr_assert_eq(entries(false), 1, "a temporary file was left");
}

/* The next save of the same name removes the temporary file of a killed save, and nothing else. */
Test(file, the_next_save_removes_what_a_killed_one_left) {
    static const char *const stays[] = {".m.abcde",  ".m.abcdefg",    ".m.ab-def",
                                        ".n.abcdef", ".m.abcdef.txt", "m.abcdef"};
    char path[400], name[400];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/m", folder);
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, stays[i]);
        cr_assert_eq(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
    }
    (void)snprintf(name, sizeof name, "%s/.m.Ab3def", folder);
    const int held = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_eq(flock(held, LOCK_EX), 0);
    const struct cn_file_part part = {"new", 3};
    struct cn_error error = {0};
    cr_assert_eq(cn_file_write(path, &part, 1, &error), CN_OK, "%s", error.text);
    cr_expect_eq(stat(name, &info), 0, "a save that goes on keeps its file");
    cr_assert_eq(close(held), 0);
    cr_assert_eq(cn_file_write(path, &part, 1, &error), CN_OK, "%s", error.text);
    cr_expect_neq(stat(name, &info), 0, "it is removed once nobody holds it");
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, stays[i]);
        cr_expect_eq(stat(name, &info), 0, "%s", stays[i]);
    }
}
