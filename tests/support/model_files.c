/* model_files.c: see model_files.h. Asserts success. */
#include "support/model_files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

/* 8x8x1: Conv2D "c", BatchNormalization "bn", Flatten "f", Dense "d" of three classes. */
static const char architecture[] =
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"little\",\"layers\":["
    "{\"class_name\":\"InputLayer\",\"config\":{\"batch_shape\":[null,8,8,1]}},"
    "{\"class_name\":\"Conv2D\",\"config\":"
    "{\"name\":\"c\",\"filters\":2,\"kernel_size\":3,\"activation\":\"relu\"}},"
    "{\"class_name\":\"BatchNormalization\",\"config\":{\"name\":\"bn\"}},"
    "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"f\"}},"
    "{\"class_name\":\"Dense\",\"config\":"
    "{\"name\":\"d\",\"units\":3,\"activation\":\"softmax\"}}]}}";

struct cn_network *model_files_network(const char *json, uint64_t seed) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_architecture_parse(json, strlen(json), "t", &network, &error), CN_OK, "%s",
                 error.text);
    cn_network_initialize(network, seed);
    return network;
}

struct cn_model *model_files_model(uint64_t seed) {
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_model_create(model_files_network(architecture, seed), &model, &error), CN_OK,
                 "%s", error.text);
    return model;
}

void model_files_save(const struct cn_model *model, const char *path) {
    struct cn_error error = {0};
    cr_assert_eq(cn_model_write(model, path, &error), CN_OK, "%s", error.text);
}

size_t model_files_entries(const char *folder) {
    size_t count = 0;
    DIR *listing = opendir(folder);
    cr_assert_not_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(listing);
    return count;
}
