#ifndef FILIGREE_CPU_GEMM_GEMM_H
#define FILIGREE_CPU_GEMM_GEMM_H

#include "filigree.h"

namespace filigree {

/* The arguments of a gemm kernel, checked. */
struct GemmCall {
    const filigree_gemm_packed *a;
    const float *b;
    int64_t b_stride;
    float *c;
    int64_t c_stride;
    int64_t n;
    float alpha;
    float beta;
    int64_t begin;
    int64_t end;
    void *scratch;
};

void gemm_packed_f32_avx512(const GemmCall &call);

} // namespace filigree

#endif
