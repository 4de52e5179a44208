/* A panel of C as the avx512 spmm kernels hold it. */
#ifndef FILIGREE_CPU_SPMM_SPMM_PANEL_AVX512_H
#define FILIGREE_CPU_SPMM_SPMM_PANEL_AVX512_H

#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/common/panel_avx512.h"
#include "cpu/spmm/spmm.h"

namespace filigree {
namespace {

/* What does not change within a call, and the panel at hand. */
struct Panel {
    const SpmmCall *call;
    const filigree_spmm_packed *a;
    const int64_t *group_starts;
    const int32_t *columns; /* null in a matrix whose rows are interleaved */
    const float *values;
    const int32_t *places; /* null in any other */
    const int32_t *targets;
    const float *bias; /* null: none */
    float *tile;
    float *accumulators; /* as wide as a row of the tile, one a virtual row of the pass */
    float *partials;     /* of this panel */
    int64_t partial_stride;
    int64_t first;  /* column of B and C, or token */
    int64_t width;  /* 1..112 */
    __mmask16 tail; /* lanes of the last vector */
};

Panel panel_of(const SpmmCall &call, int64_t index) {
    const filigree_spmm_packed *a = call.a;
    Panel p{};
    p.call = &call;
    p.a = a;
    p.group_starts = table<int64_t>(a, a->group_starts);
    p.columns = a->group == 1 ? table<int32_t>(a, a->columns) : nullptr;
    p.places = a->group > 1 ? table<int32_t>(a, a->places) : nullptr;
    p.values = table<float>(a, a->values);
    p.targets = table<int32_t>(a, a->targets);
    p.bias = a->bias != 0 ? table<float>(a, a->bias) : nullptr;
    p.first = index * FILIGREE_SPMM_PANEL;
    p.width = index + 1 < panels_of(call.n) ? FILIGREE_SPMM_PANEL : call.n - p.first;
    p.tail = first_lanes((p.width - 1) % kLanes + 1);
    p.partials = call.partials != nullptr ? call.partials + p.first : nullptr;
    p.partial_stride = (call.n + FILIGREE_SPMM_PANEL - 1) / FILIGREE_SPMM_PANEL * FILIGREE_SPMM_PANEL;
    return p;
}

} // namespace
} // namespace filigree

#endif
