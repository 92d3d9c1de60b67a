/* media_type.h: what a client's Accept header thinks of a media type (RFC 9110, 12.5.1). */
#ifndef CONVNET_API_MEDIA_TYPE_H
#define CONVNET_API_MEDIA_TYPE_H

/* The quality that `accept` gives to `type` by its name, in thousandths: 0 when the type is not
 * named, refused, or `accept` is NULL. Ranges such as "text/" followed by a star are not a name:
 * who asks by a range alone has asked for nothing in particular. */
int http_accept_quality(const char *accept, const char *type);

#endif
