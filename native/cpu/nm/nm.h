#ifndef FILIGREE_CPU_NM_NM_H
#define FILIGREE_CPU_NM_NM_H

#include "filigree.h"

namespace filigree {

/* The arguments of an nm kernel, checked. */
struct NmCall {
    const filigree_nm_packed *a;
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

void nm_packed_f32_avx512(const NmCall &call);

} // namespace filigree

#endif
