/*
 * C = activation(alpha * A * B + beta * C + bias), A sparse (rows x cols, packed CSR), B and C dense f32.
 *
 *   feature-major   B[cols][n], C[rows][n]     a vector of 16 lanes is 16 columns of one row
 *   token-major     B[n][cols], C[n][rows]     a vector is 16 tokens; 16 x 16 blocks of B and C are
 * transposed
 *
 * filigree.h has the packed format and the order of sums, which makes the result the same bits as every other
 * f32 kernel of this operation: each lane is one chain of fused multiply-adds over a virtual row's nonzeros.
 *
 * For each panel of 64 columns of B, or up to 112 in the last:
 *   for each pass of pass_rows virtual rows, for each block of columns of A:
 *     copy block x panel of B into the tile (16 to 112 floats a row, zero padded), unless B is read in place
 *     for each virtual row: sums += value * tile[column] over its nonzeros in the block
 *   after the last block: epilogue, into C or into the row's partial slot
 * A panel's sums are Z = 1..7 vectors. They stay in registers from a row's first nonzero to its last in the
 * block, and pass through scratch only between blocks or on their way to a transposition.
 *
 * One nonzero takes Z loads of B, one broadcast load and one index load for Z multiply-adds, so loads bound
 * it, not arithmetic, while B comes from L1 or L2. Hence the wide last panel: a fifth vector is one load more, a panel
 * of its own three. Chains bound it too: a multiply-add takes 4 clocks and two start in each, so eight chains are
 * needed, while one row has Z. Hence several rows at a time.
 * Matrices packed for narrow products have kernels of their own, in spmm_interleaved_avx512.h.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/spmm/spmm_interleaved_avx512.h"

#include <type_traits>

namespace filigree {
namespace {

/* Entries of A are two streams, read once a panel. At 2.5 clocks each, this many cover a DRAM latency thrice. */
constexpr int64_t kEntriesAhead = 512;
constexpr int64_t kEntriesALine = 16;

/* ---- where a row of B is ---- */

template <int Z> struct Tile {
    const float *base;

    FILIGREE_INLINE const float *row(int32_t column) const { return base + int64_t{column} * (Z * kLanes); }
    template <int I> FILIGREE_INLINE __m512 vector(const float *row) const {
        return _mm512_loadu_ps(row + 16 * I);
    }
};

/* A full panel of B itself. */
struct InPlace {
    const float *base;
    int64_t stride;

    FILIGREE_INLINE const float *row(int32_t column) const { return base + column * stride; }
    template <int I> FILIGREE_INLINE __m512 vector(const float *row) const {
        return _mm512_loadu_ps(row + 16 * I);
    }
};

/* The last panel of B itself: its last vector ends where the operand may end. */
template <int Z> struct InPlaceTail {
    const float *base;
    int64_t stride;
    __mmask16 tail;

    FILIGREE_INLINE const float *row(int32_t column) const { return base + column * stride; }
    template <int I> FILIGREE_INLINE __m512 vector(const float *row) const {
        if constexpr (I < Z - 1) return _mm512_loadu_ps(row + 16 * I);
        return _mm512_maskz_loadu_ps(tail, row + 16 * I);
    }
};

/* ---- multiply-adds ---- */

/* Nonzeros of a row. */
struct Entries {
    const int32_t *columns;
    const float *values;

    FILIGREE_INLINE Entries from(int64_t first) const { return {columns + first, values + first}; }
};

template <int Z, class B>
FILIGREE_INLINE void add(Sums<Z> &s, const B &b, const Entries &entries, int64_t i) {
    const float *row = b.row(entries.columns[i]);
    const __m512 a = _mm512_set1_ps(entries.values[i]);
    s.v0 = _mm512_fmadd_ps(a, b.template vector<0>(row), s.v0);
    if constexpr (Z > 1) s.v1 = _mm512_fmadd_ps(a, b.template vector<1>(row), s.v1);
    if constexpr (Z > 2) s.v2 = _mm512_fmadd_ps(a, b.template vector<2>(row), s.v2);
    if constexpr (Z > 3) s.v3 = _mm512_fmadd_ps(a, b.template vector<3>(row), s.v3);
    if constexpr (Z > 4) s.v4 = _mm512_fmadd_ps(a, b.template vector<4>(row), s.v4);
    if constexpr (Z > 5) s.v5 = _mm512_fmadd_ps(a, b.template vector<5>(row), s.v5);
    if constexpr (Z > 6) s.v6 = _mm512_fmadd_ps(a, b.template vector<6>(row), s.v6);
}

