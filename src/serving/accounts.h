/* accounts.h: the processor time of clients, for queues that serve the client that has used the
 * least of it next: a client gets no larger share by sending more or larger requests. There is no
 * lock here: the queue's owner has one. */
#ifndef CONVNET_SERVING_ACCOUNTS_H
#define CONVNET_SERVING_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

struct account {
    uint64_t used;  /* in nanoseconds */
    size_t waiting; /* images that wait for it, where the owner counts them */
};

/* Clients share an account when their numbers collide. */
enum { ACCOUNTS = 256 };

struct accounts {
    struct account of[ACCOUNTS];
    uint64_t reached; /* the largest `used` of an account when it was served */
};

static inline struct account *accounts_find(struct accounts *accounts, uint64_t client) {
    _Static_assert(ACCOUNTS == 256, "the account's number has eight bits");
    return &accounts->of[client * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* Called when the owner serves this account, which has used the least of those in a queue. An
 * account that is behind what was reached has been away, or its queue is cheaper than another one.
 * It continues from what was reached: it saves up no time, for which the other clients of its queue
 * would have to wait. */
static inline void accounts_serve(struct accounts *accounts, struct account *account) {
    if (account->used < accounts->reached)
        account->used = accounts->reached;
    accounts->reached = account->used;
}

#endif
