#ifndef FILIGREE_CPU_NM_NM_H
#define FILIGREE_CPU_NM_NM_H

#include "filigree.h"

namespace filigree {

/* The arguments of an nm kernel whose dense operands have elements E, checked. */
template <class E> struct NmCallOf {
    const filigree_nm_packed *a;
    const E *b;
    int64_t b_stride;
    E *c;
    int64_t c_stride;
    int64_t n;
    float alpha;
    float beta;
    int64_t begin;
    int64_t end;
    void *scratch;
};

using NmCall = NmCallOf<float>;
using Nm16Call = NmCallOf<uint16_t>;

void nm_packed_f32_avx512(const NmCall &call);
void nm_packed_bf16_avx512(const Nm16Call &call);
void nm_packed_bf16_amx(const Nm16Call &call);

} // namespace filigree

#endif
