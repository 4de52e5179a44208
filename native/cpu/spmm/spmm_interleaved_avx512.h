/*
 * Matrices packed for narrow products: groups of eight rows whose entries lie in turns, read as one stream that feeds
 * eight independent sums, which hide a multiply-add's latency.
 *
 *   1 column          lane i of one vector is row i of the group; its eight elements of B are loads into one lane each
 *   up to 8 columns   eight vectors of eight columns, one a row
 *   up to 16 columns  eight vectors of sixteen columns; a wider panel is taken sixteen columns at a time
 *
 * An entry takes six bytes, and one load of B from the first-level cache; eight entries share two or four loads of
 * their columns and one or eight of their values.
 */
#ifndef FILIGREE_CPU_SPMM_SPMM_INTERLEAVED_AVX512_H
#define FILIGREE_CPU_SPMM_SPMM_INTERLEAVED_AVX512_H

#include "cpu/spmm/spmm_panel_avx512.h"

#include <cstring>

namespace filigree {
namespace {

constexpr int64_t kGroup = FILIGREE_SPMM_INTERLEAVED;

/* Lines of entries are asked for so many entries before they are read: 250 ns at the rates above. */
constexpr int64_t kInterleavedAhead = 1024;

/* Of a call's first values, asked for while B is packed: then the hardware follows. */
constexpr int64_t kFirstLines = 16;
/* Whose entries those may be, in a matrix that is very sparse. */
constexpr int64_t kFirstGroups = 16;

struct InterleavedEntries {
    const uint16_t *columns;
    const float *values;

    FILIGREE_INLINE InterleavedEntries from(int64_t first) const { return {columns + first, values + first}; }
};

/* Runs past the end of the tables, which a prefetch may. */
FILIGREE_INLINE void prefetch_ahead(const InterleavedEntries &entries, int64_t i) {
    const uintptr_t columns = reinterpret_cast<uintptr_t>(entries.columns);
    const uintptr_t values = reinterpret_cast<uintptr_t>(entries.values);
    _mm_prefetch(reinterpret_cast<const char *>(columns + (i + kInterleavedAhead) * sizeof(uint16_t)), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char *>(values + (i + kInterleavedAhead) * sizeof(float)), _MM_HINT_T0);
}

/* Asks for what lies from an address on; past the end of a table, too, which a prefetch may. */
FILIGREE_INLINE void prefetch_bytes(const void *from, int64_t bytes) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(from);
    for (int64_t i = 0; i < bytes; i += 64) _mm_prefetch(reinterpret_cast<const char *>(begin + i), _MM_HINT_T0);
}

/* The columns of eight entries in few loads: what the elements of B leave of the load ports is scarce. */
template <class Word> struct GroupColumns {
    static constexpr int kEach = sizeof(Word) / sizeof(uint16_t);
    Word words[kGroup / kEach];

    explicit FILIGREE_INLINE GroupColumns(const uint16_t *columns) { std::memcpy(words, columns, sizeof words); }

    template <int I> FILIGREE_INLINE int64_t at() const {
        return static_cast<int64_t>(words[I / kEach] >> I % kEach * 16 & 0xffff);
    }
};

/* ---- one column ---- */

struct OneColumn {
    static constexpr int64_t kWidth = 1;
    /* Where instructions count more than loads do: a word of four takes half as many again to part. */
    using Columns = GroupColumns<uint32_t>;

    static void pack_row(float *to, const float *from, __mmask16) { *to = *from; }

    /* A broadcast into one lane is a load and no shuffle. Inserts took a seventh longer, and a gather twice as long
     * where it is microcode. */
    template <int I> static FILIGREE_INLINE __m256 put(__m256 lanes, const float *from) {
        return _mm256_mask_broadcastss_ps(lanes, 1 << I, _mm_load_ss(from));
    }

    static FILIGREE_INLINE __m256 collect(const float *tile, const Columns &c) {
        __m256 lanes = put<1>(_mm256_broadcast_ss(tile + c.at<0>()), tile + c.at<1>());
        lanes = put<3>(put<2>(lanes, tile + c.at<2>()), tile + c.at<3>());
        lanes = put<5>(put<4>(lanes, tile + c.at<4>()), tile + c.at<5>());
        return put<7>(put<6>(lanes, tile + c.at<6>()), tile + c.at<7>());
    }

