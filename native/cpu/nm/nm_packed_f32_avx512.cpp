/*
 * C = activation(alpha * A * B + beta * C + bias), A N:M sparse (rows x cols, packed), B and C dense f32.
 *
 *   feature-major   B[cols][n], C[rows][n]     a vector of 16 lanes is 16 columns of one row
 *   token-major     B[n][cols], C[n][rows]     a vector is 16 tokens; 16 x 16 blocks of B and C are
 * transposed
 *
 * filigree.h has the packed format and the order of sums, which makes the result the same bits as every other
 * f32 kernel of this operation: each lane is one chain of fused multiply-adds over a row's entries.
 *
 * For each panel of up to 64 columns of B, Z = 1..4 vectors:
 *   for each pass of pass_groups groups of 16 rows, for each block of columns of A:
 *     copy block x panel of B to scratch (16 Z floats a row, zero padded)
 *     for each group: unpack its indices to offsets in the block; sums += value * block row
 *   after the last block: epilogue, into C
 *
 * Four rows at a time are 4 Z chains; a multiply-add takes 4 clocks and two start in each, so eight hide it.
 * Where each row has positions of its own, an entry takes Z loads of B, a broadcast and an index for Z
 * multiply-adds: loads bound it. Where rows share positions, the Z vectors of B serve all four, and
 * arithmetic bounds it.
 *
 * With one token, rows of A go into the lanes: the matrix is read once, as it lies, and its bytes bound the
 * time. A vector of values meets the elements of B that a permutation by the lanes' indices picks out of the
 * group's (m <= 16: one register, m <= 32: two), or a broadcast where rows share positions.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"
#include "cpu/nm/nm.h"
#include "cpu/nm/nm_avx512.h"
#include "cpu/nm/nm_rows_avx512.h"

#include <cstring>
#include <immintrin.h>
#include <type_traits>

namespace filigree {
namespace {

/* What does not change within a call, and the panel at hand. */
struct Panel {
    const NmCall *call;
    const filigree_nm_packed *a;
    const float *bias; /* null: none */
    float *tile;
    float *sums;
    int32_t *offsets; /* of the group at hand: where an entry's row of B is in the tile, in floats */
    int64_t streams;
    int64_t first;  /* column of B and C, or token */
    int64_t width;  /* 1..64 */
    __mmask16 tail; /* lanes of the last vector */
};

Panel panel_of(const NmCall &call, int64_t index) {
    const filigree_nm_packed *a = call.a;
    Panel p{};
    p.call = &call;
    p.a = a;
    p.bias = a->bias != 0 ? table<float>(a, a->bias) : nullptr;
    char *scratch = static_cast<char *>(call.scratch);
    p.tile = reinterpret_cast<float *>(scratch);
    p.sums = reinterpret_cast<float *>(scratch + a->sums);
    p.offsets = reinterpret_cast<int32_t *>(scratch + a->columns);
    p.streams = streams_of(*a);
    p.first = index * FILIGREE_NM_PANEL;
    p.width = smaller(FILIGREE_NM_PANEL, call.n - p.first);
    p.tail = first_lanes((p.width - 1) % kLanes + 1);
    return p;
}

/* offsets[slot][stream] = (first column + index) * scale */
__attribute__((noinline)) void unpack_offsets(const Panel &p, int64_t block, int64_t group, int32_t scale) {
    const filigree_nm_packed &a = *p.a;
    const uint8_t *run = indices_of(a, block, group);
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    const int64_t entries = slots_of(a, block) * p.streams;
    for (int64_t i = 0; i * kLanes < entries; ++i) {
        const __m512i column =
            _mm512_add_epi32(unpack_16(run, i, a.index_bits), _mm512_load_si512(first_columns + i * kLanes));
        _mm512_store_si512(p.offsets + i * kLanes, _mm512_mullo_epi32(column, _mm512_set1_epi32(scale)));
    }
}

/* ---- multiply-adds, columns of B in the lanes ---- */

/* Named members: gcc spills an array of vectors in every iteration. Those past Z are dead. */
template <int Z> struct Sums {
    __m512 v0 = _mm512_setzero_ps(), v1 = _mm512_setzero_ps(), v2 = _mm512_setzero_ps(),
           v3 = _mm512_setzero_ps();
};

template <int Z> FILIGREE_INLINE void load(Sums<Z> &s, const float *from) {
    s.v0 = _mm512_load_ps(from);
    if constexpr (Z > 1) s.v1 = _mm512_load_ps(from + 16);
    if constexpr (Z > 2) s.v2 = _mm512_load_ps(from + 32);
    if constexpr (Z > 3) s.v3 = _mm512_load_ps(from + 48);
}

