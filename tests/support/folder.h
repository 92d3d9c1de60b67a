/* folder.h: a temporary folder for a test, in TMPDIR or else in the system's temporary folder. */
#ifndef CONVNET_TESTS_SUPPORT_FOLDER_H
#define CONVNET_TESTS_SUPPORT_FOLDER_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_PATH = 1024 };

/* Makes a new folder and writes its path. */
static inline void folder_create(char folder[static FOLDER_PATH]) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, FOLDER_PATH, "%s/convnet-test.XXXXXX", base != NULL ? base : P_tmpdir);
    cr_assert_not_null(mkdtemp(folder), "cannot make the folder %s", folder);
}

static inline void folder_join(char path[static FOLDER_PATH], const char *folder,
                               const char *name) {
    cr_assert_lt(snprintf(path, FOLDER_PATH, "%s/%s", folder, name), FOLDER_PATH);
}

static inline void folder_write(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "cannot write %s", path);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

static inline int folder_remove_entry(const char *path, const struct stat *info, int flag,
                                      struct FTW *place) {
    (void)info;
    (void)flag;
    (void)place;
    return remove(path);
}

/* Removes the folder and everything in it. */
static inline void folder_remove(const char *folder) {
    cr_assert_eq(nftw(folder, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