    static FILIGREE_INLINE void add_group(const float *tile, const InterleavedEntries &entries, int64_t begin,
                                          int64_t end, float *sums, const int32_t *places, bool is_fresh) {
        __m256 sum = _mm256_setzero_ps();
        /* Rare enough for a gather, and it leaves the loop its registers. */
        if (!is_fresh) sum = _mm256_i32gather_ps(sums, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(places)), 4);
        InterleavedEntries next{entries.columns + begin, entries.values + begin};
        const float *const last = entries.values + end;
        /* Two of each row at a time: one line of values is asked for once. */
        for (; last - next.values >= 2 * kGroup; next = next.from(2 * kGroup)) {
            prefetch_ahead(next, 0);
            add_entries(sum, tile, next);
            add_entries(sum, tile, next.from(kGroup));
        }
        if (next.values != last) add_entries(sum, tile, next);
        alignas(32) float lanes[kGroup];
        _mm256_store_ps(lanes, sum);
        for (int64_t j = 0; j < kGroup; ++j) sums[places[j]] = lanes[j];
    }

    /* One of each row. */
    static FILIGREE_INLINE void add_entries(__m256 &sum, const float *tile, const InterleavedEntries &entries) {
        sum = _mm256_fmadd_ps(_mm256_loadu_ps(entries.values), collect(tile, Columns(entries.columns)), sum);
    }
};

/* ---- several columns ---- */

struct EightColumns {
    using Vector = __m256;
    static constexpr int64_t kWidth = 8;

    static FILIGREE_INLINE Vector load(const float *from) { return _mm256_loadu_ps(from); }
    static FILIGREE_INLINE void store(float *to, Vector x) { _mm256_storeu_ps(to, x); }
    /* Of a vector that is loaded once: a broadcast from memory would be one more load an entry, of which there are
     * too many already. */
    template <int I> static FILIGREE_INLINE Vector spread(const float *values) {
        return _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), _mm256_set1_epi32(I));
    }
    static FILIGREE_INLINE Vector fma(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
    static void pack_row(float *to, const float *from, __mmask16 lanes) {
        store(to, _mm256_maskz_loadu_ps(static_cast<__mmask8>(lanes), from));
    }
};

struct SixteenColumns {
    using Vector = __m512;
    static constexpr int64_t kWidth = 16;

