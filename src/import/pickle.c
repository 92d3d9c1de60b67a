/* pickle.c: see pickle.h. The opcodes are those of Python's Lib/pickletools.py, protocols 0 to 5.
 *
 * The pickle's list owns every value and is freed as a whole, so that cycles are harmless. One
 * thread. */
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/pickle.h"
#include "json/load.h"

enum {
    MAX_VALUES = 1 << 20,
    MAX_STACK = 1 << 18,
    MAX_NAME = 256 /* bytes of "module.name" */
};

struct stack {
    struct pickle_value **values;
    size_t count, capacity;
};

struct pickle {
    struct stack all;
};

/* The state while one pickle is read. A mark on the stack is a NULL. */
struct machine {
    struct pickle *pickle;
    const unsigned char *bytes;
    size_t length, place;
    struct stack stack, memo;
    struct cn_error *error;
    enum cn_status status;
};

/* The kind of a global that is called. */
enum role {
    ROLE_DICT,
    ROLE_TENSOR,
    ROLE_PARAMETER,
    ROLE_SIZE,
    ROLE_STORAGE,
    ROLE_OTHER /* what training programs store beside the weights; its contents are ignored */
};

static const struct {
    const char *name;
    enum role role;
} globals[] = {
    {"collections.OrderedDict", ROLE_DICT},
    {"torch._utils._rebuild_tensor_v2", ROLE_TENSOR},
    {"torch._utils._rebuild_tensor", ROLE_TENSOR},
    {"torch._utils._rebuild_parameter", ROLE_PARAMETER},
    {"torch.Size", ROLE_SIZE},
    {"torch.FloatStorage", ROLE_STORAGE},
    {"torch.DoubleStorage", ROLE_STORAGE},
    {"torch.HalfStorage", ROLE_STORAGE},
    {"torch.BFloat16Storage", ROLE_STORAGE},
    {"torch.LongStorage", ROLE_STORAGE},
    {"torch.IntStorage", ROLE_STORAGE},
    {"torch.ShortStorage", ROLE_STORAGE},
    {"torch.CharStorage", ROLE_STORAGE},
    {"torch.ByteStorage", ROLE_STORAGE},
    {"torch.BoolStorage", ROLE_STORAGE},
    {"torch.cuda.FloatStorage", ROLE_STORAGE},
    {"torch.cuda.HalfStorage", ROLE_STORAGE},
    {"torch.cuda.LongStorage", ROLE_STORAGE},
    {"torch.cuda.DoubleStorage", ROLE_STORAGE},
    {"torch.cuda.BFloat16Storage", ROLE_STORAGE},
    {"torch._utils._rebuild_parameter_with_state", ROLE_PARAMETER},
    {"collections.defaultdict", ROLE_DICT},
    {"collections.Counter", ROLE_DICT},
    {"__builtin__.dict", ROLE_DICT},
    {"builtins.dict", ROLE_DICT},
    {"pytorch_lightning.utilities.parsing.AttributeDict", ROLE_DICT},
    {"lightning_fabric.utilities.data.AttributeDict", ROLE_DICT},
    {"numpy.core.multiarray.scalar", ROLE_OTHER},
    {"numpy._core.multiarray.scalar", ROLE_OTHER},
    {"numpy.core.multiarray._reconstruct", ROLE_OTHER},
    {"numpy._core.multiarray._reconstruct", ROLE_OTHER},
    {"numpy.ndarray", ROLE_OTHER},
    {"numpy.dtype", ROLE_OTHER},
    {"_codecs.encode", ROLE_OTHER},
    {"argparse.Namespace", ROLE_OTHER},
    {"types.SimpleNamespace", ROLE_OTHER},
    {"pathlib.PosixPath", ROLE_OTHER},
    {"pathlib.WindowsPath", ROLE_OTHER},
    {"datetime.datetime", ROLE_OTHER},
    {"builtins.set", ROLE_OTHER},
    {"__builtin__.set", ROLE_OTHER},
    {"builtins.int", ROLE_OTHER},
    {"builtins.list", ROLE_OTHER},
    {"__builtin__.list", ROLE_OTHER},
    {"torch.device", ROLE_OTHER},
    {"torch.float32", ROLE_OTHER},
    {"torch.float16", ROLE_OTHER},
    {"torch.bfloat16", ROLE_OTHER},
    {"torch.float64", ROLE_OTHER},
    {"torch.int64", ROLE_OTHER},
};

