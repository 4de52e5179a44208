/* The exported nm functions: check the arguments and the processor, then enter the kernel. */
#include "cpu/nm/nm.h"

#include "cpu/common/features.h"

namespace filigree {
namespace {

constexpr int64_t kGroup = 16;

int64_t divide_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

int64_t larger(int64_t x, int64_t y) { return x > y ? x : y; }

/* What can be told from the header alone. The tables behind it are the packer's word. */
bool is_sane(const filigree_nm_packed &a) {
    if (a.magic != FILIGREE_NM_MAGIC) return false;
    if (a.rows < 0 || a.cols < 0 || a.n < 1 || a.n > a.m || a.m > 64) return false;
    if (a.vector != 1 && a.vector != 8 && a.vector != 16 && a.vector != 32 && a.vector != 64) return false;
    if (a.index_bits < 0 || a.index_bits > 6 || (a.n < a.m && int64_t{1} << a.index_bits < a.m)) return false;
    if (a.dtype != FILIGREE_DTYPE_F32 && a.dtype != FILIGREE_DTYPE_BF16) return false;
    if (a.unit != (a.dtype == FILIGREE_DTYPE_BF16 && a.n % 2 == 1 ? 2 * a.m : a.m)) return false;
    if (a.block_depth < a.unit || a.block_depth % a.unit != 0) return false;
    if (a.block_count != divide_up(a.cols, a.block_depth)) return false;
    if (a.group_count != divide_up(a.rows, kGroup)) return false;
    if (a.pass_groups < 1 || a.chunk_groups < 1) return false;
    if (a.chunk_count != divide_up(a.group_count, a.chunk_groups)) return false;
    if (a.layout != FILIGREE_FEATURE_MAJOR && a.layout != FILIGREE_TOKEN_MAJOR) return false;
    return a.activation >= FILIGREE_ACTIVATION_NONE && a.activation <= FILIGREE_ACTIVATION_SILU;
}

/* The areas of the scratch that the native kernels use follow each other; `work` is in the Java kernels'
 * part. */
bool has_scratch(const filigree_nm_packed &a) {
    const int64_t row = FILIGREE_NM_PANEL * int64_t{sizeof(float)};
    const bool pairs = a.dtype == FILIGREE_DTYPE_BF16;
    const int64_t streams = a.vector >= kGroup ? 1 : kGroup / a.vector;
    const int64_t slots = a.block_depth / a.m * a.n;
    const int64_t entries = pairs ? slots * kGroup : divide_up(slots * streams, kGroup) * kGroup;
    const int64_t columns_end = a.columns + entries * int64_t{sizeof(int32_t)};
    if (a.sums < larger(pairs ? 32 : 8, divide_up(a.block_depth, kGroup) * kGroup) * row || a.sums % 64 != 0)
        return false;
    if (a.columns < a.sums + a.pass_groups * kGroup * row || a.columns % 64 != 0) return false;
    if (pairs && (a.work < columns_end || a.work % 64 != 0 || a.scratch_bytes < a.work + 128 * (slots + 32)))
        return false;
    return a.scratch_bytes >= columns_end;
}

template <class E> int32_t check(const NmCallOf<E> &call, int32_t dtype) {
    if (call.a == nullptr || !is_sane(*call.a) || call.a->dtype != dtype || call.n < 0)
        return FILIGREE_INVALID_ARGUMENT;
    const filigree_nm_packed &a = *call.a;
    const int64_t items = divide_up(call.n, FILIGREE_NM_PANEL) * a.chunk_count;
    if (call.begin < 0 || call.end < call.begin || call.end > items) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;

    const bool by_feature = a.layout == FILIGREE_FEATURE_MAJOR;
    const int64_t b_rows = by_feature ? a.cols : call.n, b_width = by_feature ? call.n : a.cols;
    const int64_t c_rows = by_feature ? a.rows : call.n, c_width = by_feature ? call.n : a.rows;
    if (b_rows > 1 && call.b_stride < b_width) return FILIGREE_INVALID_ARGUMENT;
    if (c_rows > 1 && call.c_stride < c_width) return FILIGREE_INVALID_ARGUMENT;
    if ((call.b == nullptr && a.cols > 0) || (call.c == nullptr && a.rows > 0))
        return FILIGREE_INVALID_ARGUMENT;
    if (!has_scratch(a) || call.scratch == nullptr) return FILIGREE_INVALID_ARGUMENT;
    if (reinterpret_cast<uintptr_t>(call.scratch) % 64 != 0) return FILIGREE_INVALID_ARGUMENT;
    return FILIGREE_OK;
}

} // namespace
} // namespace filigree

int32_t filigree_nm_packed_f32_avx512(const filigree_nm_packed *a, const float *b, int64_t b_stride, float *c,
                                      int64_t c_stride, int64_t n, float alpha, float beta, int64_t begin,
                                      int64_t end, void *scratch) {
    if (!FILIGREE_HAVE_AVX512 || !filigree::supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512))
        return FILIGREE_UNSUPPORTED_ISA;
    const filigree::NmCall call{a, b, b_stride, c, c_stride, n, alpha, beta, begin, end, scratch};
    const int32_t status = filigree::check(call, FILIGREE_DTYPE_F32);
    if (status != FILIGREE_OK || begin == end) return status;
#if FILIGREE_HAVE_AVX512
    filigree::nm_packed_f32_avx512(call);
#endif
    return FILIGREE_OK;
}

int32_t filigree_nm_packed_bf16_avx512(const filigree_nm_packed *a, const uint16_t *b, int64_t b_stride,
                                       uint16_t *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                       int64_t begin, int64_t end, void *scratch) {
    if (!FILIGREE_HAVE_AVX512_BF16 ||
        !filigree::supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512 | FILIGREE_AVX512_BF16))
        return FILIGREE_UNSUPPORTED_ISA;
    const filigree::Nm16Call call{a, b, b_stride, c, c_stride, n, alpha, beta, begin, end, scratch};
    const int32_t status = filigree::check(call, FILIGREE_DTYPE_BF16);
    if (status != FILIGREE_OK || begin == end) return status;
#if FILIGREE_HAVE_AVX512_BF16
    filigree::nm_packed_bf16_avx512(call);
#endif
    return FILIGREE_OK;
}

int32_t filigree_nm_packed_bf16_amx(const filigree_nm_packed *a, const uint16_t *b, int64_t b_stride, uint16_t *c,
                                    int64_t c_stride, int64_t n, float alpha, float beta, int64_t begin, int64_t end,
                                    void *scratch) {
    if (!FILIGREE_HAVE_AMX ||
        !filigree::supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512 | FILIGREE_AVX512_BF16 | FILIGREE_AMX_BF16) ||
        !filigree::may_use_amx())
        return FILIGREE_UNSUPPORTED_ISA;
    const filigree::Nm16Call call{a, b, b_stride, c, c_stride, n, alpha, beta, begin, end, scratch};
    const int32_t status = filigree::check(call, FILIGREE_DTYPE_BF16);
    if (status != FILIGREE_OK) return status;
    if (a->vector < filigree::kGroup && a->n < a->m) return FILIGREE_INVALID_ARGUMENT;
    if (begin == end) return FILIGREE_OK;
#if FILIGREE_HAVE_AMX
    filigree::nm_packed_bf16_amx(call);
#endif
    return FILIGREE_OK;
}