    static FILIGREE_INLINE Vector load(const float *from) { return _mm512_loadu_ps(from); }
    static FILIGREE_INLINE void store(float *to, Vector x) { _mm512_storeu_ps(to, x); }
    template <int I> static FILIGREE_INLINE Vector spread(const float *values) { return _mm512_set1_ps(values[I]); }
    static FILIGREE_INLINE Vector fma(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
    static void pack_row(float *to, const float *from, __mmask16 lanes) {
        store(to, _mm512_maskz_loadu_ps(lanes, from));
    }
};

template <class C, int I>
FILIGREE_INLINE void add_entry(typename C::Vector &sum, const float *tile, const GroupColumns<uint64_t> &columns,
                               const float *values) {
    sum = C::fma(C::template spread<I>(values), C::load(tile + columns.at<I>() * C::kWidth), sum);
}

template <class C> struct Columns : C {
    static FILIGREE_INLINE void add_group(const float *tile, const InterleavedEntries &entries, int64_t begin,
                                          int64_t end, float *sums, const int32_t *places, bool is_fresh) {
        const auto enter = [&](int64_t member) {
            return is_fresh ? typename C::Vector{} : C::load(sums + places[member] * C::kWidth);
        };
        typename C::Vector s0 = enter(0), s1 = enter(1), s2 = enter(2), s3 = enter(3);
        typename C::Vector s4 = enter(4), s5 = enter(5), s6 = enter(6), s7 = enter(7);
        for (int64_t i = begin; i < end; i += kGroup) {
            prefetch_ahead(entries, i);
            const GroupColumns<uint64_t> columns(entries.columns + i);
            const float *values = entries.values + i;
            add_entry<C, 0>(s0, tile, columns, values);
            add_entry<C, 1>(s1, tile, columns, values);
            add_entry<C, 2>(s2, tile, columns, values);
            add_entry<C, 3>(s3, tile, columns, values);
            add_entry<C, 4>(s4, tile, columns, values);
            add_entry<C, 5>(s5, tile, columns, values);
            add_entry<C, 6>(s6, tile, columns, values);
            add_entry<C, 7>(s7, tile, columns, values);
        }
        C::store(sums + places[0] * C::kWidth, s0), C::store(sums + places[1] * C::kWidth, s1);
        C::store(sums + places[2] * C::kWidth, s2), C::store(sums + places[3] * C::kWidth, s3);
        C::store(sums + places[4] * C::kWidth, s4), C::store(sums + places[5] * C::kWidth, s5);
        C::store(sums + places[6] * C::kWidth, s6), C::store(sums + places[7] * C::kWidth, s7);
    }
};

/* ---- panels ---- */

/* A block of B; behind it the row of zeros that padding reads. */
template <class C> void pack_block_narrow(const Panel &p, int64_t block) {
    const int64_t first = block * p.a->block_depth, rows = smaller(p.a->block_depth, p.a->cols - first);
    const int64_t stride = p.call->b_stride;
    const bool by_feature = p.a->layout == FILIGREE_FEATURE_MAJOR;
    if (C::kWidth == 1 && (stride == 1 || !by_feature)) {
        std::memcpy(p.tile, p.call->b + p.first * stride + first, rows * sizeof(float));
    } else if (by_feature) {
        const float *from = p.call->b + first * stride + p.first;
        for (int64_t r = 0; r < rows; ++r) C::pack_row(p.tile + r * C::kWidth, from + r * stride, p.tail);
    } else {
        const float *from = p.call->b + p.first * stride + first;
        alignas(64) float rows_of_tile[kLanes * kLanes];
        for (int64_t r = 0; r < rows; r += kLanes) {
            const int64_t count = smaller(kLanes, rows - r);
            transpose_16x16(from + r, stride, p.width, count, rows_of_tile, kLanes);
            for (int64_t i = 0; i < count; ++i)
                C::pack_row(p.tile + (r + i) * C::kWidth, rows_of_tile + i * kLanes, 0xffff);
        }
    }
    for (int64_t i = 0; i < C::kWidth; ++i) p.tile[p.a->block_depth * C::kWidth + i] = 0;
}

/* One column: `count` consecutive rows of A from `row` on, whose sums follow each other. */
FILIGREE_INLINE void finish_column(const Panel &p, const float *sums, int64_t row, int64_t count) {
    const int64_t step = p.a->layout == FILIGREE_FEATURE_MAJOR ? p.call->c_stride : 1;
    float *c = p.a->layout == FILIGREE_FEATURE_MAJOR ? p.call->c + row * step + p.first
                                                     : p.call->c + p.first * p.call->c_stride + row;
    alignas(64) float line[kLanes];
    for (int64_t first = 0; first < count; first += kLanes, c += kLanes * step) {
        const int64_t width = smaller(kLanes, count - first);
        const __mmask16 lanes = first_lanes(width);
        float *const y_at = step == 1 ? c : line;
        if (step != 1 && p.call->beta != 0.0f)
            for (int64_t i = 0; i < width; ++i) line[i] = c[i * step];
        const __m512 bias =
            p.bias != nullptr ? _mm512_maskz_loadu_ps(lanes, p.bias + row + first) : _mm512_setzero_ps();
        const __m512 y = finish(p, _mm512_maskz_loadu_ps(lanes, sums + first), y_at, lanes, bias);
        _mm512_mask_storeu_ps(y_at, lanes, is_in_registers(p.a->activation) ? y : activate(p.a->activation, y));
        if (step != 1)
            for (int64_t i = 0; i < width; ++i) c[i * step] = line[i];
    }
}

/* Several columns, feature-major: the same rows, one by one. */
template <class C>
FILIGREE_INLINE void finish_narrow_rows(const Panel &p, const float *sums, int64_t row, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        Sums<1> s;
        if constexpr (C::kWidth == kLanes) {
            load(s, sums + i * kLanes);
        } else {
            s.v0 = _mm512_castps256_ps512(C::load(sums + i * C::kWidth));
        }
        finish_row(p, s, row + i);
        if (!is_in_registers(p.a->activation))
            activate_row(p.a->activation, p.call->c + (row + i) * p.call->c_stride + p.first, p.width);
    }
}

/* Several columns, token-major. */
template <class C>
FILIGREE_INLINE void finish_narrow_tokens(const Panel &p, const float *sums, int64_t row, int64_t count) {
    alignas(64) float lines[kLanes * kLanes] = {};
    for (int64_t first = 0; first < count; first += kLanes) {
        const int64_t rows = smaller(kLanes, count - first);
        for (int64_t i = 0; i < rows; ++i)
            C::store(lines + i * kLanes, C::load(sums + (first + i) * C::kWidth));
        finish_tokens<1>(p, lines, row + first, rows);
    }
}

/* The virtual rows [begin, end), rows of C or segments of such, whose sums follow each other. */
template <class C> void finish_narrow(const Panel &p, const float *first, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end;) {
        const float *sums = first + (v - begin) * C::kWidth;
        const int64_t row = p.targets[v];
        int64_t count = 1;
        if (row < 0) {
            for (int64_t i = 0; i < C::kWidth; ++i) p.partials[~row * p.partial_stride + i] = sums[i];
        } else {
            if (p.a->split_count == 0) {
                count = end - v;
            } else {
                while (v + count < end && p.targets[v + count] == row + count) ++count;
            }
            if constexpr (C::kWidth == 1) {
                finish_column(p, sums, row, count);
            } else if (p.a->layout == FILIGREE_FEATURE_MAJOR) {
                finish_narrow_rows<C>(p, sums, row, count);
            } else {
                finish_narrow_tokens<C>(p, sums, row, count);
            }
        }
        v += count;
    }
}

