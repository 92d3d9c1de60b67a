/* models.h: the model that a request asks for. */
#ifndef CONVNET_API_MODELS_H
#define CONVNET_API_MODELS_H

#include "http/exchange.h"

/* A reference to the model that a request asks for; caller releases it with served_model_release.
 * `name` NULL: the default model; `version` NULL: the highest that is ready. Both may be foreign
 * text. NULL when the request has been answered instead: 404 no such model or version, 503 not
 * loaded. */
struct served_model *api_find_model(struct http_exchange *exchange, const char *name,
                                    const char *version);

/* The same for the model and version that the path names. */
struct served_model *api_find_path_model(struct http_exchange *exchange);

#endif