template <int Z> FILIGREE_INLINE void store(const Sums<Z> &s, float *to) {
    _mm512_store_ps(to, s.v0);
    if constexpr (Z > 1) _mm512_store_ps(to + 16, s.v1);
    if constexpr (Z > 2) _mm512_store_ps(to + 32, s.v2);
    if constexpr (Z > 3) _mm512_store_ps(to + 48, s.v3);
}

template <int Z> FILIGREE_INLINE void add(Sums<Z> &s, const Sums<Z> &b, float value) {
    const __m512 a = _mm512_set1_ps(value);
    s.v0 = _mm512_fmadd_ps(a, b.v0, s.v0);
    if constexpr (Z > 1) s.v1 = _mm512_fmadd_ps(a, b.v1, s.v1);
    if constexpr (Z > 2) s.v2 = _mm512_fmadd_ps(a, b.v2, s.v2);
    if constexpr (Z > 3) s.v3 = _mm512_fmadd_ps(a, b.v3, s.v3);
}

/* Four rows of a group. Shared: one stream of offsets, and each row of B is loaded once for all of them. */
template <int Z, bool kShared>
FILIGREE_INLINE void add_four(const Panel &p, const float *values, const int32_t *offsets, int64_t slots,
                              float *sums, bool fresh) {
    Sums<Z> s0, s1, s2, s3;
    if (!fresh) {
        load(s0, sums), load(s1, sums + Z * kLanes);
        load(s2, sums + 2 * Z * kLanes), load(s3, sums + 3 * Z * kLanes);
    }
    for (int64_t slot = 0; slot < slots; ++slot, values += kLanes, offsets += p.streams) {
        Sums<Z> b;
        load(b, p.tile + offsets[0]);
        add(s0, b, values[0]);
        if constexpr (!kShared) load(b, p.tile + offsets[1]);
        add(s1, b, values[1]);
        if constexpr (!kShared) load(b, p.tile + offsets[2]);
        add(s2, b, values[2]);
        if constexpr (!kShared) load(b, p.tile + offsets[3]);
        add(s3, b, values[3]);
    }
    store(s0, sums), store(s1, sums + Z * kLanes);
    store(s2, sums + 2 * Z * kLanes), store(s3, sums + 3 * Z * kLanes);
}

template <int Z, bool kShared>
__attribute__((noinline)) void add_group(const Panel &p, int64_t block, int64_t group, float *sums) {
    const int64_t slots = slots_of(*p.a, block);
    const float *values = values_of<float>(*p.a, block, group);
    for (int64_t row = 0; row < kLanes; row += 4) {
        /* A group's values are as many floats ahead as there are left of it and the next: a quarter each
         * time. */
        for (int64_t i = row * slots / kLanes * kLanes; i < (row + 4) * slots; i += kLanes)
            _mm_prefetch(reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(values) +
                                                        (i + slots * kLanes) * sizeof(float)),
                         _MM_HINT_T0);
        add_four<Z, kShared>(p, values + row, p.offsets + row * p.streams / kLanes, slots,
                             sums + row * Z * kLanes, block == 0);
    }
}

/* ---- blocks of B ---- */

/* tile[r][..] = B[first_row + r][panel], or of tokens, B[panel's token][first_row + r]; rows past the end are
 * 0 */
template <int Z> void copy_block(const Panel &p, int64_t block) {
    const filigree_nm_packed &a = *p.a;
    const int64_t stride = p.call->b_stride, first_row = block * a.block_depth, depth = depth_of(a, block);
    if (a.layout == FILIGREE_FEATURE_MAJOR) {
        for (int64_t r = 0; r < depth; ++r) {
            const float *from = p.call->b + (first_row + r) * stride + p.first;
            float *to = p.tile + r * Z * kLanes;
            for (int64_t i = 0; i < Z; ++i)
                _mm512_store_ps(
                    to + i * kLanes,
                    _mm512_maskz_loadu_ps(i == Z - 1 ? p.tail : __mmask16{0xffff}, from + i * kLanes));
        }
    } else {
        for (int64_t token = 0; token < p.width; token += kLanes) {
            const float *from = p.call->b + (p.first + token) * stride + first_row;
            const int64_t tokens = smaller(kLanes, p.width - token);
            for (int64_t r = 0; r < depth; r += kLanes)
                transpose_16x16(from + r, stride, tokens, smaller(kLanes, depth - r),
                                p.tile + r * Z * kLanes + token, Z * kLanes);
        }
    }
    for (int64_t r = depth; r < (depth + a.m - 1) / a.m * a.m; ++r)
        for (int64_t i = 0; i < Z; ++i) _mm512_store_ps(p.tile + (r * Z + i) * kLanes, _mm512_setzero_ps());
}

/* ---- epilogue ---- */

