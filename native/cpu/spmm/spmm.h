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

void spmm_csr_f32_avx512(const SpmmCall &call);

} // namespace filigree

#endif
