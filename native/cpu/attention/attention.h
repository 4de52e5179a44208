#ifndef FILIGREE_CPU_ATTENTION_ATTENTION_H
#define FILIGREE_CPU_ATTENTION_ATTENTION_H

#include "filigree.h"

namespace filigree {

/* The arguments of a kernel over blocks, of elements T, checked. */
template <class T> struct BlockCall {
    const filigree_attention_mask *mask;
    const filigree_attention_shape *shape;
    const T *q;
    const T *k;
    const T *v;
    void *out;
    float *lse;
    float *state;
    float *packed; /* words of one float, or of a pair of bf16 */
    int64_t begin;
    int64_t end;
    float *scratch;
};

/* The arguments of a kernel over a paged cache of elements T, checked. */
template <class T> struct PagedCall {
    const filigree_paged_shape *shape;
    const float *q;
    const T *keys;
    const T *values;
    float *out;
    float *lse;
    float *partials;
    int64_t begin;
    int64_t end;
    float *scratch;
};

void attention_block_f32_avx512(const BlockCall<float> &call);
void attention_block_bf16_avx512(const BlockCall<uint16_t> &call);
void attention_block_bf16_amx(const BlockCall<uint16_t> &call);
void attention_paged_f32_avx512(const PagedCall<float> &call);
void attention_paged_bf16_avx512(const PagedCall<uint16_t> &call);

} // namespace filigree

#endif
