/* onnx_memory.c: the memory of one ONNX import, which is freed as a whole, and its two kinds of
 * errors: a failure ends the import at once, obstacles are collected. It knows no operator. Used by
 * one thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "import/onnx_private.h"

struct onnx_block {
    struct onnx_block *next;
    _Alignas(16) unsigned char bytes[];
};

void *onnx_allocate(struct onnx_import *import, size_t count, size_t size) {
    size_t bytes;
    struct onnx_block *block = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes) &&
        bytes <= import->memory_limit - import->allocated)
        block = calloc(1, sizeof *block + bytes);
    if (block == NULL) {
        onnx_fail(import, CN_MEMORY, "no memory for %zu elements of %zu bytes", count, size);
        return NULL;
    }
    import->allocated += bytes;
    block->next = import->blocks;
    import->blocks = block;
    return block->bytes;
}

void onnx_free_memory(struct onnx_import *import) {
    while (import->blocks != NULL) {
        struct onnx_block *next = import->blocks->next;
        free(import->blocks);
        import->blocks = next;
    }
}

bool onnx_fail(struct onnx_import *import, enum cn_status status, const char *format, ...) {
    char text[CN_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (import->status == CN_OK)
        import->status = cn_fail_at(import->error, status, import->path, -1, "%s", text);
    return false;
}

/* Appends a text of any bytes as UTF-8 for JSON. */
static void list_append(json_t *list, const char *text) {
    json_t *string = json_string(text);
    if (string == NULL) {
        char clean[CN_ERROR_TEXT];
        size_t i = 0;
        for (; text[i] != '\0' && i + 1 < sizeof clean; i++)
            clean[i] = (signed char)text[i] < 0 ? '?' : text[i];
        clean[i] = '\0';
        string = json_string(clean);
    }
    json_array_append_new(list, string);
}

bool onnx_refuse(struct onnx_import *import, const char *format, ...) {
    char text[CN_ERROR_TEXT], line[2 * CN_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (import->node != NULL)
        snprintf(line, sizeof line, "%s '%s': %s", import->node->type, import->node->label, text);
    else
        snprintf(line, sizeof line, "%s", text);
    list_append(import->obstacles, line);
    return false;
}

void onnx_note(struct onnx_import *import, const char *format, ...) {
    char text[CN_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    list_append(import->notes, text);
}
