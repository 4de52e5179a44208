/* The exported gemm functions: check the arguments and the processor, then enter the kernel. */
#include "cpu/gemm/gemm.h"

#include "cpu/common/features.h"

namespace filigree {
namespace {

int64_t divide_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

bool is_group_multiple(int64_t rows) { return rows > 0 && rows % FILIGREE_GEMM_MICRO_ROWS == 0; }

/* What can be told from the header alone. The values behind it are the packer's word. */
bool is_sane(const filigree_gemm_packed &a) {
    if (a.magic != FILIGREE_GEMM_MAGIC || a.rows < 0 || a.cols < 0) return false;
    if (a.layout != FILIGREE_FEATURE_MAJOR && a.layout != FILIGREE_TOKEN_MAJOR) return false;
    if (a.activation < FILIGREE_ACTIVATION_NONE || a.activation > FILIGREE_ACTIVATION_SILU) return false;
    if (!is_group_multiple(a.pass_rows) || !is_group_multiple(a.chunk_rows)) return false;
    if (a.chunk_count != a.rows / a.chunk_rows + (a.rows % a.chunk_rows != 0)) return false;
    if (a.cols == 0) return a.block_count == 0;
    return a.block_depth > 0 && a.block_count > 0 && (a.cols - 1) / a.block_depth == a.block_count - 1;
}

int64_t least_scratch(const filigree_gemm_packed &a) {
    const int64_t groups = divide_up(a.rows, FILIGREE_GEMM_MICRO_ROWS);
    const int64_t block_rows = a.block_count > 0 ? smaller(a.block_depth, a.cols) : 0;
    const int64_t sum_rows = smaller(a.pass_rows, groups * FILIGREE_GEMM_MICRO_ROWS);
    return (block_rows + sum_rows) * FILIGREE_GEMM_PANEL * int64_t{sizeof(float)};
}

int32_t check(const GemmCall &call) {
    if (call.a == nullptr || !is_sane(*call.a) || call.n < 0) return FILIGREE_INVALID_ARGUMENT;
    const filigree_gemm_packed &a = *call.a;
    const int64_t items = divide_up(call.n, FILIGREE_GEMM_PANEL) * a.chunk_count;
    if (call.begin < 0 || call.end < call.begin || call.end > items) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;

    const bool by_feature = a.layout == FILIGREE_FEATURE_MAJOR;
    const int64_t b_rows = by_feature ? a.cols : call.n, b_width = by_feature ? call.n : a.cols;
    const int64_t c_rows = by_feature ? a.rows : call.n, c_width = by_feature ? call.n : a.rows;
    if (b_rows > 1 && call.b_stride < b_width) return FILIGREE_INVALID_ARGUMENT;
    if (c_rows > 1 && call.c_stride < c_width) return FILIGREE_INVALID_ARGUMENT;
    if ((call.b == nullptr && a.cols > 0) || call.c == nullptr) return FILIGREE_INVALID_ARGUMENT;
    if (call.scratch == nullptr || reinterpret_cast<uintptr_t>(call.scratch) % 64 != 0)
        return FILIGREE_INVALID_ARGUMENT;
    return a.scratch_bytes < least_scratch(a) ? FILIGREE_INVALID_ARGUMENT : FILIGREE_OK;
}

} // namespace
} // namespace filigree

int32_t filigree_gemm_packed_f32_avx512(const filigree_gemm_packed *a, const float *b, int64_t b_stride,
                                        float *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                        int64_t begin, int64_t end, void *scratch) {
    if (!FILIGREE_HAVE_AVX512 || !filigree::supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512))
        return FILIGREE_UNSUPPORTED_ISA;
    const filigree::GemmCall call{a, b, b_stride, c, c_stride, n, alpha, beta, begin, end, scratch};
    const int32_t status = filigree::check(call);
    if (status != FILIGREE_OK || begin == end) return status;
#if FILIGREE_HAVE_AVX512
    filigree::gemm_packed_f32_avx512(call);
#endif
    return FILIGREE_OK;
}
