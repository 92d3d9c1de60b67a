/* accounts.h: the processor time of clients, for queues that serve the client that has used the
 * least of it next: a client gets no larger share by sending more or larger requests. There is no
 * lock here: the queue's owner has one. */
#ifndef CONVNET_SERVING_ACCOUNTS_H
#define CONVNET_SERVING_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

struct account {
    uint64_t used; /* in nanoseconds */
    size_t waiting;
};

/* Clients share an account when their numbers collide. */
enum { ACCOUNTS = 256 };

struct accounts {
    struct account of[ACCOUNTS];
    uint64_t least_used; /* by the client that was served last */
};

static inline struct account *accounts_find(struct accounts *accounts, uint64_t client) {
    _Static_assert(ACCOUNTS == 256, "the account's number has eight bits");
    return &accounts->of[client * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* Counts what waits for the client. One that comes starts at the time of the least busy client, so
 * that no client saves up time while it is away. */
static inline void accounts_enter(struct accounts *accounts, uint64_t client, size_t amount) {
    struct account *account = accounts_find(accounts, client);
    if (account->waiting == 0 && account->used < accounts->least_used)
        account->used = accounts->least_used;
    account->waiting += amount;
}

static inline void accounts_leave(struct accounts *accounts, uint64_t client, size_t amount) {
    accounts_find(accounts, client)->waiting -= amount;
}

#endif
