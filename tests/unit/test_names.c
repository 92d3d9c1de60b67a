/* test_names.c: enums as words, and the list of words for messages. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/names.h"

static const char *const names[] = {"valid", "same", "full", NULL};
static const char *const none[] = {NULL};

Test(names, index) {
    cr_assert_eq(cn_name_index(names, "valid"), 0);
    cr_assert_eq(cn_name_index(names, "full"), 2);
    cr_assert_eq(cn_name_index(names, "Same"), -1, "case counts");
    cr_assert_eq(cn_name_index(names, "sam"), -1);
    cr_assert_eq(cn_name_index(names, "same "), -1);
    cr_assert_eq(cn_name_index(names, ""), -1);
    cr_assert_eq(cn_name_index(none, "valid"), -1);
}

Test(names, list) {
    char text[64];
    cr_assert_str_eq(cn_name_list(names, text, sizeof text), "valid, same, full");
    cr_assert_str_eq(cn_name_list(none, text, sizeof text), "");
}

Test(names, list_is_cut_between_names_and_never_overruns) {
    static const char *const wanted[] = {[1] = "",
                                         [4] = "...",
                                         [11] = "valid, ...",
                                         [17] = "valid, same, ...",
                                         [18] = "valid, same, full"};
    const char *now = "";
    for (size_t size = 1; size <= 18; size++) {
        char text[32];
        memset(text, '#', sizeof text);
        cn_name_list(names, text, size);
        if (wanted[size] != NULL)
            now = wanted[size];
        if (size != 2 && size != 3)
            cr_assert_str_eq(text, now, "size %zu: %s", size, text);
        cr_assert_eq(text[size], '#', "size %zu wrote past its end", size);
    }
}