static bool global_find(const char *name, enum role *ret_role) {
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++)
        if (strcmp(globals[i].name, name) == 0) {
            *ret_role = globals[i].role;
            return true;
        }
    return false;
}

static enum cn_status machine_fail(struct machine *machine, const char *what) {
    if (machine->status == CN_OK)
        machine->status = cn_fail(machine->error, CN_MALFORMED,
                                  "its pickle is broken: %s at byte %zu", what, machine->place);
    return machine->status;
}

static enum cn_status machine_no_memory(struct machine *machine) {
    if (machine->status == CN_OK)
        machine->status = cn_fail(machine->error, CN_MEMORY, "no memory for its pickle at byte %zu",
                                  machine->place);
    return machine->status;
}

static bool stack_push(struct stack *stack, struct pickle_value *value) {
    if (stack->count == stack->capacity) {
        const size_t needed = stack->capacity == 0 ? 256 : stack->capacity * 2;
        struct pickle_value **larger = reallocarray(stack->values, needed, sizeof *larger);
        if (larger == NULL)
            return false;
        stack->values = larger;
        stack->capacity = needed;
    }
    stack->values[stack->count++] = value;
    return true;
}

static void machine_push(struct machine *machine, struct pickle_value *value) {
    if (machine->stack.count == MAX_STACK)
        (void)machine_fail(machine, "its stack is too deep");
    else if (machine->status == CN_OK && !stack_push(&machine->stack, value))
        (void)machine_no_memory(machine);
}

/* A new value; `text` is copied if given. NULL after a failure, which is recorded. */
static struct pickle_value *value_make(struct machine *machine, enum pickle_kind kind,
                                       const char *text, size_t length) {
    if (machine->status != CN_OK)
        return NULL;
    if (machine->pickle->all.count == MAX_VALUES) {
        (void)machine_fail(machine, "too many values");
        return NULL;
    }
    struct pickle_value *value = calloc(1, sizeof *value);
    if (value != NULL && !stack_push(&machine->pickle->all, value)) {
        free(value);
        value = NULL;
    }
    if (value == NULL || (text != NULL && (value->text = strndup(text, length)) == NULL)) {
        (void)machine_no_memory(machine);
        return NULL;
    }
    value->kind = kind;
    return value;
}

static void append(struct machine *machine, struct pickle_value *list, struct pickle_value *item) {
    if (machine->status != CN_OK || list == NULL)
        return;
    struct stack items = {list->items, list->count, list->capacity};
    if (!stack_push(&items, item)) {
        (void)machine_no_memory(machine);
        return;
    }
    list->items = items.values;
    list->count = items.count;
    list->capacity = items.capacity;
}

/* Removes and returns the topmost value; NULL and a failure for a mark or an empty stack. */
static struct pickle_value *machine_pop(struct machine *machine) {
    struct stack *stack = &machine->stack;
    if (stack->count == 0 || stack->values[stack->count - 1] == NULL) {
        (void)machine_fail(machine, "its stack is empty");
        return NULL;
    }
    return stack->values[--stack->count];
}

static struct pickle_value *top(struct machine *machine) {
    struct pickle_value *value = machine_pop(machine);
    if (value != NULL)
        machine->stack.count++;
    return value;
}

/* The index of the last mark, or SIZE_MAX and a failure. */
static size_t find_mark(struct machine *machine) {
    for (size_t i = machine->stack.count; i-- > 0;)
        if (machine->stack.values[i] == NULL)
            return i;
    (void)machine_fail(machine, "a mark is missing");
    return SIZE_MAX;
}

/* `count` bytes of the pickle; NULL and a failure past its end. */
static const unsigned char *machine_take(struct machine *machine, uint64_t count) {
    if (machine->status != CN_OK || count > machine->length - machine->place) {
        (void)machine_fail(machine, "it ends too early");
        return NULL;
    }
    const unsigned char *bytes = machine->bytes + machine->place;
    machine->place += (size_t)count;
    return bytes;
}

/* A little-endian number of `width` bytes. */
static uint64_t take_number(struct machine *machine, int width) {
    const unsigned char *bytes = machine_take(machine, (uint64_t)width);
    return bytes != NULL ? cn_number_little(bytes, width) : 0;
}

