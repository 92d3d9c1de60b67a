/* none.c: the drawn report in a build without cairo. */
#include "cli/evaluate.h"

enum cn_status evaluate_check_report(const char *path, struct cn_error *error) {
    return cn_fail(error, CN_UNSUPPORTED,
                   "the report \"%s\" cannot be drawn: convnet was built without cairo", path);
}

enum cn_status evaluate_draw_report(const struct evaluate_result *result, struct cn_error *error) {
    return evaluate_check_report(result->settings->report, error);
}