/* `count` elements of a row of C from their sums. With a bias of its own each, or else the row's. */
void finish(const Panel &p, float *c, const float *sums, int64_t count, const float *biases, float bias) {
    const NmCall &call = *p.call;
    for (int64_t i = 0; i < count; i += kLanes) {
        const __mmask16 lanes = first_lanes(smaller(kLanes, count - i));
        __m512 y = _mm512_mul_ps(_mm512_set1_ps(call.alpha), _mm512_maskz_loadu_ps(lanes, sums + i));
        if (call.beta != 0.0f)
            y = _mm512_fmadd_ps(_mm512_set1_ps(call.beta), _mm512_maskz_loadu_ps(lanes, c + i), y);
        if (p.bias != nullptr)
            y = _mm512_add_ps(y, biases != nullptr ? _mm512_maskz_loadu_ps(lanes, biases + i)
                                                   : _mm512_set1_ps(bias));
        _mm512_mask_storeu_ps(c + i, lanes, activate(p.a->activation, y));
    }
}

template <int Z> void finish_group(const Panel &p, int64_t group, const float *sums) {
    const int64_t row = group * kLanes, count = smaller(kLanes, p.a->rows - row);
    if (p.a->layout == FILIGREE_FEATURE_MAJOR) {
        for (int64_t r = 0; r < count; ++r)
            finish(p, p.call->c + (row + r) * p.call->c_stride + p.first, sums + r * Z * kLanes, p.width,
                   nullptr, p.bias != nullptr ? p.bias[row + r] : 0.0f);
        return;
    }
    alignas(64) float block[kLanes * kLanes];
    for (int64_t token = 0; token < p.width; token += kLanes) {
        transpose_16x16(sums + token, Z * kLanes, kLanes, kLanes, block, kLanes);
        for (int64_t t = 0; t < smaller(kLanes, p.width - token); ++t)
            finish(p, p.call->c + (p.first + token + t) * p.call->c_stride + row, block + t * kLanes, count,
                   p.bias != nullptr ? p.bias + row : nullptr, 0.0f);
    }
}

/* Groups [begin, end) of the panel. */
template <int Z> void multiply(const Panel &p, int64_t begin, int64_t end) {
    const filigree_nm_packed &a = *p.a;
    for (int64_t pass = begin; pass < end; pass += a.pass_groups) {
        const int64_t pass_end = smaller(end, pass + a.pass_groups);
        for (int64_t block = 0; block < a.block_count; ++block) {
            /* An only block outlasts the pass. */
            if (a.block_count > 1 || pass == begin) copy_block<Z>(p, block);
            for (int64_t group = pass; group < pass_end; ++group) {
                unpack_offsets(p, block, group, Z * kLanes);
                float *sums = p.sums + (group - pass) * kLanes * Z * kLanes;
                if (p.streams == kLanes) {
                    add_group<Z, false>(p, block, group, sums);
                } else {
                    add_group<Z, true>(p, block, group, sums);
                }
            }
        }
        if (a.block_count == 0) /* cols = 0: every sum is empty */
            std::memset(p.sums, 0, (pass_end - pass) * kLanes * Z * kLanes * sizeof(float));
        for (int64_t group = pass; group < pass_end; ++group)
            finish_group<Z>(p, group, p.sums + (group - pass) * kLanes * Z * kLanes);
    }
}

/* ---- rows of A in the lanes ---- */

struct F32 {
    using Element = float;
    static constexpr int64_t kWindow = 16, kSlots = 1;

    /* Whole windows; the blocks of all tokens lie side by side. */
    static int64_t pitch(const filigree_nm_packed &a) {
        return (a.block_depth + kWindow - 1) / kWindow * kWindow;
    }

    static FILIGREE_INLINE __m512i permute(__m512i index, __m512i elements) {
        return _mm512_permutexvar_epi32(index, elements);
    }
    static FILIGREE_INLINE __m512 add(__m512i value, __m512i elements, __m512 sum) {
        return _mm512_fmadd_ps(_mm512_castsi512_ps(value), _mm512_castsi512_ps(elements), sum);
    }
    static FILIGREE_INLINE __m512 load(const float *c, __mmask16 lanes) {
        return _mm512_maskz_loadu_ps(lanes, c);
    }
    static FILIGREE_INLINE void store(float *c, __mmask16 lanes, __m512 y) {
        _mm512_mask_storeu_ps(c, lanes, y);
    }

    /* tile[t][k] = B[first_row + k][first + t] */
    static void transpose(const RowsPanel<F32> &p, int64_t first_row, int64_t depth) {
        const int64_t stride = p.call->b_stride;
        for (int64_t token = 0; token < p.width; token += kLanes)
            for (int64_t k = 0; k < depth; k += kLanes)
                transpose_16x16(p.call->b + (first_row + k) * stride + p.first + token, stride,
                                smaller(kLanes, depth - k), smaller(kLanes, p.width - token),
                                p.tile + token * p.pitch + k, p.pitch);
    }
};

/* ---- one token: rows of A in the lanes ---- */