/*
 * No loop over nonzeros is unrolled further: its loads take longer than its other instructions, and each odd
 * nonzero left over would be one more branch that nobody can predict, which costs as much as eight nonzeros.
 */
template <int Z, class B>
FILIGREE_INLINE void add_rest(Sums<Z> &s, const B &b, const Entries &entries, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) add(s, b, entries, i);
}

/* Rows side by side as far as the shortest one reaches, then what the others have left. */
template <int Z, class B>
FILIGREE_INLINE void add_two(Sums<Z> &s0, Sums<Z> &s1, const B &b, const Entries &entries,
                             const int64_t *starts) {
    const int64_t count0 = starts[1] - starts[0], count1 = starts[2] - starts[1];
    const Entries row0 = entries.from(starts[0]), row1 = entries.from(starts[1]);
    const int64_t common = smaller(count0, count1);
    for (int64_t i = 0; i < common; ++i) {
        add(s0, b, row0, i);
        add(s1, b, row1, i);
    }
    add_rest(s0, b, row0, common, count0);
    add_rest(s1, b, row1, common, count1);
}

template <int Z, class B>
FILIGREE_INLINE void add_four(Sums<Z> &s0, Sums<Z> &s1, Sums<Z> &s2, Sums<Z> &s3, const B &b,
                              const Entries &entries, const int64_t *starts) {
    const int64_t count0 = starts[1] - starts[0], count1 = starts[2] - starts[1];
    const int64_t count2 = starts[3] - starts[2], count3 = starts[4] - starts[3];
    const Entries row0 = entries.from(starts[0]), row1 = entries.from(starts[1]);
    const Entries row2 = entries.from(starts[2]), row3 = entries.from(starts[3]);
    const int64_t common = smaller(smaller(count0, count1), smaller(count2, count3));
    for (int64_t i = 0; i < common; ++i) {
        add(s0, b, row0, i);
        add(s1, b, row1, i);
        add(s2, b, row2, i);
        add(s3, b, row3, i);
    }
    add_rest(s0, b, row0, common, count0);
    add_rest(s1, b, row1, common, count1);
    add_rest(s2, b, row2, common, count2);
    add_rest(s3, b, row3, common, count3);
}

/* ---- blocks ---- */

/* A block of columns of A for the virtual rows [begin, end) of a pass. */
struct Block {
    const int64_t *starts; /* of these rows */
    int64_t begin;
    int64_t end;
    bool is_first;
    bool is_last;
};

/* The longer activations on the rows of C that virtual rows [v, v + count) have just written, feature-major.
 */
FILIGREE_INLINE void activate_rows(const Panel &p, const Block &k, int64_t v, int64_t count) {
    if (!k.is_last || p.a->layout != FILIGREE_FEATURE_MAJOR || is_in_registers(p.a->activation)) return;
    for (int64_t i = v; i < v + count; ++i)
        if (p.targets[i] >= 0)
            activate_row(p.a->activation, p.call->c + p.targets[i] * p.call->c_stride + p.first, p.width);
}

/* Where virtual row v's sums go after the block. */
template <int Z> FILIGREE_INLINE void leave(const Panel &p, const Block &k, const Sums<Z> &s, int64_t v) {
    const int64_t target = p.targets[v];
    if (k.is_last && target < 0) {
        store(s, p.partials + ~target * p.partial_stride);
    } else if (k.is_last && p.a->layout == FILIGREE_FEATURE_MAJOR) {
        finish_row(p, s, target);
    } else {
        store(s, p.accumulators + (v - k.begin) * Z * kLanes);
    }
}

template <int Z> FILIGREE_INLINE void enter(const Panel &p, const Block &k, Sums<Z> &s, int64_t v) {
    if (!k.is_first) load(s, p.accumulators + (v - k.begin) * Z * kLanes);
}

/* Lines of entries that `rows` rows of the block read, on average: a count that changed from one to the next would
 * make the prefetching loop's end as hard to predict as the row's. */
FILIGREE_INLINE int64_t lines_ahead(const Block &k, int64_t rows) {
    const int64_t entries = k.starts[k.end - k.begin] - k.starts[0];
    return (entries * rows / (k.end - k.begin) + kEntriesALine - 1) / kEntriesALine;
}