/* A line without its newline. */
static const char *take_line(struct machine *machine, size_t *ret_length) {
    const unsigned char *start = machine->bytes + machine->place;
    const unsigned char *end = memchr(start, '\n', machine->length - machine->place);
    if (end == NULL) {
        (void)machine_fail(machine, "it ends too early");
        return NULL;
    }
    *ret_length = (size_t)(end - start);
    machine->place += *ret_length + 1;
    return (const char *)start;
}

static void push_text(struct machine *machine, uint64_t length) {
    const unsigned char *bytes = machine_take(machine, length);
    if (bytes != NULL)
        machine_push(machine,
                     value_make(machine, PICKLE_TEXT, (const char *)bytes, (size_t)length));
}

static void push_integer(struct machine *machine, int64_t integer) {
    struct pickle_value *value = value_make(machine, PICKLE_INTEGER, NULL, 0);
    if (value != NULL)
        value->integer = integer;
    machine_push(machine, value);
}

/* LONG1 and LONG4: two's complement; of more than 8 bytes only the low ones are kept. */
static void push_long(struct machine *machine, uint64_t width) {
    const unsigned char *bytes = machine_take(machine, width);
    if (bytes == NULL)
        return;
    uint64_t number = cn_number_little(bytes, width < 8 ? (int)width : 8);
    if (width > 0 && width < 8 && (bytes[width - 1] & 0x80) != 0)
        number |= ~(uint64_t)0 << (8 * width);
    push_integer(machine, (int64_t)number);
}

static void push_global(struct machine *machine, const char *module, size_t module_length,
                        const char *name, size_t name_length) {
    char full[MAX_NAME], shown[CN_JSON_TEXT];
    enum role role;
    if (machine->status != CN_OK || module == NULL || name == NULL)
        return;
    (void)snprintf(full, sizeof full, "%.*s.%.*s", (int)(module_length < 120 ? module_length : 120),
                   module, (int)(name_length < 120 ? name_length : 120), name);
    if (!global_find(full, &role)) {
        machine->status =
            cn_fail(machine->error, CN_UNSUPPORTED,
                    "its pickle refers to %s, which a state dict does not need; functions in a "
                    "file are never called, so save the weights alone: "
                    "torch.save(model.state_dict(), \"weights.pth\")",
                    cn_text_show(full, shown));
        return;
    }
    machine_push(machine, value_make(machine, PICKLE_GLOBAL, full, strlen(full)));
}

static void collect(struct machine *machine, enum pickle_kind kind, size_t first) {
    struct pickle_value *value = value_make(machine, kind, NULL, 0);
    for (size_t i = first; machine->status == CN_OK && i < machine->stack.count; i++)
        append(machine, value, machine->stack.values[i]);
    machine->stack.count = first;
}

/* Replaces everything above the last mark, and the mark, by a tuple, list or dict. */
static void collect_marked(struct machine *machine, enum pickle_kind kind) {
    const size_t mark = find_mark(machine);
    if (mark == SIZE_MAX)
        return;
    collect(machine, kind, mark + 1);
    machine->stack.count = mark;
    if (machine->status == CN_OK)
        machine_push(machine, machine->pickle->all.values[machine->pickle->all.count - 1]);
}

static void collect_last(struct machine *machine, size_t count) {
    if (machine->stack.count < count) {
        (void)machine_fail(machine, "its stack is empty");
        return;
    }
    for (size_t i = machine->stack.count - count; i < machine->stack.count; i++)
        if (machine->stack.values[i] == NULL)
            (void)machine_fail(machine, "a tuple contains a mark");
    collect(machine, PICKLE_TUPLE, machine->stack.count - count);
    if (machine->status == CN_OK)
        machine_push(machine, machine->pickle->all.values[machine->pickle->all.count - 1]);
}

/* SETITEMS and APPENDS: adds everything above the mark to the value below it. */
static void extend_marked(struct machine *machine, enum pickle_kind kind) {
    const size_t mark = find_mark(machine);
    if (mark == SIZE_MAX)
        return;
    struct pickle_value *target = mark > 0 ? machine->stack.values[mark - 1] : NULL;
    if (target != NULL && target->kind == PICKLE_OTHER) {
        machine->stack.count = mark;
        return;
    }
    if (target == NULL || target->kind != kind ||
        (kind == PICKLE_DICT && (machine->stack.count - mark - 1) % 2 != 0)) {
        (void)machine_fail(machine, "there is no list or dict for its items");
        return;
    }
    for (size_t i = mark + 1; i < machine->stack.count; i++)
        append(machine, target, machine->stack.values[i]);
    machine->stack.count = mark;
}

