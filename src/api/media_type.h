/* media_type.h: the quality of a media type in a client's Accept header (RFC 9110, 12.5.1). */
#ifndef CONVNET_API_MEDIA_TYPE_H
#define CONVNET_API_MEDIA_TYPE_H

/* The quality that `accept` gives to `type` by name, in thousandths; 0 when the type is not named,
 * is refused, or `accept` is NULL. Ranges such as "text/" with a star do not count, since a client
 * that sends only a range has no preference. */
int http_accept_quality(const char *accept, const char *type);

#endif
