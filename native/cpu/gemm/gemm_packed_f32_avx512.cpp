/*
 * C = activation(alpha * A * B + beta * C + bias), all dense f32, A (rows x cols) packed.
 *
 *   feature-major   B[cols][n], C[rows][n]     a vector of 16 lanes is 16 columns of one row
 *   token-major     B[n][cols], C[n][rows]     a vector is 16 tokens; 16 x 16 blocks of B and C are
 * transposed
 *
 * filigree.h has the packed format and the order of sums, which makes the result the same bits as every other
 * f32 kernel of this operation: each lane is one chain of fused multiply-adds over the columns of A.
 *
 * For each panel of up to 64 columns of B:
 *   for each pass of pass_rows rows of C, for each block of columns of A:
 *     copy block x panel of B into the tile (16 to 64 floats a row, zero padded)
 *     for each group of 6 rows: sums += values[column] * tile[column] over the block
 *   after the last block: epilogue, into C
 *
 * Six rows of four vectors are 24 sums, which with four vectors of B and one broadcast value take 29 of the
 * 32 registers. A column of the block is 4 loads and 6 broadcast loads for 24 multiply-adds: 12 clocks where
 * two multiply-adds start in each, and 5 for the loads. The tile, 64 KiB at the packer's 256 columns, comes
 * from the second-level cache at 21 bytes a clock; the values stream by at 2.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/common/panel_avx512.h"
#include "cpu/gemm/gemm.h"

namespace filigree {
namespace {

constexpr int64_t kMicroRows = FILIGREE_GEMM_MICRO_ROWS;

/* What does not change within a call, and the panel at hand. */
struct Panel {
    const GemmCall *call;
    const filigree_gemm_packed *a;
    const float *values;
    const float *bias; /* null: none */
    float *tile;
    float *accumulators; /* Z vectors a row of the pass */
    int64_t padded_rows; /* of A */
    int64_t first;       /* column of B and C, or token */
    int64_t width;       /* 1..64 */
    __mmask16 tail;      /* lanes of the last vector */
};

Panel panel_of(const GemmCall &call, int64_t index) {
    const filigree_gemm_packed *a = call.a;
    Panel p{};
    p.call = &call;
    p.a = a;
    p.values = table<float>(a, a->values);
    p.bias = a->bias != 0 ? table<float>(a, a->bias) : nullptr;
    p.tile = static_cast<float *>(call.scratch);
    p.padded_rows = (a->rows + kMicroRows - 1) / kMicroRows * kMicroRows;
    p.first = index * FILIGREE_GEMM_PANEL;
    p.width = smaller(FILIGREE_GEMM_PANEL, call.n - p.first);
    p.tail = first_lanes((p.width - 1) % kLanes + 1);
    return p;
}

/* ---- sums of six rows ---- */

template <int Z> struct Rows { Sums<Z> r0, r1, r2, r3, r4, r5; };

template <int Z> FILIGREE_INLINE void load(Rows<Z> &s, const float *from) {
    constexpr int64_t row = Z * kLanes;
    load(s.r0, from), load(s.r1, from + row), load(s.r2, from + 2 * row);
    load(s.r3, from + 3 * row), load(s.r4, from + 4 * row), load(s.r5, from + 5 * row);
}

template <int Z> FILIGREE_INLINE void store(const Rows<Z> &s, float *to) {
    constexpr int64_t row = Z * kLanes;
    store(s.r0, to), store(s.r1, to + row), store(s.r2, to + 2 * row);
    store(s.r3, to + 3 * row), store(s.r4, to + 4 * row), store(s.r5, to + 5 * row);
}

template <int Z> FILIGREE_INLINE void add(Sums<Z> &s, const Sums<Z> &b, float value) {
    const __m512 a = _mm512_set1_ps(value);
    s.v0 = _mm512_fmadd_ps(a, b.v0, s.v0);
    if constexpr (Z > 1) s.v1 = _mm512_fmadd_ps(a, b.v1, s.v1);
    if constexpr (Z > 2) s.v2 = _mm512_fmadd_ps(a, b.v2, s.v2);
    if constexpr (Z > 3) s.v3 = _mm512_fmadd_ps(a, b.v3, s.v3);
}

