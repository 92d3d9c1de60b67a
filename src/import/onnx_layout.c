/* onnx_layout.c: the order of a value's numbers in memory: operations on layouts, and the Permute
 * layers for another order. It knows no operator. Used by one thread. */
#include <string.h>

#include "import/onnx_private.h"

/* The layout of numbers in the source's own order. */
static struct onnx_layout layout_plain(int rank, const int64_t *dims) {
    struct onnx_layout layout = {.count = 0};
    for (int i = 0; i < rank; i++)
        if (dims[i] != 1) {
            layout.size[layout.count] = dims[i];
            layout.place[layout.count] = layout.count;
            layout.count++;
        }
    return layout;
}

/* Splits factor i into outer and inner = size / outer, which stay adjacent. */
static bool factor_split(struct onnx_layout *layout, int i, int64_t outer) {
    if (layout->count == ONNX_FACTORS)
        return false;
    const int place = layout->place[i];
    for (int k = 0; k < layout->count; k++)
        layout->place[k] += layout->place[k] > place;
    for (int k = layout->count; k > i + 1; k--) {
        layout->size[k] = layout->size[k - 1];
        layout->place[k] = layout->place[k - 1];
    }
    layout->count++;
    layout->size[i + 1] = layout->size[i] / outer;
    layout->size[i] = outer;
    layout->place[i + 1] = place + 1;
    return true;
}

/* Splits factors until each is within one axis of `dims`, whose product is the layout's. False if
 * that is impossible. */
static bool layout_refine(struct onnx_layout *layout, int rank, const int64_t *dims) {
    int factor = 0;
    for (int axis = 0; axis < rank; axis++) {
        int64_t left = dims[axis];
        while (left > 1) {
            if (factor == layout->count)
                return false;
            const int64_t size = layout->size[factor];
            if (size > left && (size % left != 0 || !factor_split(layout, factor, left)))
                return false;
            if (left % layout->size[factor] != 0)
                return false;
            left /= layout->size[factor++];
        }
    }
    return factor == layout->count;
}

void onnx_layout_axes(const struct onnx_layout *layout, int rank, const int64_t *dims,
                      int first[ONNX_RANK + 1]) {
    int factor = 0;
    for (int axis = 0; axis < rank; axis++) {
        first[axis] = factor;
        for (int64_t left = dims[axis]; left > 1 && factor < layout->count; factor++)
            left /= layout->size[factor];
    }
    first[rank] = layout->count;
}

/* Joins neighbouring factors of one axis that are adjacent in memory. */
static void layout_join(struct onnx_layout *layout, int rank, const int64_t *dims) {
    int first[ONNX_RANK + 1];
    onnx_layout_axes(layout, rank, dims, first);
    for (int axis = rank - 1; axis >= 0; axis--)
        for (int i = first[axis + 1] - 2; i >= first[axis]; i--) {
            if (layout->place[i + 1] != layout->place[i] + 1)
                continue;
            const int gone = layout->place[i + 1];
            layout->size[i] *= layout->size[i + 1];
            layout->count--;
            for (int k = i + 1; k < layout->count; k++) {
                layout->size[k] = layout->size[k + 1];
                layout->place[k] = layout->place[k + 1];
            }
            for (int k = 0; k < layout->count; k++)
                layout->place[k] -= layout->place[k] > gone;
        }
}

/* ---- Arranging ---- */

bool onnx_arrange_factors(struct onnx_import *import, const struct onnx_value *value,
                          const struct onnx_layout *layout, const int *sequence, int rank,
                          const int *dims, int *ret_layer) {
    int layer = value->layer;
    /* Runs are factors that stay adjacent. run_place: the present position of the run's first
     * factor. */
    int runs = 0, run_place[ONNX_FACTORS];
    int64_t run_size[ONNX_FACTORS];
    for (int k = 0; k < layout->count; k++) {
        const int place = layout->place[sequence[k]];
        if (k > 0 && place == layout->place[sequence[k - 1]] + 1) {
            run_size[runs - 1] *= layout->size[sequence[k]];
            continue;
        }
        run_place[runs] = place;
        run_size[runs++] = layout->size[sequence[k]];
    }
    if (runs > 1) {
        int order[ONNX_FACTORS], now[ONNX_FACTORS];
        if (runs > ONNX_ENGINE_RANK)
            return onnx_refuse(import,
                               "its input's numbers would be put in order over %d axes; at most %d "
                               "are supported",
                               runs, ONNX_ENGINE_RANK);
        for (int k = 0; k < runs; k++) {
            order[k] = 0;
            for (int other = 0; other < runs; other++)
                order[k] += run_place[other] < run_place[k];
            now[order[k]] = (int)run_size[k];
        }
        layer = onnx_layer_reshape(import, layer, runs, now);
        if (layer >= 0)
            layer = onnx_layer_permute(import, layer, runs, order);
    }
    if (layer >= 0)
        layer = onnx_layer_reshape(import, layer, rank, dims);
    *ret_layer = layer;
    return layer >= 0;
}

