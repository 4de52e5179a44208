#ifndef FILIGREE_CPU_ATTENTION_ATTENTION_H
#define FILIGREE_CPU_ATTENTION_ATTENTION_H

#include "filigree.h"

namespace filigree {

/* The arguments of an attention kernel, checked. */
struct AttentionCall {
    const filigree_attention_mask *mask;
    const filigree_attention_shape *shape;
    const float *q;
    const float *k;
    const float *v;
    float *out;
    float *lse;
    float *state;
    float *packed;
    int64_t begin;
    int64_t end;
    float *scratch;
};

void attention_block_f32_avx512(const AttentionCall &call);

} // namespace filigree

#endif
