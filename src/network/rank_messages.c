/* rank_messages.c: operations that consist of messages between ranks. Independent of networks. */
#include "convnet/ranks.h"

void cn_ranks_gather(const struct cn_ranks *ranks, void *buffer, const size_t *bounds) {
    const size_t mine = (size_t)ranks->rank, size = bounds[mine + 1] - bounds[mine];
    unsigned char *bytes = buffer;
    for (int r = 0; r < ranks->count; r++) {
        if (r == ranks->rank)
            continue;
        if (bounds[r + 1] > bounds[r])
            ranks->receive(ranks->data, r, bytes + bounds[r], bounds[r + 1] - bounds[r]);
        if (size > 0)
            ranks->send(ranks->data, r, bytes + bounds[mine], size);
    }
    ranks->finish(ranks->data);
}
