/* csv_file.h: a file of rows with fields, plain or gzipped, one line at a time. */
#ifndef CONVNET_DATA_CSV_FILE_H
#define CONVNET_DATA_CSV_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <zlib.h>

#include "convnet/status.h"

struct cn_csv {
    const char *path; /* borrowed */
    gzFile file;
    char *line;
    size_t size;    /* bytes at `line` */
    size_t number;  /* of the line, from 1 */
    char separator; /* comma, semicolon or tab: the one that comes first in the first line */
};

/* CN_IO. Closed with cn_csv_close, which accepts a zeroed struct. */
enum cn_status cn_csv_open(const char *path, struct cn_csv *ret_csv, struct cn_error *error);
void cn_csv_close(struct cn_csv *csv);

/* Reads the next line into csv->line, without its end; *ret_more false at the file's end. CN_LIMIT:
 * a line is too long; CN_MALFORMED: corrupt gzip; CN_IO; CN_MEMORY. */
enum cn_status cn_csv_next(struct cn_csv *csv, bool *ret_more, struct cn_error *error);

/* The next field at *rest, which moves on; NULL at the line's end. Writes into the line: quotes
 * around a field go, and two within them are one (RFC 4180); so do blanks around it. */
char *cn_csv_field(const struct cn_csv *csv, char **rest);

/* True if the names of two columns differ only in case, blanks, - and _. */
bool cn_csv_same_name(const char *a, const char *b);

#endif
