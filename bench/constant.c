/* constant.c PORT THREADS: an HTTP server that answers every request with the same bytes once its
 * body has arrived. It shows the most that libmicrohttpd can do, for comparison in bench/serving.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct MHD_Response *response;
static char seen; /* its address marks a request whose head has been seen */

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state) {
    (void)data, (void)url, (void)method, (void)version, (void)upload;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv) {
    static char body[320];
    if (argc != 3)
        return 2;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = ' ';
    response = MHD_create_response_from_buffer(sizeof body, body, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)atoi(argv[1]), NULL, NULL, answer, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)atoi(argv[2]), MHD_OPTION_END);
    if (response == NULL || daemon == NULL) {
        (void)fprintf(stderr, "constant: cannot listen at port %s\n", argv[1]);
        return 1;
    }
    for (;;)
        (void)pause();
}