static void set_item(struct machine *machine) {
    struct pickle_value *value = machine_pop(machine), *key = machine_pop(machine),
                        *dict = top(machine);
    if (dict != NULL && dict->kind == PICKLE_OTHER)
        return;
    if (dict == NULL || dict->kind != PICKLE_DICT) {
        (void)machine_fail(machine, "there is no dict for its item");
        return;
    }
    append(machine, dict, key);
    append(machine, dict, value);
}

static bool is_kind(const struct pickle_value *value, enum pickle_kind kind) {
    return value != NULL && value->kind == kind;
}

/* REDUCE: evaluates the few known calls without calling anything. */
static void reduce(struct machine *machine) {
    struct pickle_value *arguments = machine_pop(machine), *function = machine_pop(machine),
                        *result = NULL;
    enum role role;
    if (!is_kind(arguments, PICKLE_TUPLE) || !is_kind(function, PICKLE_GLOBAL) ||
        !global_find(function->text, &role) || role == ROLE_STORAGE) {
        (void)machine_fail(machine, "it calls a value that is not a function");
        return;
    }
    if (role == ROLE_OTHER) {
        result = value_make(machine, PICKLE_OTHER, NULL, 0);
    } else if (role == ROLE_DICT) {
        result = value_make(machine, PICKLE_DICT, NULL, 0);
    } else if (role == ROLE_TENSOR && arguments->count >= 4 &&
               is_kind(arguments->items[0], PICKLE_STORAGE)) {
        result = value_make(machine, PICKLE_TENSOR, NULL, 0);
        for (size_t i = 0; i < 4; i++)
            append(machine, result, arguments->items[i]);
    } else if (role == ROLE_PARAMETER && arguments->count >= 1 &&
               is_kind(arguments->items[0], PICKLE_TENSOR)) {
        result = arguments->items[0];
    } else if (role == ROLE_SIZE && arguments->count == 1 &&
               is_kind(arguments->items[0], PICKLE_TUPLE)) {
        result = arguments->items[0];
    }
    if (result == NULL)
        (void)machine_fail(machine, "it calls a function with wrong arguments");
    machine_push(machine, result);
}

/* BINPERSID: ('storage', class, key, location, number of elements[, view]). */
static void persistent(struct machine *machine) {
    struct pickle_value *id = machine_pop(machine), *storage;
    enum role role;
    if (!is_kind(id, PICKLE_TUPLE) || id->count < 5 || !is_kind(id->items[1], PICKLE_GLOBAL) ||
        !global_find(id->items[1]->text, &role) || role != ROLE_STORAGE ||
        !is_kind(id->items[2], PICKLE_TEXT) || !is_kind(id->items[4], PICKLE_INTEGER)) {
        (void)machine_fail(machine, "the description of a storage is wrong");
        return;
    }
    const char *global = id->items[1]->text;
    storage = value_make(machine, PICKLE_STORAGE, global, strlen(global));
    append(machine, storage, id->items[2]);
    if (storage != NULL)
        storage->integer = id->items[4]->integer;
    machine_push(machine, storage);
}

static void remember(struct machine *machine, uint64_t index) {
    struct pickle_value *value = top(machine);
    if (machine->status != CN_OK)
        return;
    if (index >= MAX_VALUES) {
        (void)machine_fail(machine, "the index of a memo is too large");
        return;
    }
    while (machine->memo.count <= index)
        if (!stack_push(&machine->memo, NULL)) {
            (void)machine_no_memory(machine);
            return;
        }
    machine->memo.values[index] = value;
}

static void recall(struct machine *machine, uint64_t index) {
    if (index >= machine->memo.count || machine->memo.values[index] == NULL)
        (void)machine_fail(machine, "it reads a memo that was never written");
    else
        machine_push(machine, machine->memo.values[index]);
}

static void build_state(struct machine *machine) {
    /* The state of OrderedDict's attributes (_metadata) is dropped. */
    (void)machine_pop(machine);
    if (!is_kind(top(machine), PICKLE_DICT) && !is_kind(top(machine), PICKLE_OTHER))
        (void)machine_fail(machine, "it sets the state of a value that is not a dict");
}