bool onnx_arrange(struct onnx_import *import, const struct onnx_value *value, int axis_count,
                  const int *axes, int *ret_layer) {
    int first[ONNX_RANK + 1], sequence[ONNX_FACTORS], dims[ONNX_RANK] = {1}, count = 0;
    if (axis_count > ONNX_ENGINE_RANK)
        return onnx_refuse(import, "its input '%s' has %d dimensions; at most %d are supported",
                           value->name, axis_count, ONNX_ENGINE_RANK);
    onnx_layout_axes(&value->layout, value->rank, value->dims, first);
    for (int i = 0; i < axis_count; i++) {
        dims[i] = (int)value->dims[axes[i]];
        for (int k = first[axes[i]]; k < first[axes[i] + 1]; k++)
            sequence[count++] = k;
    }
    if (count != value->layout.count) {
        int64_t rest = 1;
        for (int i = 0; i < value->rank; i++) {
            bool taken = value->dims[i] == 1;
            for (int k = 0; k < axis_count; k++)
                taken |= axes[k] == i;
            rest = taken ? rest : value->dims[i];
        }
        return onnx_refuse(import, "its input '%s' has %lld where a batch of 1 is required",
                           value->name, (long long)rest);
    }
    return onnx_arrange_factors(import, value, &value->layout, sequence,
                                axis_count > 0 ? axis_count : 1, dims, ret_layer);
}

int onnx_axes_of(const struct onnx_value *value, unsigned keep, int last, int axes[ONNX_RANK]) {
    int first[ONNX_RANK + 1], count = 0;
    onnx_layout_axes(&value->layout, value->rank, value->dims, first);
    for (int i = 0; i < value->rank; i++)
        if (i != last && value->dims[i] == 1 && (keep >> i & 1) != 0)
            axes[count++] = i;
    for (int place = 0; place < value->layout.count; place++)
        for (int i = 0; i < value->rank; i++)
            if (i != last && first[i] < first[i + 1] && value->layout.place[first[i]] == place)
                axes[count++] = i;
    if (last >= 0)
        axes[count++] = last;
    return count;
}

void onnx_result(struct onnx_value *value, int type, int rank, const int64_t *dims, int axis_count,
                 const int *axes, int layer) {
    int64_t copy[ONNX_RANK] = {0};
    if (rank > 0)
        memcpy(copy, dims, (size_t)rank * sizeof *dims); /* they may be the value's own */
    value->state = ONNX_DYNAMIC;
    value->type = type;
    value->rank = rank;
    if (rank > 0)
        memcpy(value->dims, copy, (size_t)rank * sizeof *dims);
    value->layer = layer;
    value->layout = layout_plain(rank, copy);
    int first[ONNX_RANK + 1];
    onnx_layout_axes(&value->layout, rank, copy, first);
    for (int i = 0, place = 0; i < axis_count; i++)
        if (copy[axes[i]] != 1)
            value->layout.place[first[axes[i]]] = place++;
}

void onnx_result_like(struct onnx_value *value, int type, const struct onnx_value *like,
                      int layer) {
    value->state = ONNX_DYNAMIC;
    value->type = type;
    value->rank = like->rank;
    memcpy(value->dims, like->dims, sizeof value->dims);
    value->layout = like->layout;
    value->layer = layer;
}

/* ---- Views ---- */

