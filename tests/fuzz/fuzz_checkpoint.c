/* fuzz_checkpoint.c: any bytes as a checkpoint of one training. */
#include "convnet/trainer.h"
#include "fuzz/fuzz.h"

static struct cn_trainer *tiny_trainer(void) {
    static uint8_t images[6 * 4] = {0, 255, 3, 9};
    static uint16_t labels[6] = {0, 1, 2, 0, 1, 2};
    static char names[3][2] = {"0", "1", "2"};
    static char *class_names[3] = {names[0], names[1], names[2]};
    static struct cn_dataset data = {.count = 6,
                                     .images = images,
                                     .labels = labels,
                                     .class_count = 3,
                                     .class_names = class_names,
                                     .sha256 = "00"};
    static struct cn_trainer *trainer;
    if (trainer != NULL)
        return trainer;
    struct cn_training_options options = cn_training_options_default();
    options.epochs = 2;
    options.batch_size = 2;
    options.threads = 1;
    options.loss = CN_LOSS_CATEGORICAL_CROSSENTROPY;
    data.shape = cn_shape_image(2, 2, 1);
    if (cn_trainer_create(fuzz_model(), &data, NULL, &options, &trainer, NULL) != CN_OK)
        abort();
    return trainer;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct cn_error error = {0};
    struct cn_trainer *trainer = tiny_trainer();
    const char *path = fuzz_file(bytes, length);
    const enum cn_status status = cn_trainer_read_checkpoint(trainer, path, &error);
    fuzz_check(status, &error, status == CN_OK);
    return 0;
}