template <int Z>
FILIGREE_INLINE void add_block(Rows<Z> &s, const float *values, const float *tile, int64_t depth) {
    for (int64_t k = 0; k < depth; ++k) {
        Sums<Z> b;
        load(b, tile + k * (Z * kLanes));
        const float *a = values + k * kMicroRows;
        add(s.r0, b, a[0]), add(s.r1, b, a[1]), add(s.r2, b, a[2]);
        add(s.r3, b, a[3]), add(s.r4, b, a[4]), add(s.r5, b, a[5]);
    }
}

/* ---- blocks ---- */

/* Up to six rows of C, feature-major. */
template <int Z> void finish_rows(const Panel &p, const Rows<Z> &s, int64_t row, int64_t count) {
    finish_row(p, s.r0, row);
    if (count > 1) finish_row(p, s.r1, row + 1);
    if (count > 2) finish_row(p, s.r2, row + 2);
    if (count > 3) finish_row(p, s.r3, row + 3);
    if (count > 4) finish_row(p, s.r4, row + 4);
    if (count > 5) finish_row(p, s.r5, row + 5);
    if (is_in_registers(p.a->activation)) return;
    for (int64_t i = row; i < row + count; ++i)
        activate_row(p.a->activation, p.call->c + i * p.call->c_stride + p.first, p.width);
}

/* Rows [begin, end) of a pass over the block of columns from first_column on. */
template <int Z>
void multiply_block(const Panel &p, int64_t begin, int64_t end, int64_t first_column, int64_t depth) {
    const bool is_last = first_column + depth == p.a->cols;
    const bool finishes = is_last && p.a->layout == FILIGREE_FEATURE_MAJOR;
    const float *values = p.values + first_column * p.padded_rows + begin * depth;
    float *accumulators = p.accumulators;
    for (int64_t row = begin; row < end; row += kMicroRows) {
        Rows<Z> s;
        if (first_column > 0) load(s, accumulators);
        add_block(s, values, p.tile, depth);
        if (finishes) {
            finish_rows(p, s, row, smaller(kMicroRows, end - row));
        } else {
            store(s, accumulators);
        }
        values += kMicroRows * depth;
        accumulators += kMicroRows * Z * kLanes;
    }
}

/* Rows [begin, end) of the panel; a multiple of 6 but at the end of A. */
template <int Z> void multiply(Panel &p, int64_t begin, int64_t end) {
    const filigree_gemm_packed &a = *p.a;
    p.accumulators = p.tile + (a.block_count > 0 ? smaller(a.block_depth, a.cols) : 0) * Z * kLanes;
    for (int64_t row = begin; row < end; row += a.pass_rows) {
        const int64_t pass_end = smaller(end, row + a.pass_rows);
        int64_t column = 0;
        do {
            const int64_t depth = a.block_count > 0 ? smaller(a.block_depth, a.cols - column) : 0;
            /* A single block's tile outlasts the pass. */
            if (a.block_count > 1 || row == begin) {
                if (a.layout == FILIGREE_FEATURE_MAJOR) {
                    pack_tile<Z>(p, column, depth);
                } else {
                    pack_tile_tokens<Z>(p, column, depth);
                }
            }
            multiply_block<Z>(p, row, pass_end, column, depth);
            column += depth;
        } while (column < a.cols);
        if (a.layout == FILIGREE_TOKEN_MAJOR) {
            for (int64_t i = row; i < pass_end; i += kLanes)
                finish_tokens<Z>(p, p.accumulators + (i - row) * Z * kLanes, i,
                                 smaller(kLanes, pass_end - i));
        }
    }
}

} // namespace

void gemm_packed_f32_avx512(const GemmCall &call) {
    const filigree_gemm_packed &a = *call.a;
    for (int64_t item = call.begin; item < call.end;) {
        const int64_t index = item / a.chunk_count;
        const int64_t chunk = item - index * a.chunk_count;
        const int64_t chunk_end = smaller(call.end - index * a.chunk_count, a.chunk_count);
        const int64_t begin = chunk * a.chunk_rows, end = smaller(chunk_end * a.chunk_rows, a.rows);
        Panel p = panel_of(call, index);
        switch ((p.width + kLanes - 1) / kLanes) {
        case 1: multiply<1>(p, begin, end); break;
        case 2: multiply<2>(p, begin, end); break;
        case 3: multiply<3>(p, begin, end); break;
        default: multiply<4>(p, begin, end); break;
        }
        item += chunk_end - chunk;
    }
}

} // namespace filigree
