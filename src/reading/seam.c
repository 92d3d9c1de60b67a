/* seam.c: the cheapest path through ink, like the seams in Avidan and Shamir, "Seam carving"
 * (2007). Thread-safe: no state but the caller's. */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "reading/seam.h"

enum {
    LEAN = 4,            /* a path may drift sideways by a quarter of its height */
    STEP_COST = 12,      /* the cost of a step to the side, in grey levels of ink */
    ROW_COST = 1,        /* the cost of a row */
    AWAY_COST = 1 << 24, /* the cost of crossing the middle row away from the start's column */
};

static int seam_drift(int height) {
    return height / LEAN + 1;
}

size_t cn_seam_cells(int height) {
    return (size_t)height * (size_t)(2 * seam_drift(height) + 1);
}

int cn_seam_find(const uint8_t *ink, int width, int height, int column, int *costs, int8_t *steps,
                 int16_t *ret_path) {
    const int drift = seam_drift(height);
    const int first = column < drift ? 0 : column - drift;
    const int last = column + drift < width ? column + drift : width - 1;
    const int reach = last - first + 1;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < reach; x++) {
            int best = INT_MAX, step = 0;
            for (int from = y > 0 ? -1 : 0; from <= (y > 0 ? 1 : 0); from++) {
                if (x + from < 0 || x + from >= reach)
                    continue;
                const int before = y > 0 ? costs[(y - 1) * reach + x + from] : 0;
                const int cost = before + (from != 0 ? STEP_COST : 0);
                if (cost < best) {
                    best = cost;
                    step = from;
                }
            }
            /* Otherwise all starts near a cheap path would find that path and no other. */
            const bool away = y == height / 2 && abs(first + x - column) > 1;
            costs[y * reach + x] =
                best + ink[y * width + first + x] + ROW_COST + (away ? AWAY_COST : 0);
            steps[y * reach + x] = (int8_t)step;
        }
    const int *bottom = costs + (height - 1) * reach;
    int end = 0;
    for (int x = 1; x < reach; x++)
        end = bottom[x] < bottom[end] ? x : end;
    for (int y = height - 1, x = end; y >= 0; y--) {
        ret_path[y] = (int16_t)(first + x);
        x += steps[y * reach + x];
    }
    return bottom[end];
}
