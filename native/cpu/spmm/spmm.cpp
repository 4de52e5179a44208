/* The exported spmm functions: check the arguments and the processor, then enter the kernel. */
#include "cpu/spmm/spmm.h"

#include "cpu/common/features.h"

namespace filigree {
namespace {

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/* What can be told from the header alone. The tables behind it are the packer's word. */
bool is_sane(const filigree_spmm_packed &a) {
    if (a.magic != FILIGREE_SPMM_MAGIC) return false;
    if (a.rows < 0 || a.cols < 0 || a.nnz < 0 || a.virtual_rows < a.rows) return false;
    if (a.block_count < 0 || a.chunk_count < 0 || a.split_count < 0 || a.partial_count < 2 * a.split_count)
        return false;
    if (a.layout != FILIGREE_FEATURE_MAJOR && a.layout != FILIGREE_TOKEN_MAJOR) return false;
    if (a.activation < FILIGREE_ACTIVATION_NONE || a.activation > FILIGREE_ACTIVATION_SILU) return false;
    if (a.virtual_rows > 0 && (a.pass_rows <= 0 || a.chunk_count == 0)) return false;
    if ((a.block_count > 0) != (a.cols > 0)) return false;
    if (a.block_count > 0 && (a.block_depth <= 0 || (a.cols - 1) / a.block_depth != a.block_count - 1))
        return false;
    if (a.group != 1 && a.group != FILIGREE_SPMM_INTERLEAVED) return false;
    if (a.group > 1 && a.block_count > 0 && a.tiled != FILIGREE_SPMM_TILE) return false;
    if (a.pass_rows % a.group != 0) return false;
    if (a.group > 1 && a.block_depth > UINT16_MAX) return false;
    if (a.tiled < FILIGREE_SPMM_NO_TILE || a.tiled > FILIGREE_SPMM_TILE_OR_IN_PLACE) return false;
    return a.tiled == FILIGREE_SPMM_TILE || a.block_count == 0 ||
           (a.layout == FILIGREE_FEATURE_MAJOR && a.block_count == 1);
}

int64_t least_scratch(const filigree_spmm_packed &a) {
    const int64_t sums = smaller(a.pass_rows, round_up(a.virtual_rows, a.group));
    return (tile_rows_of(a) + sums) * FILIGREE_SPMM_WIDEST_PANEL * int64_t{sizeof(float)};
}

int32_t check(const SpmmCall &call) {
    if (call.a == nullptr || !is_sane(*call.a) || call.n < 0) return FILIGREE_INVALID_ARGUMENT;
    const filigree_spmm_packed &a = *call.a;
    const int64_t panels = panels_of(call.n);
    const int64_t multiplying = panels * a.chunk_count;
    const int64_t items = multiplying + panels * a.split_count;
    if (call.begin < 0 || call.end < call.begin || call.end > items) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin < multiplying && call.end > multiplying) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;

    const bool by_feature = a.layout == FILIGREE_FEATURE_MAJOR;
    const int64_t b_rows = by_feature ? a.cols : call.n, b_width = by_feature ? call.n : a.cols;
    const int64_t c_rows = by_feature ? a.rows : call.n, c_width = by_feature ? call.n : a.rows;
    if (b_rows > 1 && call.b_stride < b_width) return FILIGREE_INVALID_ARGUMENT;
    if (c_rows > 1 && call.c_stride < c_width) return FILIGREE_INVALID_ARGUMENT;
    if ((call.b == nullptr && a.cols > 0) || (call.c == nullptr && a.rows > 0))
        return FILIGREE_INVALID_ARGUMENT;
    if (call.partials == nullptr && a.partial_count > 0) return FILIGREE_INVALID_ARGUMENT;
    if (a.scratch_bytes < least_scratch(a)) return FILIGREE_INVALID_ARGUMENT;
    if (call.scratch == nullptr && a.scratch_bytes > 0) return FILIGREE_INVALID_ARGUMENT;
    if (reinterpret_cast<uintptr_t>(call.scratch) % 64 != 0) return FILIGREE_INVALID_ARGUMENT;
    return FILIGREE_OK;
}

} // namespace
} // namespace filigree

int32_t filigree_spmm_csr_f32_avx512(const filigree_spmm_packed *a, const float *b, int64_t b_stride,
                                     float *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                     float *partials, int64_t begin, int64_t end, void *scratch) {
    if (!FILIGREE_HAVE_AVX512 || !filigree::supports(FILIGREE_AVX2_FMA | FILIGREE_AVX512))
        return FILIGREE_UNSUPPORTED_ISA;
    const filigree::SpmmCall call{a, b, b_stride, c, c_stride, n, alpha, beta, partials, begin, end, scratch};
    const int32_t status = filigree::check(call);
    if (status != FILIGREE_OK || begin == end) return status;
#if FILIGREE_HAVE_AVX512
    filigree::spmm_csr_f32_avx512(call);
#endif
    return FILIGREE_OK;
}
