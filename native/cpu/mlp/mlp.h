#ifndef FILIGREE_CPU_MLP_MLP_H
#define FILIGREE_CPU_MLP_MLP_H

#include "filigree.h"

namespace filigree {

/* What a finished sum becomes. */
struct Epilogue {
    const float *bias;    /* null: none */
    const float *factors; /* null: none */
    int64_t factor_stride;
    int32_t activation;
};

/* The arguments of the mlp kernels, checked. */
struct DotCall {
    const filigree_row_matrix *w;
    const int32_t *list;
    const uint16_t *masks;
    int64_t count;
    const float *x;
    int64_t tokens;
    Epilogue epilogue;
    float *out;
    int64_t out_stride;
    int64_t begin;
    int64_t end;
};

struct AxpyCall {
    const filigree_row_matrix *w;
    const int32_t *list;
    const uint16_t *masks;
    int64_t count;
    const float *coefficients;
    int64_t coefficient_stride;
    int64_t tokens;
    Epilogue epilogue;
    float *out;
    int64_t out_stride;
    int64_t begin;
    int64_t end;
    float *sums;
};

void mlp_dot_f32_avx512(const DotCall &call);
void mlp_dot_bf16_avx512(const DotCall &call);
void mlp_axpy_f32_avx512(const AxpyCall &call);
void mlp_axpy_bf16_avx512(const AxpyCall &call);

} // namespace filigree

#endif
