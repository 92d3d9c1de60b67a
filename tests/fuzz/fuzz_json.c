/* fuzz_json.c: any bytes as a request body of each protocol with JSON: they are refused with a
 * message, or become images with samples from 0 to 1, or with any finite numbers if an inference
 * request has the network's input itself.
 *
 * The first byte chooses the protocol, the second the place where the JSON of an inference request
 * ends and its binary tensor begins. libFuzzer; seeds are in fuzz_json.seeds. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/oip/infer.h"
#include "api/tfserving.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { MAX_IMAGES = 4 };

/* 2 x 2 pixels to 3 classes. */
static const char architecture[] =
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"tiny\",\"layers\":["
    "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\","
    "\"batch_input_shape\":[null,2,2,1]}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\",\"units\":3,"
    "\"activation\":\"softmax\"}}]}}";

static struct served_model *tiny_model(void) {
    static struct served_model served = {.name = "tiny", .version = 1};
    struct cn_network *network = NULL;
    if (served.model != NULL)
        return &served;
    if (cn_architecture_parse(architecture, strlen(architecture), "tiny", &network, NULL) !=
            CN_OK ||
        cn_model_create(network, &served.model, NULL) != CN_OK)
        abort();
    return &served;
}

static enum cn_status parse(unsigned protocol, size_t cut, struct prediction *p, const char *text,
                            size_t length, struct cn_error *error) {
    struct json_scan scan = {text, text, length, error};
    struct infer_request *infer;
    enum cn_status status;
    struct tfserving_request tfserving = {.prediction = p};
    switch (protocol % 4) {
    case 0:
        return prediction_add_json(p, text, length, error);
    case 1:
        infer = calloc(1, sizeof *infer);
        if (infer == NULL || !infer_request_begin(infer, p))
            abort();
        status =
            infer_parse(infer, text, cut, (const uint8_t *)text + cut + 1, length - cut, error);
        infer_request_free(infer);
        return status;
    case 2:
        return tfserving_parse(&tfserving, text, length, error);
    default:
        return cn_json_skip(&scan);
    }
}

static void check(const struct prediction *p, unsigned protocol, enum cn_status status,
                  const struct cn_error *error) {
    if (error->status != status || (status != CN_OK) != (error->text[0] != '\0'))
        abort();
    if (status != CN_OK || protocol % 4 == 3)
        return;
    if (p->count == 0 || p->count > MAX_IMAGES)
        abort();
    for (size_t i = 0; i < p->count * p->image_size; i++)
        if (!isfinite(p->images[i]) ||
            (protocol % 4 != 1 && !(p->images[i] >= 0 && p->images[i] <= 1)))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const struct http_context context;
    struct http_exchange exchange = {.context = &context}; /* without a budget */
    struct prediction p = {.exchange = &exchange,
                           .model = tiny_model(),
                           .max_images = MAX_IMAGES,
                           .max_pixels = SIZE_MAX,
                           .picture_limits = {.max_width = 64, .max_height = 64},
                           .image_size = 4};
    struct cn_error error = {0};
    if (length < 2)
        return 0;
    const unsigned protocol = bytes[0];
    const size_t size = length - 2,
                 cut = protocol % 4 == 1 && bytes[1] < size ? size - bytes[1] : size;
    /* The JSON with its NUL in a block of exact size, so that sanitizers detect a read past its
     * end. */
    char *text = malloc(size + 2);
    if (text == NULL)
        return 0;
    memcpy(text, bytes + 2, cut);
    text[cut] = '\0';
    memcpy(text + cut + 1, bytes + 2 + cut, size - cut);
    text[size + 1] = '\0';
    enum cn_status status = parse(protocol, cut, &p, text, size, &error);
    for (size_t i = 0; i < p.source_count && status == CN_OK; i++)
        status = prediction_decode(&p, &p.sources[i], &error);
    check(&p, protocol, status, &error);
    free(text);
    prediction_clear(&p);
    return 0;
}
