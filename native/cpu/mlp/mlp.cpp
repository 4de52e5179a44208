/* The exported mlp functions: check the arguments and the processor, then enter the kernel. */
#include "cpu/mlp/mlp.h"

#include "cpu/common/features.h"

namespace filigree {
namespace {

int64_t divide_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

bool is_aligned(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % 64 == 0; }

/* What can be told from the header alone; that the rows lie inside `bytes` included. */
bool is_sane(const filigree_row_matrix *w, int64_t dtype) {
    if (w == nullptr || !is_aligned(w) || w->magic != FILIGREE_ROW_MATRIX_MAGIC || w->dtype != dtype) return false;
    if (w->rows < 0 || w->rows > INT32_MAX || w->cols < 0 || w->cols > INT32_MAX) return false;
    if (w->stride < w->cols || w->stride % FILIGREE_MLP_ROW_STEP != 0) return false;
    if (w->stride > INT32_MAX + int64_t{FILIGREE_MLP_ROW_STEP}) return false;
    const int64_t row_bytes = w->stride * (dtype == FILIGREE_DTYPE_F32 ? 4 : 2);
    if (w->values < int64_t{sizeof *w} || w->values % 64 != 0 || w->bytes < w->values + 64) return false;
    return row_bytes == 0 || (w->bytes - w->values - 64) / row_bytes >= w->rows;
}

/* A list may name a row twice; without one, positions are rows. */
bool is_sane(const filigree_row_matrix &w, const int32_t *list, int64_t count) {
    return count >= 0 && count <= INT32_MAX && (list != nullptr || count <= w.rows);
}

bool is_sane(const Epilogue &epilogue, int64_t width) {
    if (epilogue.activation < FILIGREE_ACTIVATION_NONE || epilogue.activation > FILIGREE_ACTIVATION_SILU)
        return false;
    return epilogue.factors == nullptr || epilogue.factor_stride >= width;
}

bool is_range(int64_t begin, int64_t end, int64_t items) { return begin >= 0 && begin <= end && end <= items; }

int32_t check(const DotCall &call, int64_t dtype) {
    if (!is_sane(call.w, dtype) || !is_sane(*call.w, call.list, call.count)) return FILIGREE_INVALID_ARGUMENT;
    if (call.tokens < 1 || call.tokens > FILIGREE_MLP_TOKENS) return FILIGREE_INVALID_ARGUMENT;
    if (!is_range(call.begin, call.end, divide_up(call.count, FILIGREE_MLP_BLOCK)))
        return FILIGREE_INVALID_ARGUMENT;
    const int64_t padded = divide_up(call.count, FILIGREE_MLP_BLOCK) * FILIGREE_MLP_BLOCK;
    if (!is_sane(call.epilogue, padded) || call.out_stride < padded || call.out_stride % 16 != 0)
        return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;
    if (call.x == nullptr || call.out == nullptr || !is_aligned(call.x) || !is_aligned(call.out))
        return FILIGREE_INVALID_ARGUMENT;
    return FILIGREE_OK;
}

int32_t check(const AxpyCall &call, int64_t dtype) {
    if (!is_sane(call.w, dtype) || !is_sane(*call.w, call.list, call.count)) return FILIGREE_INVALID_ARGUMENT;
    if (call.tokens < 1 || call.tokens > FILIGREE_MLP_TOKENS) return FILIGREE_INVALID_ARGUMENT;
    if (!is_range(call.begin, call.end, divide_up(call.w->cols, FILIGREE_MLP_STRIP)))
        return FILIGREE_INVALID_ARGUMENT;
    if (!is_sane(call.epilogue, call.w->cols)) return FILIGREE_INVALID_ARGUMENT;
    if (call.tokens > 1 && (call.out_stride < call.w->cols || call.coefficient_stride < call.count))
        return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;
    if (call.out == nullptr || call.sums == nullptr || !is_aligned(call.sums)) return FILIGREE_INVALID_ARGUMENT;
    return call.coefficients == nullptr && call.count > 0 ? FILIGREE_INVALID_ARGUMENT : FILIGREE_OK;
}

template <class Call> int32_t run(const Call &call, int64_t dtype, void (*kernel)(const Call &)) {
    if (kernel == nullptr || !supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512)) return FILIGREE_UNSUPPORTED_ISA;
    const int32_t status = check(call, dtype);
    if (status == FILIGREE_OK && call.begin != call.end) kernel(call);
    return status;
}

#if FILIGREE_HAVE_AVX512
#define FILIGREE_MLP_KERNEL(kernel) kernel
#else
#define FILIGREE_MLP_KERNEL(kernel) nullptr
#endif

} // namespace
} // namespace filigree