bool onnx_view_reshape(struct onnx_import *import, struct onnx_value *value,
                       const struct onnx_value *from, int rank, const int64_t *dims) {
    struct onnx_layout layout = from->layout;
    int layer = from->layer;
    const int type = from->type;
    if (!layout_refine(&layout, rank, dims)) {
        int axes[ONNX_RANK], count = 0;
        for (int i = 0; i < from->rank; i++)
            if (from->dims[i] != 1)
                axes[count++] = i;
        if (!onnx_arrange(import, from, count, axes, &layer))
            return false;
        layout = layout_plain(rank, dims);
    }
    int64_t copy[ONNX_RANK] = {0};
    if (rank > 0)
        memcpy(copy, dims, (size_t)rank * sizeof *dims);
    layout_join(&layout, rank, copy);
    value->state = ONNX_DYNAMIC;
    value->type = type;
    value->rank = rank;
    if (rank > 0)
        memcpy(value->dims, copy, (size_t)rank * sizeof *dims);
    value->layout = layout;
    value->layer = layer;
    return true;
}

bool onnx_view_transpose(struct onnx_import *import, struct onnx_value *value,
                         const struct onnx_value *from, const int *order) {
    const struct onnx_value old = *from;
    int first[ONNX_RANK + 1], count = 0;
    (void)import;
    onnx_layout_axes(&old.layout, old.rank, old.dims, first);
    value->state = ONNX_DYNAMIC;
    value->type = old.type;
    value->rank = old.rank;
    value->layer = old.layer;
    value->layout.count = old.layout.count;
    for (int i = 0; i < old.rank; i++) {
        value->dims[i] = old.dims[order[i]];
        for (int k = first[order[i]]; k < first[order[i] + 1]; k++, count++) {
            value->layout.size[count] = old.layout.size[k];
            value->layout.place[count] = old.layout.place[k];
        }
    }
    layout_join(&value->layout, value->rank, value->dims);
    return true;
}

/* ---- Operands of elementwise operators ---- */

/* The dim of `value` along axis `axis` of a result of `rank`. */
static int64_t operand_dim(const struct onnx_value *value, int rank, int axis) {
    const int own = axis - (rank - value->rank);
    return own >= 0 ? value->dims[own] : 1;
}

/* Splits the factors of `common` (of `rank` axes `dims`) where those of a dynamic operand are
 * split. If that is impossible they stay, and the operand is reordered later. */
static void common_refine(struct onnx_layout *common, const struct onnx_value *value, int rank,
                          const int64_t *dims) {
    int own_first[ONNX_RANK + 1], first[ONNX_RANK + 1];
    onnx_layout_axes(&value->layout, value->rank, value->dims, own_first);
    for (int axis = 0; axis < rank; axis++) {
        const int own = axis - (rank - value->rank);
        if (own < 0 || value->dims[own] == 1)
            continue;
        onnx_layout_axes(common, rank, dims, first);
        int64_t pieces[2 * ONNX_FACTORS];
        int count = 0, f = first[axis], g = own_first[own];
        int64_t left = f < first[axis + 1] ? common->size[f] : 1, right = value->layout.size[g];
        bool fits = true;
        while (fits && f < first[axis + 1] && g < own_first[own + 1]) {
            const int64_t piece = left < right ? left : right;
            fits = left % piece == 0 && right % piece == 0;
            pieces[count++] = piece;
            left /= piece;
            right /= piece;
            if (left == 1 && ++f < first[axis + 1])
                left = common->size[f];
            if (right == 1 && ++g < own_first[own + 1])
                right = value->layout.size[g];
        }
        for (int i = 0, at = first[axis]; fits && i < count; i++, at++)
            if (common->size[at] != pieces[i] && !factor_split(common, at, pieces[i]))
                return;
    }
}

/* The value's own layout, split as `common` is along its axes. has[k]: the operand has the common
 * factor k. False: its numbers must be reordered first. */
static bool operand_refine(const struct onnx_value *value, const struct onnx_layout *common,
                           int rank, const int64_t *dims, struct onnx_layout *ret_layout,
                           bool *ret_has) {
    int first[ONNX_RANK + 1], count = 0;
    int64_t pieces[ONNX_FACTORS];
    onnx_layout_axes(common, rank, dims, first);
    for (int axis = 0; axis < rank; axis++)
        for (int k = first[axis]; k < first[axis + 1]; k++) {
            ret_has[k] = operand_dim(value, rank, axis) != 1;
            if (ret_has[k])
                pieces[count++] = common->size[k];
        }
    if (value->state != ONNX_DYNAMIC)
        return true;
    struct onnx_layout layout = value->layout;
    for (int k = 0; k < count; k++)
        if (k >= layout.count || layout.size[k] % pieces[k] != 0 ||
            (layout.size[k] != pieces[k] && !factor_split(&layout, k, pieces[k])))
            return false;
    *ret_layout = layout;
    return layout.count == count;
}

