/* registry_private.h: what registry.c and registry_load.c share. */
#ifndef CONVNET_SERVING_REGISTRY_PRIVATE_H
#define CONVNET_SERVING_REGISTRY_PRIVATE_H

#include <pthread.h>

#include "metrics/statistics.h"
#include "serving/registry_scan.h"

struct registry_entry {
    char name[SERVED_MODEL_NAME];
    unsigned version;
    char *path;
    struct registry_stamp stamp; /* of the file that was read last, good or bad */
    enum registry_state state;
    struct served_model *model;          /* a reference; NULL unless READY */
    struct statistics_model *statistics; /* a reference */
    char reason[CN_ERROR_TEXT];          /* of the last refusal, "" after a success */
};

struct registry {
    struct registry_options options;
    pthread_mutex_t loading; /* held by who changes the entries */
    pthread_mutex_t mutex;   /* ... and this one for the change itself */
    struct registry_entry *entries[REGISTRY_MAX_MODELS]; /* by name and version */
    size_t count;
    char default_name[SERVED_MODEL_NAME]; /* "": no models */
};

void registry_report(const struct registry *registry, const struct registry_event *event);
void registry_entry_free(struct registry_entry *entry);

#endif