/* Runs past the end of the tables, which a prefetch may. */
FILIGREE_INLINE void prefetch_entries(const Panel &p, int64_t begin, int64_t lines) {
    const uintptr_t columns = reinterpret_cast<uintptr_t>(p.columns), values = reinterpret_cast<uintptr_t>(p.values);
    for (int64_t i = 0; i < lines; ++i) {
        const uintptr_t offset = (begin + kEntriesAhead + i * kEntriesALine) * sizeof(float);
        _mm_prefetch(reinterpret_cast<const char *>(columns + offset), _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char *>(values + offset), _MM_HINT_T0);
    }
}

template <int Z, class B>
__attribute__((noinline)) void add_block(const Panel &p, const Block &k, const B b) {
    const Entries entries{p.columns, p.values};
    const int64_t *starts = k.starts - k.begin;
    int64_t v = k.begin;
    if constexpr (Z <= 2) {
        const int64_t lines = lines_ahead(k, 4);
        for (; v + 4 <= k.end; v += 4) {
            Sums<Z> s0, s1, s2, s3;
            enter(p, k, s0, v), enter(p, k, s1, v + 1), enter(p, k, s2, v + 2), enter(p, k, s3, v + 3);
            prefetch_entries(p, starts[v], lines);
            add_four(s0, s1, s2, s3, b, entries, starts + v);
            leave(p, k, s0, v), leave(p, k, s1, v + 1), leave(p, k, s2, v + 2), leave(p, k, s3, v + 3);
            activate_rows(p, k, v, 4);
        }
    }
    const int64_t lines = lines_ahead(k, 2);
    for (; v + 2 <= k.end; v += 2) {
        Sums<Z> s0, s1;
        enter(p, k, s0, v), enter(p, k, s1, v + 1);
        prefetch_entries(p, starts[v], lines);
        add_two(s0, s1, b, entries, starts + v);
        leave(p, k, s0, v), leave(p, k, s1, v + 1);
        activate_rows(p, k, v, 2);
    }
    if (v < k.end) {
        Sums<Z> s;
        enter(p, k, s, v);
        add_rest(s, b, entries, starts[v], starts[v + 1]);
        leave(p, k, s, v);
        activate_rows(p, k, v, 1);
    }
}

/* ---- tiles ---- */

template <int Z> void pack_block(const Panel &p, int64_t block) {
    const int64_t first_row = block * p.a->block_depth;
    const int64_t rows = smaller(p.a->block_depth, p.a->cols - first_row);
    if (p.a->layout == FILIGREE_FEATURE_MAJOR) {
        pack_tile<Z>(p, first_row, rows);
    } else {
        pack_tile_tokens<Z>(p, first_row, rows);
    }
}

/* ---- panels ---- */

/* The whole rows among virtual rows [begin, end), whose sums are in the accumulators. */
template <int Z> void finish_pass_tokens(const Panel &p, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end;) {
        const int64_t row = p.targets[v];
        int64_t count = 1;
        if (row >= 0) {
            while (count < kLanes && v + count < end && p.targets[v + count] == row + count) ++count;
            finish_tokens<Z>(p, p.accumulators + (v - begin) * Z * kLanes, row, count);
        }
        v += count;
    }
}

template <int Z> void multiply_pass(const Panel &p, int64_t begin, int64_t end, bool is_first_pass) {
    const filigree_spmm_packed &a = *p.a;
    for (int64_t block = 0; block < a.block_count; ++block) {
        const Block k{p.group_starts + block * (a.virtual_rows + 1) + begin, begin, end, block == 0,
                      block == a.block_count - 1};
        if (a.tiled == FILIGREE_SPMM_TILE) {
            /* A single block's tile outlasts the pass. */
            if (a.block_count > 1 || is_first_pass) pack_block<Z>(p, block);
            add_block<Z>(p, k, Tile<Z>{p.tile});
        } else if (p.width == FILIGREE_SPMM_PANEL) {
            if constexpr (Z == 4) add_block<Z>(p, k, InPlace{p.call->b + p.first, p.call->b_stride});
        } else {
            add_block<Z>(p, k, InPlaceTail<Z>{p.call->b + p.first, p.call->b_stride, p.tail});
        }
    }
    if (a.block_count == 0) { /* cols = 0: every sum is empty */
        const Block k{nullptr, begin, end, true, true};
        for (int64_t v = begin; v < end; ++v) leave(p, k, Sums<Z>(), v);
        activate_rows(p, k, begin, end - begin);
    }
    if (a.layout == FILIGREE_TOKEN_MAJOR) finish_pass_tokens<Z>(p, begin, end);
}

