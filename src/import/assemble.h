/* assemble.h: makes a network with weights from the contents of a foreign file. */
#ifndef CONVNET_IMPORT_ASSEMBLE_H
#define CONVNET_IMPORT_ASSEMBLE_H

#include "convnet/network.h"
#include "import/source.h"

/* The results of an import. The caller creates the first three, which are JSON arrays. */
struct import_report {
    json_t *layers;    /* {"name", "class", "shape", "source"} of each layer of the network */
    json_t *notes;     /* strings: what was reordered, folded or dropped */
    json_t *obstacles; /* strings: every reason why the import fails */
    json_t *tensors;   /* set here: {"inputs", "outputs"}, see import/onnx.h */
};

/* Appends a formatted string to `list`. */
void import_note(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes the network of source->architecture and gives it the source's weights. `input_shape` is
 * used where the file leaves the shape open (NULL: none). Caller frees with cn_network_free.
 * CN_UNSUPPORTED with `report->obstacles`; CN_INVALID for weights that are missing or have another
 * shape. */
enum cn_status import_assemble(struct import_source *source, const struct cn_shape *input_shape,
                               struct import_report *report, struct cn_network **ret_network,
                               struct cn_error *error);

/* ---- Weights (match.c) ---- */

/* Fills the parameters of a built network from the source's tensors. `paths`: each layer's path in
 * the architecture. */
enum cn_status import_match(struct import_source *source, struct cn_network *network,
                            char *const *paths, struct import_report *report,
                            struct cn_error *error);

#endif