/* A decimal number of protocol 0, possibly with Python 2's "L" after it. */
static int64_t line_number(struct machine *machine, const char *line, size_t length) {
    const bool negative = length > 0 && line[0] == '-';
    int64_t number = 0;
    for (size_t i = negative ? 1 : 0; i < length && line[i] != 'L'; i++) {
        if (line[i] < '0' || line[i] > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, line[i] - '0', &number)) {
            (void)machine_fail(machine,
                               "a number has a character that is not a digit, or is too large");
            return 0;
        }
    }
    return negative ? -number : number;
}

static void protocol_line(struct machine *machine, unsigned char opcode) {
    size_t length = 0, name_length = 0;
    const char *line = take_line(machine, &length);
    if (line == NULL)
        return;
    if (opcode == 'c') {
        const char *name = take_line(machine, &name_length);
        push_global(machine, line, length, name, name_length);
    } else if (opcode == 'I' || opcode == 'L') {
        push_integer(machine, line_number(machine, line, length));
    } else if (opcode == 'F') {
        machine_push(machine, value_make(machine, PICKLE_FLOAT, NULL, 0));
    } else if (opcode == 'V') {
        machine_push(machine, value_make(machine, PICKLE_TEXT, line, length));
    } else if (opcode == 'p' || opcode == 'g') {
        const int64_t index = line_number(machine, line, length);
        if (index < 0)
            (void)machine_fail(machine, "the index of a memo is negative");
        else if (opcode == 'p')
            remember(machine, (uint64_t)index);
        else
            recall(machine, (uint64_t)index);
    }
}

static void step_number(struct machine *machine, unsigned char opcode) {
    switch (opcode) {
    case 'J':
        push_integer(machine, (int32_t)(uint32_t)take_number(machine, 4));
        break;
    case 'K':
        push_integer(machine, (int64_t)take_number(machine, 1));
        break;
    case 'M':
        push_integer(machine, (int64_t)take_number(machine, 2));
        break;
    case 0x8a:
        push_long(machine, take_number(machine, 1));
        break;
    case 0x8b:
        push_long(machine, take_number(machine, 4));
        break;
    default: /* BINFLOAT: its value is not needed */
        (void)machine_take(machine, 8);
        machine_push(machine, value_make(machine, PICKLE_FLOAT, NULL, 0));
        break;
    }
}

static void step_truth(struct machine *machine, unsigned char opcode) {
    struct pickle_value *value =
        value_make(machine, opcode == 'N' ? PICKLE_NONE : PICKLE_BOOL, NULL, 0);
    if (value != NULL)
        value->integer = opcode == 0x88;
    machine_push(machine, value);
}

static void step_global_stack(struct machine *machine) {
    const struct pickle_value *name = machine_pop(machine), *module = machine_pop(machine);
    if (!is_kind(name, PICKLE_TEXT) || !is_kind(module, PICKLE_TEXT))
        (void)machine_fail(machine, "a global has no name");
    else
        push_global(machine, module->text, strlen(module->text), name->text, strlen(name->text));
}

static void step_pop(struct machine *machine) {
    if (machine->stack.count == 0)
        (void)machine_fail(machine, "its stack is empty");
    else
        machine->stack.count--;
}

static void unknown_opcode(struct machine *machine, unsigned char opcode) {
    if (machine->status == CN_OK)
        machine->status =
            cn_fail(machine->error, CN_UNSUPPORTED,
                    "its pickle has the opcode 0x%02x at byte %zu, which a state dict "
                    "does not need",
                    opcode, machine->place - 1);
}

/* Executes an opcode that makes or fills a tuple, list, dictionary or set; false: it is another. */
static bool step_container(struct machine *machine, unsigned char opcode) {
    switch (opcode) {
    case ')':
    case ']':
        machine_push(machine, value_make(machine, PICKLE_TUPLE, NULL, 0));
        break;
    case '}':
        machine_push(machine, value_make(machine, PICKLE_DICT, NULL, 0));
        break;
    case 't':
    case 'l':
        collect_marked(machine, PICKLE_TUPLE);
        break;
    case 'd':
        collect_marked(machine, PICKLE_DICT);
        break;
    case 0x85:
    case 0x86:
    case 0x87:
        collect_last(machine, (size_t)(opcode - 0x84));
        break;
    case 'u':
        extend_marked(machine, PICKLE_DICT);
        break;
    case 'e':
        extend_marked(machine, PICKLE_TUPLE);
        break;
    case 's':
        set_item(machine);
        break;
    case 'a': {
        struct pickle_value *item = machine_pop(machine), *list = top(machine);
        append(machine, is_kind(list, PICKLE_TUPLE) ? list : NULL, item);
        break;
    }
    case 0x8f: /* EMPTY_SET */
        machine_push(machine, value_make(machine, PICKLE_OTHER, NULL, 0));
        break;
    case 0x90: /* ADDITEMS */
        extend_marked(machine, PICKLE_TUPLE);
        break;
    default:
        return false;
    }
    return true;
}

