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

/* As filigree.h cuts n columns. */
inline int64_t panels_of(int64_t n) {
    constexpr int64_t spare = FILIGREE_SPMM_WIDEST_PANEL - FILIGREE_SPMM_PANEL;
    return n <= spare ? n > 0 : (n - spare + FILIGREE_SPMM_PANEL - 1) / FILIGREE_SPMM_PANEL;
}

inline int64_t groups_of(const filigree_spmm_packed &a) { return (a.virtual_rows + a.group - 1) / a.group; }

/*
 * Of the pass that begins with virtual row v, in a call that ends before row `end`. Where rows may be in any pass,
 * there are as few passes as can be, and alike: each copies or reads all of B, which a few rows left over would not
 * pay for.
 */
inline int64_t end_of_pass(const filigree_spmm_packed &a, int64_t v, int64_t end) {
    int64_t rows = a.pass_rows - v % a.pass_rows;
    if (a.group == 1) {
        const int64_t passes = (end - v - 1) / a.pass_rows + 1;
        rows = ((end - v - 1) / passes + 4) / 4 * 4; /* rounded up: kernels take rows by twos and fours */
        if (rows > a.pass_rows) rows = a.pass_rows;
    }
    return end - v < rows ? end : v + rows;
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
