#ifndef FILIGREE_CPU_SPMM_SPMM_H
#define FILIGREE_CPU_SPMM_SPMM_H

#include "filigree.h"

namespace filigree {

/* The arguments of an spmm kernel, checked. */
struct SpmmCall {
    const filigree_spmm_packed *a;
    const float *b;
    int64_t b_stride;
    float *c;
    int64_t c_stride;
    int64_t n;
    float alpha;
    float beta;
    float *partials;
    int64_t begin;
    int64_t end;
    void *scratch;
};

inline int64_t groups_of(const filigree_spmm_packed &a) { return (a.virtual_rows + a.group - 1) / a.group; }

/* Of the pass that begins with virtual row v, in a call that ends before row `end`. */
inline int64_t end_of_pass(const filigree_spmm_packed &a, int64_t v, int64_t end) {
    const int64_t pass_end = (v / a.pass_rows + 1) * a.pass_rows;
    return pass_end < end ? pass_end : end;
}

/* Of scratch; with the row of zeros that padding reads. */
inline int64_t tile_rows_of(const filigree_spmm_packed &a) {
    if (a.tiled != FILIGREE_SPMM_TILE || a.block_count == 0) return 0;
    if (a.group > 1) return a.block_depth + 1;
    return a.block_depth < a.cols ? a.block_depth : a.cols;
}

void spmm_csr_f32_avx512(const SpmmCall &call);

} // namespace filigree

#endif