/* Executes an opcode that stores a value or fetches it again; false: it is another. */
static bool step_memo(struct machine *machine, unsigned char opcode) {
    switch (opcode) {
    case 'q':
        remember(machine, take_number(machine, 1));
        break;
    case 'r':
        remember(machine, take_number(machine, 4));
        break;
    case 0x94: /* MEMOIZE */
        remember(machine, machine->memo.count);
        break;
    case 'h':
        recall(machine, take_number(machine, 1));
        break;
    case 'j':
        recall(machine, take_number(machine, 4));
        break;
    default:
        return false;
    }
    return true;
}

/* Executes one opcode. True at STOP. */
static bool machine_step(struct machine *machine) {
    const unsigned char *byte = machine_take(machine, 1);
    if (byte == NULL)
        return true;
    switch (*byte) {
    case 0x80: /* PROTO */
        (void)machine_take(machine, 1);
        break;
    case 0x95: /* FRAME */
        (void)machine_take(machine, 8);
        break;
    case '(':
        machine_push(machine, NULL);
        break;
    case '.':
        return true;
    case '0':
        step_pop(machine);
        break;
    case '1': { /* POP_MARK */
        const size_t mark = find_mark(machine);
        machine->stack.count = mark == SIZE_MAX ? 0 : mark;
        break;
    }
    case '2':
        machine_push(machine, top(machine));
        break;
    case 'N':
    case 0x88:
    case 0x89:
        step_truth(machine, *byte);
        break;
    case 'J':
    case 'K':
    case 'M':
    case 'G':
    case 0x8a:
    case 0x8b:
        step_number(machine, *byte);
        break;
    case 'c':
    case 'I':
    case 'L':
    case 'F':
    case 'V':
    case 'p':
    case 'g':
        protocol_line(machine, *byte);
        break;
    case 'X':
    case 'T':
    case 'B':
        push_text(machine, take_number(machine, 4));
        break;
    case 'U':
    case 'C':
    case 0x8c:
        push_text(machine, take_number(machine, 1));
        break;
    case 0x8d:
    case 0x8e:
        push_text(machine, take_number(machine, 8));
        break;
    case 0x93:
        step_global_stack(machine);
        break;
    case 'R':
    case 0x81: /* NEWOBJ */
        reduce(machine);
        break;
    case 'Q':
        persistent(machine);
        break;
    case 'b':
        build_state(machine);
        break;
    default:
        if (!step_container(machine, *byte) && !step_memo(machine, *byte))
            unknown_opcode(machine, *byte);
    }
    return machine->status != CN_OK;
}

enum cn_status pickle_create(struct pickle **ret_pickle, struct cn_error *error) {
    *ret_pickle = calloc(1, sizeof **ret_pickle);
    return *ret_pickle != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory for a pickle");
}

void pickle_free(struct pickle *pickle) {
    if (pickle == NULL)
        return;
    for (size_t i = 0; i < pickle->all.count; i++) {
        free(pickle->all.values[i]->text);
        free(pickle->all.values[i]->items);
        free(pickle->all.values[i]);
    }
    free(pickle->all.values);
    free(pickle);
}

enum cn_status pickle_read(struct pickle *pickle, const unsigned char *bytes, size_t length,
                           size_t *offset, const struct pickle_value **ret_value,
                           struct cn_error *error) {
    struct machine machine = {
        .pickle = pickle, .bytes = bytes, .length = length, .place = *offset, .error = error};
    const struct pickle_value *value = NULL;
    while (!machine_step(&machine)) {
    }
    if (machine.status == CN_OK)
        value = machine_pop(&machine);
    free(machine.stack.values);
    free(machine.memo.values);
    if (machine.status != CN_OK)
        return machine.status;
    *offset = machine.place;
    *ret_value = value;
    return CN_OK;
}
