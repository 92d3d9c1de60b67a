/* classify.c: loads a model, reads a picture and prints its class and confidence, by libconvnet. C
 * and C++ both.
 *
 *   cc -o classify classify.c $(pkg-config --cflags --libs libconvnet)
 *   ./classify /usr/share/convnetd/models/digits.safetensors seven.png
 */
#include <convnet/convnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file's bytes, malloc'd; NULL if it cannot be read. */
static void *file_read(const char *path, size_t *ret_length) {
    enum { MOST = 16 << 20 };
    FILE *file = fopen(path, "rb");
    char *bytes = file ? (char *)malloc(MOST) : NULL;

    if (bytes)
        *ret_length = fread(bytes, 1, MOST, file);
    if (bytes && (ferror(file) || *ret_length == MOST)) {
        free(bytes);
        bytes = NULL;
    }
    if (file)
        fclose(file);
    return bytes;
}

int main(int count, char **arguments) {
    struct cn_error error;
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    float *image = NULL, *outputs = NULL;
    void *picture = NULL;
    size_t length = 0;
    struct cn_answer answer;
    int status = EXIT_FAILURE;

    memset(&error, 0, sizeof error);
    if (count != 3) {
        fprintf(stderr, "usage: %s MODEL PICTURE\n", arguments[0]);
        return 2;
    }
    /* The file is checked in full; the plan is its network, packed for this processor. */
    if (cn_model_read(arguments[1], &model, &error) ||
        cn_plan_create(model->network, &plan, &error) ||
        cn_workspace_create(plan, &workspace, &error))
        goto out;
    picture = file_read(arguments[2], &length);
    image = (float *)calloc(cn_plan_input_size(plan), sizeof *image);
    outputs = (float *)calloc(cn_plan_output_size(plan), sizeof *outputs);
    if (!picture || !image || !outputs) {
        cn_fail(&error, CN_IO, "%s cannot be read", arguments[2]);
        goto out;
    }
    /* Decoding, fitting and normalising: the same way as in the server. */
    if (cn_image_decode(CN_PICTURE_AUTO, &model->preprocessing, &cn_picture_default_limits, picture,
                        length, &model->network->input_shape, image, NULL, &error))
        goto out;
    cn_plan_run(plan, workspace, image, 1, outputs);

    answer = cn_model_answer(model, outputs);
    printf("%s %.9g\n", answer.label ? answer.label : "-", (double)answer.confidence);
    status = EXIT_SUCCESS;

out:
    if (error.status != CN_OK)
        fprintf(stderr, "%s: %s\n", cn_status_name(error.status), error.text);
    free(outputs);
    free(image);
    free(picture);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_model_free(model);
    return status;
}
