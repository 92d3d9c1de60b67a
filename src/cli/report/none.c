/* none.c: the drawn report in a build without cairo. */
#include "cli/evaluate.h"

enum cn_status report_check(const char *path, struct cn_error *error) {
    return cn_fail(error, CN_UNSUPPORTED,
                   "the report \"%s\" cannot be drawn: convnet was built without cairo", path);
}

enum cn_status report_write(const struct evaluate_result *result, const char *history,
                            const char *path, struct cn_error *error) {
    (void)result;
    (void)history;
    return report_check(path, error);
}