/* What groups are and where they begin. Two short tables: the hardware would only begin to follow them. */
FILIGREE_INLINE void prefetch_tables(const int64_t *starts, const int32_t *places, int64_t groups) {
    prefetch_bytes(starts, groups * int64_t{sizeof *starts});
    prefetch_bytes(places, groups * kGroup * int64_t{sizeof *places});
}

/*
 * Of a call that begins with the first row: what it reads first, asked for at once. One after the other, each address
 * from the table before, these would be three waits for memory, a tenth of the smallest products.
 */
FILIGREE_INLINE void prefetch_call(const filigree_spmm_packed &a) {
    prefetch_bytes(table<int64_t>(&a, a.chunk_starts), 64);
    prefetch_tables(table<int64_t>(&a, a.group_starts), table<int32_t>(&a, a.places), kFirstGroups);
    prefetch_bytes(table<uint16_t>(&a, a.columns), kFirstLines / 2 * 64);
    prefetch_bytes(table<float>(&a, a.values), kFirstLines * 64);
}

/* The rows that places [begin, end) of a pass name. */
template <class C> __attribute__((noinline)) void multiply_narrow_pass(const Panel &p, int64_t begin, int64_t end,
                                                                       bool is_first) {
    const filigree_spmm_packed &a = *p.a;
    const InterleavedEntries entries{table<uint16_t>(&a, a.columns), p.values};
    const int64_t first_group = begin / kGroup, groups = (end - begin + kGroup - 1) / kGroup;
    const int64_t pass_begin = begin / a.pass_rows * a.pass_rows;
    const int64_t pass_rows = smaller(a.pass_rows, a.virtual_rows - pass_begin);
    /* Places count from the first virtual row of all. */
    float *sums = p.accumulators - pass_begin * C::kWidth;
    if (a.block_count == 0) std::memset(p.accumulators, 0, pass_rows * C::kWidth * sizeof(float));
    for (int64_t block = 0; block < a.block_count; ++block) {
        const int64_t *starts = p.group_starts + block * (groups_of(a) + 1) + first_group;
        const int32_t *places = p.places + begin;
        if (is_first) {
            prefetch_tables(starts, places, groups);
            prefetch_bytes(entries.columns + starts[0], kFirstLines / 2 * 64);
            prefetch_bytes(entries.values + starts[0], kFirstLines * 64);
        }
        /* The next pass's. */
        prefetch_tables(starts + groups, places + groups * kGroup, groups);
        /* A single block's tile outlasts the pass. */
        if (a.block_count > 1 || is_first) pack_block_narrow<C>(p, block);
        for (int64_t g = 0; g < groups; ++g)
            C::add_group(p.tile, entries, starts[g], starts[g + 1], sums, places + g * kGroup, block == 0);
    }
    if (end - begin == pass_rows) {
        finish_narrow<C>(p, p.accumulators, pass_begin, end);
        return;
    }
    /* The others of the pass belong to other calls. */
    for (int64_t i = begin; i < begin + groups * kGroup; ++i) {
        const int64_t v = p.places[i];
        if (v < a.virtual_rows) finish_narrow<C>(p, sums + v * C::kWidth, v, v + 1);
    }
}

template <class C> void multiply_narrow(Panel &p, int64_t begin, int64_t end) {
    p.tile = static_cast<float *>(p.call->scratch);
    p.accumulators = p.tile + tile_rows_of(*p.a) * C::kWidth;
    for (int64_t v = begin; v < end;) {
        const int64_t pass_end = end_of_pass(*p.a, v, end);
        multiply_narrow_pass<C>(p, v, pass_end, v == begin);
        v = pass_end;
    }
}

/* Virtual rows [begin, end) of the panel. */
void multiply_interleaved(const Panel &panel, int64_t begin, int64_t end) {
    for (int64_t first = 0; first < panel.width; first += kLanes) {
        Panel p = panel;
        p.first += first;
        p.width = smaller(kLanes, panel.width - first);
        p.tail = first_lanes(p.width);
        if (p.partials != nullptr) p.partials += first;
        if (p.width == 1) {
            multiply_narrow<OneColumn>(p, begin, end);
        } else if (p.width <= EightColumns::kWidth) {
            multiply_narrow<Columns<EightColumns>>(p, begin, end);
        } else {
            multiply_narrow<Columns<SixteenColumns>>(p, begin, end);
        }
    }
}

} // namespace
} // namespace filigree

#endif