int32_t filigree_mlp_dot_f32_avx512(const filigree_row_matrix *w, const int32_t *list, const uint16_t *masks,
                                    int64_t count, const float *x, int64_t tokens, const float *bias,
                                    const float *factors, int64_t factor_stride, int32_t activation, float *out,
                                    int64_t out_stride, int64_t begin, int64_t end) {
    const filigree::Epilogue epilogue{bias, factors, factor_stride, activation};
    return filigree::run<filigree::DotCall>(
        {w, list, masks, count, x, tokens, epilogue, out, out_stride, begin, end}, FILIGREE_DTYPE_F32,
        FILIGREE_MLP_KERNEL(filigree::mlp_dot_f32_avx512));
}

int32_t filigree_mlp_dot_bf16_avx512(const filigree_row_matrix *w, const int32_t *list, const uint16_t *masks,
                                     int64_t count, const float *x, int64_t tokens, const float *bias,
                                     const float *factors, int64_t factor_stride, int32_t activation, float *out,
                                     int64_t out_stride, int64_t begin, int64_t end) {
    const filigree::Epilogue epilogue{bias, factors, factor_stride, activation};
    return filigree::run<filigree::DotCall>(
        {w, list, masks, count, x, tokens, epilogue, out, out_stride, begin, end}, FILIGREE_DTYPE_BF16,
        FILIGREE_MLP_KERNEL(filigree::mlp_dot_bf16_avx512));
}

int32_t filigree_mlp_axpy_f32_avx512(const filigree_row_matrix *w, const int32_t *list, const uint16_t *masks,
                                     int64_t count, const float *coefficients, int64_t coefficient_stride,
                                     int64_t tokens, const float *bias, const float *factors,
                                     int64_t factor_stride, int32_t activation, float *out,
                                     int64_t out_stride, int64_t begin, int64_t end, void *scratch) {
    const filigree::Epilogue epilogue{bias, factors, factor_stride, activation};
    return filigree::run<filigree::AxpyCall>({w, list, masks, count, coefficients, coefficient_stride, tokens, epilogue,
                                              out, out_stride, begin, end, static_cast<float *>(scratch)},
                                             FILIGREE_DTYPE_F32, FILIGREE_MLP_KERNEL(filigree::mlp_axpy_f32_avx512));
}

int32_t filigree_mlp_axpy_bf16_avx512(const filigree_row_matrix *w, const int32_t *list,
                                      const uint16_t *masks, int64_t count, const float *coefficients,
                                      int64_t coefficient_stride, int64_t tokens, const float *bias,
                                      const float *factors, int64_t factor_stride, int32_t activation,
                                      float *out, int64_t out_stride, int64_t begin, int64_t end,
                                      void *scratch) {
    const filigree::Epilogue epilogue{bias, factors, factor_stride, activation};
    return filigree::run<filigree::AxpyCall>({w, list, masks, count, coefficients, coefficient_stride, tokens, epilogue,
                                              out, out_stride, begin, end, static_cast<float *>(scratch)},
                                             FILIGREE_DTYPE_BF16, FILIGREE_MLP_KERNEL(filigree::mlp_axpy_bf16_avx512));
}
