/* test_connections.c: which connections count as one client for max-connections-per-address, and
 * when the limits are reached. */
#include "http/connections.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "http/worker.h"

static struct http_connections connections;
static int next_fd;

static void begin(void) {
    next_fd = 100; /* numbers only: nothing is read from these descriptors */
    cr_assert_eq(http_connections_init(&connections, 6, 2, 2, NULL), CN_OK);
}
static void end(void) {
    http_connections_clear(&connections);
}
TestSuite(connections, .init = begin, .fini = end);

static enum http_room room; /* result of the last connection */

/* A connection from an address, or from a unix socket if it is NULL. */
static struct http_connection *from(const char *text, enum http_class class) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const void *address = &local;
    if (text != NULL && inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        address = &v4;
    else if (text != NULL && inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        address = &v6;
    return http_connections_add(&connections, next_fd++, address, class, &room);
}

static bool comes(const char *text) {
    return from(text, HTTP_CLASS_CLIENT) != NULL;
}

Test(connections, a_network_of_ipv6_is_one_client) {
    cr_assert(comes("2001:db8:1:2::1"));
    cr_assert(comes("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    cr_assert_not(comes("2001:db8:1:2:3::"), "the third of one /64");
    cr_assert(comes("2001:db8:1:3::1"), "the next /64 is another client");
    cr_assert(comes("2001:db8:0:2::1"));
}

Test(connections, an_address_of_ipv4_is_one_client) {
    cr_assert(comes("192.0.2.1"));
    cr_assert(comes("::ffff:192.0.2.1"), "the same client, by IPv6");
    cr_assert_not(comes("192.0.2.1"));
    cr_assert_not(comes("::ffff:192.0.2.1"));
    cr_assert(comes("192.0.2.2"));
}

Test(connections, room_comes_back) {
    struct http_connection *first = from("192.0.2.1", HTTP_CLASS_CLIENT);
    cr_assert(comes("192.0.2.1"));
    cr_assert_not(comes("192.0.2.1"));
    http_connections_remove(&connections, first);
    cr_assert(comes("192.0.2.1"));
}

Test(connections, sockets_of_this_machine_and_admins_have_their_own_limits) {
    for (int i = 0; i < 6; i++)
        cr_assert(comes(NULL), "a unix socket has no address to be limited by: %d", i);
    cr_assert_not(comes("192.0.2.1"), "but all clients together have a limit");
    for (int i = 0; i < HTTP_ADMIN_CONNECTIONS; i++)
        cr_assert_not_null(from(NULL, HTTP_CLASS_ADMIN), "admin %d", i);
    cr_assert_null(from(NULL, HTTP_CLASS_ADMIN));
    cr_assert_not_null(from(NULL, HTTP_CLASS_OWN), "the server's own requests always get in");
}

Test(connections, the_least_loaded_thread_is_taken) {
    struct http_worker workers[2] = {{.load = 1}, {.load = HTTP_WORKER_CONNECTIONS}};
    struct http_connection *one = from(NULL, HTTP_CLASS_CLIENT);
    struct http_connection *two = from(NULL, HTTP_CLASS_CLIENT);
    cr_assert_eq(http_connections_unassigned(&connections), one);
    cr_assert_eq(http_connections_assign(&connections, one, workers, 2), &workers[0]);
    cr_assert_eq(workers[0].load, 2u);
    cr_assert_eq(http_connections_unassigned(&connections), two);
    cr_assert_null(http_connections_assign(&connections, two, workers + 1, 1), "none has room");
    cr_assert_eq(http_connections_unassigned(&connections), two);
    http_connections_remove(&connections, one);
    cr_assert_eq(workers[0].load, 1u);
}