/* A constant's numbers, with its common factors in the order `sequence`. */
static const float *constant_arrange(struct onnx_import *import, const struct onnx_value *value,
                                     const struct onnx_layout *common, int rank,
                                     const int64_t *dims, const int *sequence, const bool *has) {
    int first[ONNX_RANK + 1];
    size_t strides[ONNX_FACTORS], stride = 1, digits[ONNX_FACTORS] = {0}, at = 0;
    const struct onnx_tensor *tensor = value->tensor;
    onnx_layout_axes(common, rank, dims, first);
    for (int axis = rank - 1; axis >= 0; axis--)
        for (int k = first[axis + 1] - 1; k >= first[axis]; k--) {
            strides[k] = stride;
            stride *= has[k] ? (size_t)common->size[k] : 1;
        }
    float *numbers = onnx_allocate(import, tensor->count + 1, sizeof *numbers);
    for (size_t i = 0; numbers != NULL && i < tensor->count; i++) {
        numbers[i] = (float)onnx_number(tensor, at);
        for (int s = common->count - 1; s >= 0; s--) {
            const int k = sequence[s];
            if (!has[k])
                continue;
            at += strides[k];
            if (++digits[k] < (size_t)common->size[k])
                break;
            at -= digits[k] * strides[k];
            digits[k] = 0;
        }
    }
    return numbers;
}

/* The order of the common factors in the result: as in the leader; a factor that it lacks comes
 * right before the source's next factor that it has, or last. */
static void result_sequence(const struct onnx_layout *common, const struct onnx_layout *leader,
                            const bool *has, int *ret_sequence) {
    int factor_at[ONNX_FACTORS], own = 0, count = 0;
    bool taken[ONNX_FACTORS] = {false};
    for (int k = 0; k < common->count; k++)
        if (has[k])
            factor_at[leader->place[own++]] = k;
    for (int place = 0; place <= own; place++) {
        const int factor = place < own ? factor_at[place] : common->count;
        int from = factor;
        while (from > 0 && !has[from - 1] && !taken[from - 1])
            from--;
        for (int k = from; k <= factor && k < common->count; k++) {
            ret_sequence[count++] = k;
            taken[k] = true;
        }
    }
}

/* Groups the factors, in their order, into the dims of a tensor: those of `like` if each operand
 * has all or nothing of each group, else as few groups as possible. */
static bool operands_group(const struct onnx_layout *common, const int *sequence, int count,
                           bool (*has)[ONNX_FACTORS], const struct onnx_layer *like, int *ret_rank,
                           int *ret_dims, int *ret_group) {
    bool fits = like != NULL;
    int k = 0;
    for (int d = 0; fits && d < like->rank; d++) {
        int64_t left = like->dims[d];
        const int begin = k;
        for (; fits && left > 1 && k < common->count; k++) {
            fits = left % common->size[sequence[k]] == 0;
            left /= common->size[sequence[k]];
            for (int o = 0; o < count; o++)
                fits &= has[o][sequence[k]] == has[o][sequence[begin]];
            ret_group[k] = d;
        }
        fits &= left == 1;
        ret_dims[d] = like->dims[d];
    }
    if (fits && k == common->count) {
        *ret_rank = like->rank;
        return true;
    }
    int rank = 0;
    for (k = 0; k < common->count; k++) {
        bool joins = k > 0;
        for (int o = 0; joins && o < count; o++)
            joins = has[o][sequence[k]] == has[o][sequence[k - 1]];
        if (!joins) {
            if (rank == ONNX_ENGINE_RANK)
                return false;
            ret_dims[rank++] = 1;
        }
        ret_dims[rank - 1] *= (int)common->size[sequence[k]];
        ret_group[k] = rank - 1;
    }
    if (rank == 0)
        ret_dims[rank++] = 1;
    *ret_rank = rank;
    return true;
}

