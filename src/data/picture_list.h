/* picture_list.h: pictures that are named by their paths, and how they become a data set. */
#ifndef CONVNET_DATA_PICTURE_LIST_H
#define CONVNET_DATA_PICTURE_LIST_H

#include "data/dataset_table.h"

struct cn_listed_picture {
    char *path;
    uint16_t label;
    float weight;
    bool named; /* it is called a picture, by its ending or a list: it must be one */
};

struct cn_picture_list {
    struct cn_listed_picture *pictures;
    size_t count, capacity;
};

/* True if a file's name has a picture's ending. */
bool cn_picture_is_named(const char *name);

/* Copies the path. CN_MEMORY. */
enum cn_status cn_picture_list_add(struct cn_picture_list *list, const char *path, uint16_t label,
                                   float weight, bool named, struct cn_error *error);

/* Reads all of them, in their order, into a data set that has no pictures yet: through
 * cn_image_decode, the path of served pictures, on several threads. A file that is no picture and
 * not called one is left out and counted; another fault is an error that names the file. `root`:
 * the folder that their names in the data set leave out. */
enum cn_status cn_picture_list_read(const struct cn_picture_list *list,
                                    const struct cn_dataset_request *request, const char *root,
                                    struct cn_dataset *dataset, struct cn_error *error);

void cn_picture_list_clear(struct cn_picture_list *list);

#endif