/* Virtual rows [begin, end) of the panel. */
template <int Z> void multiply(Panel &p, int64_t begin, int64_t end) {
    p.tile = static_cast<float *>(p.call->scratch);
    p.accumulators = p.tile + tile_rows_of(*p.a) * Z * kLanes;
    for (int64_t v = begin; v < end;) {
        const int64_t pass_end = end_of_pass(*p.a, v, end);
        multiply_pass<Z>(p, v, pass_end, v == begin);
        v = pass_end;
    }
}

/* Split row j of the panel: the sum of its slots. */
template <int Z> void combine(const Panel &p, int64_t j) {
    const int32_t *split = table<int32_t>(p.a, p.a->splits) + 2 * j;
    const int64_t row = split[0];
    Sums<Z> s, slot;
    load(s, p.partials + split[1] * p.partial_stride);
    for (int64_t i = split[1] + 1; i < split[3]; ++i) {
        load(slot, p.partials + i * p.partial_stride);
        s.v0 = _mm512_add_ps(s.v0, slot.v0);
        if constexpr (Z > 1) s.v1 = _mm512_add_ps(s.v1, slot.v1);
        if constexpr (Z > 2) s.v2 = _mm512_add_ps(s.v2, slot.v2);
        if constexpr (Z > 3) s.v3 = _mm512_add_ps(s.v3, slot.v3);
        if constexpr (Z > 4) s.v4 = _mm512_add_ps(s.v4, slot.v4);
        if constexpr (Z > 5) s.v5 = _mm512_add_ps(s.v5, slot.v5);
        if constexpr (Z > 6) s.v6 = _mm512_add_ps(s.v6, slot.v6);
    }
    if (p.a->layout == FILIGREE_FEATURE_MAJOR) {
        finish_row(p, s, row);
        if (!is_in_registers(p.a->activation))
            activate_row(p.a->activation, p.call->c + row * p.call->c_stride + p.first, p.width);
    } else {
        alignas(64) float sums[Z * kLanes];
        store(s, sums);
        finish_tokens<Z>(p, sums, row, 1);
    }
}

} // namespace

void spmm_csr_f32_avx512(const SpmmCall &call) {
    const filigree_spmm_packed &a = *call.a;
    const int64_t multiplying = panels_of(call.n) * a.chunk_count;
    const bool combines = call.begin >= multiplying;
    const int64_t per_panel = combines ? a.split_count : a.chunk_count;
    const int64_t base = combines ? multiplying : 0;
    const int64_t *chunk_starts = table<int64_t>(&a, a.chunk_starts);
    if (a.group > 1 && call.begin == 0) prefetch_call(a);

    for (int64_t item = call.begin - base; item < call.end - base;) {
        const int64_t index = item / per_panel;
        const int64_t begin = item - index * per_panel;
        const int64_t end = smaller(call.end - base - index * per_panel, per_panel);
        Panel p = panel_of(call, index);
        const auto run = [&](auto vectors) {
            constexpr int Z = decltype(vectors)::value;
            if (combines) {
                for (int64_t j = begin; j < end; ++j) combine<Z>(p, j);
            } else if (a.group > 1) {
                multiply_interleaved(p, chunk_starts[begin], chunk_starts[end]);
            } else {
                multiply<Z>(p, chunk_starts[begin], chunk_starts[end]);
            }
        };
        switch ((p.width + kLanes - 1) / kLanes) {
        case 1: run(std::integral_constant<int, 1>()); break;
        case 2: run(std::integral_constant<int, 2>()); break;
        case 3: run(std::integral_constant<int, 3>()); break;
        case 4: run(std::integral_constant<int, 4>()); break;
        case 5: run(std::integral_constant<int, 5>()); break;
        case 6: run(std::integral_constant<int, 6>()); break;
        default: run(std::integral_constant<int, 7>()); break;
        }
        item += end - begin;
    }
}

} // namespace filigree