/* The elements of B that lanes of one slot meet. */
FILIGREE_INLINE __m512 pick(const float *b, int64_t m, __m512i index) {
    if (m <= 16) return _mm512_permutexvar_ps(index, _mm512_loadu_ps(b));
    return _mm512_permutex2var_ps(_mm512_loadu_ps(b), index, _mm512_loadu_ps(b + 16));
}

FILIGREE_INLINE __m512 pick_shared(const float *b, const int32_t *offsets, int64_t streams) {
    if (streams == 1) return _mm512_set1_ps(b[offsets[0]]);
    return _mm512_mask_broadcastss_ps(_mm512_set1_ps(b[offsets[0]]), 0xff00, _mm_set_ss(b[offsets[1]]));
}

__attribute__((noinline)) void add_group_of_one(const Panel &p, const BlockRows<F32> &rows, int64_t block,
                                                int64_t group, float *sums) {
    const filigree_nm_packed &a = *p.a;
    const __m512i *values = rows.values_of_group(group);
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    const uint8_t *run = rows.run(group / groups_a_run(a));
    const bool shared = p.streams < kLanes;
    if (shared) unpack_offsets(p, block, group, 1);
    __m512 s = rows.fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums);
    for (int64_t slot = 0; slot < rows.slots; ++slot) {
        const __m512 b =
            shared ? pick_shared(p.tile, p.offsets + slot * p.streams, p.streams)
                   : pick(p.tile + first_columns[slot * kLanes], a.m, unpack_16(run, slot, a.index_bits));
        s = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_load_si512(values + slot)), b, s);
    }
    _mm512_store_ps(sums, s);
}

/* Groups [begin, end) of the only column, or token, of B: the sums of consecutive rows lie together. */
void multiply_one(const Panel &p, int64_t begin, int64_t end) {
    const filigree_nm_packed &a = *p.a;
    const bool by_feature = a.layout == FILIGREE_FEATURE_MAJOR;
    for (int64_t pass = begin; pass < end; pass += a.pass_groups) {
        const int64_t pass_end = smaller(end, pass + a.pass_groups);
        for (int64_t block = 0; block < a.block_count; ++block) {
            const int64_t depth = depth_of(a, block), first_row = block * a.block_depth;
            for (int64_t r = 0; r < depth; ++r)
                p.tile[r] = by_feature ? p.call->b[(first_row + r) * p.call->b_stride + p.first]
                                       : p.call->b[p.first * p.call->b_stride + first_row + r];
            /* A permutation loads up to 32 floats from a group's start. */
            std::memset(p.tile + depth, 0, (a.block_depth - depth + 32) * sizeof(float));
            const BlockRows<F32> rows(a, block);
            for (int64_t group = pass; group < pass_end; ++group)
                add_group_of_one(p, rows, block, group, p.sums + (group - pass) * kLanes);
        }
        const int64_t row = pass * kLanes, count = smaller(pass_end * kLanes, a.rows) - row;
        if (a.block_count == 0) std::memset(p.sums, 0, (pass_end - pass) * kLanes * sizeof(float));
        if (!by_feature) {
            finish(p, p.call->c + p.first * p.call->c_stride + row, p.sums, count,
                   p.bias != nullptr ? p.bias + row : nullptr, 0.0f);
            continue;
        }
        for (int64_t r = 0; r < count; ++r)
            finish(p, p.call->c + (row + r) * p.call->c_stride + p.first, p.sums + r, 1, nullptr,
                   p.bias != nullptr ? p.bias[row + r] : 0.0f);
    }
}

} // namespace

void nm_packed_f32_avx512(const NmCall &call) {
    const filigree_nm_packed &a = *call.a;
    for (int64_t item = call.begin; item < call.end;) {
        const int64_t index = item / a.chunk_count;
        const int64_t chunk = item - index * a.chunk_count;
        const int64_t chunk_end = smaller(call.end - index * a.chunk_count, a.chunk_count);
        const int64_t begin = chunk * a.chunk_groups,
                      end = smaller(chunk_end * a.chunk_groups, a.group_count);
        if (a.vector == 1 && a.index_bits > 0 && has_windows<F32>(a)) {
            multiply_windows(rows_panel_of<F32>(call, index), begin, end);
            item += chunk_end - chunk;
            continue;
        }
        const Panel p = panel_of(call, index);
        if (p.width == 1 && (p.streams < kLanes || a.m <= 32)) {
            multiply_one(p, begin, end);
        } else {
            switch ((p.width + kLanes - 1) / kLanes) {
            case 1: multiply<1>(p, begin, end); break;
            case 2: multiply<2>(p, begin, end); break;
            case 3: multiply<3>(p, begin, end); break;
            default: multiply<4>(p, begin, end); break;
            }
        }
        item += chunk_end - chunk;
    }
}

} // namespace filigree