bool onnx_operands_align(struct onnx_import *import, int count, struct onnx_value *const *values,
                         struct onnx_operands *ret) {
    struct onnx_value ordered[ONNX_OPERANDS];
    struct onnx_layout layouts[ONNX_OPERANDS], common;
    bool has[ONNX_OPERANDS][ONNX_FACTORS];
    int rank = 0, leader = -1, sequence[ONNX_FACTORS] = {0}, group[ONNX_FACTORS] = {0};
    int64_t dims[ONNX_RANK] = {0}, sizes[ONNX_OPERANDS], most = 0;
    if (count > ONNX_OPERANDS)
        return onnx_refuse(import, "it has %d inputs; at most %d are supported", count,
                           ONNX_OPERANDS);
    for (int i = 0; i < count; i++)
        if (!onnx_broadcast(import, rank, dims, values[i]->rank, values[i]->dims, &rank, dims))
            return false;
    common = layout_plain(rank, dims);
    for (int i = 0; i < count; i++) {
        ordered[i] = *values[i];
        sizes[i] = 1;
        for (int a = 0; a < ordered[i].rank; a++)
            sizes[i] *= ordered[i].dims[a];
        if (ordered[i].state == ONNX_DYNAMIC) {
            common_refine(&common, &ordered[i], rank, dims);
            if (sizes[i] > most) {
                most = sizes[i];
                leader = i;
            }
        }
    }
    if (leader < 0)
        return onnx_refuse(
            import, "all its inputs are constant, and it cannot be computed during the import");
    for (int i = 0; i < count; i++)
        if (!operand_refine(&ordered[i], &common, rank, dims, &layouts[i], has[i])) {
            /* The factors differ; numbers in the order of the source can be split into any factors.
             */
            int axes[ONNX_RANK], axis_count = 0, layer;
            for (int a = 0; a < ordered[i].rank; a++)
                if (ordered[i].dims[a] != 1)
                    axes[axis_count++] = a;
            if (!onnx_arrange(import, &ordered[i], axis_count, axes, &layer))
                return false;
            ordered[i].layer = layer;
            ordered[i].layout = layout_plain(ordered[i].rank, ordered[i].dims);
            if (!operand_refine(&ordered[i], &common, rank, dims, &layouts[i], has[i]))
                return onnx_refuse(import, "its inputs' axes are split in ways that do not agree");
        }
    result_sequence(&common, &layouts[leader], has[leader], sequence);
    if (!operands_group(&common, sequence, count, has, &import->layers[ordered[leader].layer],
                        &ret->rank, ret->dims, group))
        return onnx_refuse(import, "its inputs are broadcast over more than %d axes",
                           ONNX_ENGINE_RANK);
    ret->count = count;
    for (int i = 0; i < count; i++) {
        int own[ONNX_FACTORS], own_sequence[ONNX_FACTORS], n = 0, index = 0;
        for (int k = 0; k < common.count; k++)
            own[k] = has[i][k] ? index++ : -1;
        ret->of[i].whole = true;
        for (int d = 0; d < ret->rank; d++)
            ret->of[i].dims[d] = ret->dims[d];
        for (int k = 0; k < common.count; k++) {
            if (has[i][sequence[k]]) {
                own_sequence[n++] = own[sequence[k]];
            } else {
                ret->of[i].dims[group[k]] = 1;
                ret->of[i].whole = false;
            }
        }
        ret->of[i].layer = -1;
        ret->of[i].numbers = NULL;
        if (ordered[i].state == ONNX_DYNAMIC) {
            if (!onnx_arrange_factors(import, &ordered[i], &layouts[i], own_sequence, ret->rank,
                                      ret->of[i].dims, &ret->of[i].layer))
                return false;
        } else {
            ret->of[i].numbers =
                constant_arrange(import, &ordered[i], &common, rank, dims, sequence, has[i]);
            if (ret->of[i].numbers == NULL)
                return false;
        }
    }
    ret->result = (struct onnx_value){.state = ONNX_DYNAMIC,
                                      .type = values[leader]->type,
                                      .rank = rank,
                                      .layer = -1,
                                      .layout = common};
    if (rank > 0)
        memcpy(ret->result.dims, dims, (size_t)rank * sizeof *dims);
    for (int k = 0; k < common.count; k++)
        ret->result.layout.place[sequence[k]] = k;
    layout_join(&ret->result.layout, rank, dims);
    return true;
}
