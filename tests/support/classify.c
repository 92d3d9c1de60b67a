/* classify.c: a program of someone else's: links the installed library, prints what a picture is.
 * C and C++ both. classify MODEL PICTURE. */
#include <convnet/convnet.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const struct cn_error *error) {
    fprintf(stderr, "%s\n", error->text);
    return 1;
}

static unsigned char picture[1 << 16];

int main(int argc, char **argv) {
    struct cn_error error;
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (file == NULL)
        return 2;
    const size_t length = fread(picture, 1, sizeof picture, file);
    fclose(file);
    if (cn_model_read(argv[1], &model, &error) != CN_OK ||
        cn_plan_create(model->network, &plan, &error) != CN_OK ||
        cn_workspace_create(plan, &workspace, &error) != CN_OK)
        return fail(&error);

    float *image = (float *)calloc(cn_plan_input_size(plan), sizeof *image);
    float *outputs = (float *)calloc(cn_plan_output_size(plan), sizeof *outputs);
    if (cn_image_decode(CN_PICTURE_AUTO, &model->preprocessing, &cn_picture_default_limits, picture,
                        length, &model->network->input_shape, image, NULL, &error) != CN_OK)
        return fail(&error);
    cn_plan_run(plan, workspace, image, 1, outputs);
    const struct cn_answer answer = cn_model_answer(model, outputs);
    printf("%s %.9g\n", answer.label, (double)answer.confidence);

    free(outputs);
    free(image);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_model_free(model);
    return 0;
}
