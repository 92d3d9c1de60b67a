/* fuzz_multipart.c: any bytes as a body of multipart/form-data; the first line is its Content-Type.
 */
#include "api/predict.h"
#include "fuzz/fuzz.h"

enum { MAX_IMAGES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const struct http_context context;
    static struct served_model served = {.name = "tiny", .version = 1};
    struct http_exchange exchange = {.context = &context};
    struct cn_error error = {0};
    char type[200];
    const uint8_t *end = memchr(bytes, '\n', length < sizeof type ? length : sizeof type - 1);
    if (served.model == NULL)
        served.model = fuzz_model();
    if (end == NULL || memchr(bytes, '\0', (size_t)(end - bytes)) != NULL)
        return 0;
    struct prediction p = {.exchange = &exchange,
                           .model = &served,
                           .max_images = MAX_IMAGES,
                           .max_pixels = 1 << 16,
                           .picture_limits = {.max_width = 64, .max_height = 64},
                           .image_size = 4};
    (void)snprintf(type, sizeof type, "%.*s", (int)(end - bytes), (const char *)bytes);
    const size_t size = length - (size_t)(end + 1 - bytes);
    unsigned char *body = malloc(size + 1); /* bodies end with a NUL */
    if (body == NULL)
        return 0;
    memcpy(body, end + 1, size);
    body[size] = '\0';
    enum cn_status status = prediction_add_multipart(&p, type, body, size, &error);
    fuzz_check(status, &error, status == CN_OK);
    for (size_t i = 0; i < p.source_count && status == CN_OK; i++)
        status = prediction_decode(&p, &p.sources[i], &error);
    if (p.count > MAX_IMAGES)
        abort();
    prediction_clear(&p);
    free(body);
    return 0;
}
