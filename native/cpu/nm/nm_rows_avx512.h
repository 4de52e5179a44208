#ifndef FILIGREE_CPU_NM_NM_ROWS_AVX512_H
#define FILIGREE_CPU_NM_NM_ROWS_AVX512_H

/*
 * N:M products with 16 rows of A, one group, in the lanes. Their values are read as they lie, a vector for
 * each slot (of bf16: for each pair of slots), and meet elements of a token, whose block lies in scratch as a
 * row of B does when token-major. This header has what does not depend on how a group's rows choose their
 * positions, and the case that each row has its own within groups that divide a window: the elements of a
 * window of columns are one register of a token, and a permutation by the unpacked indices picks what the
 * lanes meet. Indices are unpacked once a group and block and serve all tokens, few of them at once, out of
 * registers, and many a dozen at a time; a permutation and a multiply-add are all that is done for 16 entries
 * and one token.
 *
 * T, the type of a kernel's elements, has
 *   Element            of B and C
 *   kWindow            elements in a register
 *   kSlots             of a vector of values
 *   permute, add       what lanes meet, and a multiply-add
 *   transpose          a block of a feature-major B, token by token
 *   load, store        16 elements of C as floats, masked
 */
#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"
#include "cpu/nm/nm.h"
#include "cpu/nm/nm_avx512.h"

#include <type_traits>

namespace filigree {
namespace {

/*
 * With few tokens the bytes of the values bound the time, and one core reads several parts of memory at a time faster
 * than one: here a stream reached 31 GB/s, four of them a megabyte apart 39, while streams that share pages were slower
 * than one. So groups that are multiplied side by side come from as many parts of a pass. They are independent chains
 * of sums, too; one alone would wait for itself.
 */
constexpr int64_t kFewTokens = 8;
constexpr int streams_for(int64_t tokens) { return tokens <= 4 ? 4 : 2; }

/*
 * Asks for values ahead of their use by N tokens. A few tokens take as long as memory does: one token of a dense matrix
 * reads a sixth faster so than if nothing is asked for, and 8 or 32 lines ahead do less. Many ask for the next group's.
 */
template <int N> FILIGREE_INLINE void prefetch_ahead(const __m512i *values, int64_t group_vectors) {
    constexpr int64_t kLine = sizeof(__m512i), kAhead = N <= 4 ? 16 : 64;
    const int64_t lines = N <= kFewTokens ? kAhead : group_vectors;
    /* What is not there is fetched by nobody. */
    _mm_prefetch(reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(values) + lines * kLine), _MM_HINT_T0);
}

/* What does not change within a call, and the panel at hand. */
template <class T> struct RowsPanel {
    using Element = typename T::Element;
    const NmCallOf<Element> *call;
    const filigree_nm_packed *a;
    const float *bias; /* null: none */
    Element *tile;     /* a block of each token of the panel */
    int64_t pitch;     /* from token to token of it */
    float *sums;       /* of a pass: [group][token][16] */
    void *indices;     /* of the group at hand */
    void *work;
    int64_t first; /* column of B and C, or token */
    int64_t width; /* 1..64 */
};

template <class T> RowsPanel<T> rows_panel_of(const NmCallOf<typename T::Element> &call, int64_t index) {
    const filigree_nm_packed *a = call.a;
    RowsPanel<T> p{};
    p.call = &call;
    p.a = a;
    p.bias = a->bias != 0 ? table<float>(a, a->bias) : nullptr;
    char *scratch = static_cast<char *>(call.scratch);
    p.tile = static_cast<typename T::Element *>(call.scratch);
    p.pitch = T::pitch(*a);
    p.sums = reinterpret_cast<float *>(scratch + a->sums);
    p.indices = scratch + a->columns;
    p.work = scratch + a->work;
    p.first = index * FILIGREE_NM_PANEL;
    p.width = smaller(FILIGREE_NM_PANEL, call.n - p.first);
    return p;
}

/* ---- blocks of B ---- */

template <class T> void copy_tokens(const RowsPanel<T> &p, int64_t block) {
    const filigree_nm_packed &a = *p.a;
    const int64_t first_row = block * a.block_depth, depth = depth_of(a, block);
    constexpr int64_t size = sizeof(typename T::Element);
    if (a.layout == FILIGREE_FEATURE_MAJOR) {
        T::transpose(p, first_row, depth);
    } else {
        for (int64_t t = 0; t < p.width; ++t)
            std::memcpy(p.tile + t * p.pitch, p.call->b + (p.first + t) * p.call->b_stride + first_row,
                        depth * size);
    }
    for (int64_t t = 0; t < p.width; ++t)
        std::memset(p.tile + t * p.pitch + depth, 0, (p.pitch - depth) * size);
}

/* ---- the groups of a block ---- */

/* Where they lie. What is told from a header by divisions is told once a block: some groups are short. */
template <class T> struct BlockRows {
    const __m512i *values; /* of group 0 */
    int64_t vectors;       /* of values, a group */
    const uint8_t *runs;
    int64_t run_bytes;
    int64_t slots;
    bool fresh; /* whether sums begin here */

    BlockRows(const filigree_nm_packed &a, int64_t block)
        : values(reinterpret_cast<const __m512i *>(values_of<typename T::Element>(a, block, 0))),
          vectors(slots_of(a, block) / T::kSlots), runs(indices_of(a, block, 0)),
          run_bytes((slots_of(a, block) * streams_of(a) * a.index_bits + 7) / 8),
          slots(slots_of(a, block)), fresh(block == 0) {}

    const __m512i *values_of_group(int64_t group) const { return values + group * vectors; }
    /* Groups share a run, or else each has its own. */
    const uint8_t *run(int64_t number) const { return runs + number * run_bytes; }
};

/* ---- rows with positions of their own ---- */

/* Whether groups of columns divide a window, and a vector's indices lie within 16 bytes. */
template <class T> bool has_windows(const filigree_nm_packed &a) {
    return a.index_bits <= 4 && T::kWindow % a.unit == 0;
}

/* Vectors of values of a window. */
template <class T> int64_t window_vectors(const filigree_nm_packed &a) {
    return T::kWindow / a.m * a.n / T::kSlots;
}

/*
 * How the indices of a vector of values get from their fields to the places that permute: of f32 a lane's 32
 * bits, of bf16 a half of it, the upper one for slot 2 p and the lower for slot 2 p + 1. Up to 4 bits each,
 * 16 by two of them lie in 16 bytes. A window's fields begin at a byte, and all windows are alike.
 */
template <class T> struct Unpacking {
    struct Vector {
        __m512i shifts; /* how far down each place's field is */
        __m512i places; /* where the field's group of columns begins: a multiple of m, a power of two */
        int64_t byte;   /* of a window's fields, where 16 bytes hold the vector's */
    };
    Vector vectors[16]; /* of a window */
    __m512i bytes;      /* of the 16, which two each place gets */
    __m512i mask;
    int64_t count;        /* of vectors of a window */
    int64_t window_bytes; /* of fields */

    explicit Unpacking(const filigree_nm_packed &a)
        : count(window_vectors<T>(a)),
          window_bytes(count * T::kSlots * streams_of(a) * a.index_bits / 8) {
        const int64_t streams = streams_of(a);
        alignas(64) uint8_t from[64];
        alignas(64) uint16_t ones[32], down[32], first[32];
        for (int64_t i = 0; i < count; ++i) {
            const int64_t bit = i * T::kSlots * streams * a.index_bits;
            for (int64_t half = 0; half < 32; ++half) {
                const bool is_place = T::kSlots == 2 || half % 2 == 0;
                const int64_t slot = T::kSlots == 2 && half % 2 == 0, stream = half / 2 * streams / kLanes;
                const int64_t field = (slot * streams + stream) * a.index_bits;
                from[2 * half] = static_cast<uint8_t>(field / 8);
                from[2 * half + 1] = static_cast<uint8_t>(field / 8 + 1);
                ones[half] = static_cast<uint16_t>(is_place ? (1 << a.index_bits) - 1 : 0);
                down[half] = static_cast<uint16_t>(field % 8 + bit % 8);
                /* Of two slots, the former is the later entry. */
                const int64_t entry = T::kSlots == 2 ? (2 * i + slot) ^ 1 : i;
                first[half] = static_cast<uint16_t>(is_place ? entry / a.n * a.m : 0);
            }
            vectors[i].shifts = _mm512_load_si512(down);
            vectors[i].places = _mm512_load_si512(first);
            vectors[i].byte = bit / 8;
        }
        bytes = _mm512_load_si512(from), mask = _mm512_load_si512(ones);
    }

    /* The places of a vector of the window whose fields begin at `window`. */
    FILIGREE_INLINE __m512i places(const Vector &v, const uint8_t *window) const {
        const __m512i fields =
            _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(window + v.byte)));
        const __m512i shifted = _mm512_srlv_epi16(_mm512_shuffle_epi8(fields, bytes), v.shifts);
        return _mm512_ternarylogic_epi32(shifted, mask, v.places, 0xea); /* shifted & mask | places */
    }
};

/* sums[t][16 rows] += of N tokens; `values` are those of a group and block, `indices` their places. */
template <class T, int N>
FILIGREE_INLINE void add_windows(const RowsPanel<T> &p, const __m512i *values, int64_t vectors,
                                 int64_t window, const typename T::Element *x, float *sums, bool fresh) {
    __m512 s[N];
#pragma GCC unroll 16
    for (int t = 0; t < N; ++t) s[t] = fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums + t * kLanes);
    const auto *indices = static_cast<const __m512i *>(p.indices);
    for (int64_t first = 0; first < vectors; first += window, x += T::kWindow) {
        __m512i elements[N];
#pragma GCC unroll 16
        for (int t = 0; t < N; ++t) elements[t] = _mm512_loadu_si512(x + t * p.pitch);
        const int64_t end = smaller(vectors, first + window);
        for (int64_t i = first; i < end; ++i) {
            prefetch_ahead<N>(values + i, vectors);
            const __m512i value = _mm512_load_si512(values + i), index = _mm512_load_si512(indices + i);
#pragma GCC unroll 16
            for (int t = 0; t < N; ++t) s[t] = T::add(value, T::permute(index, elements[t]), s[t]);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < N; ++t) _mm512_store_ps(sums + t * kLanes, s[t]);
}

/* Calls add(N, t) for tokens t up to t + N until there are none left; N is a constant, kMost or less. */
template <int kMost, class Add> FILIGREE_INLINE void for_tokens(int64_t count, const Add &add) {
    int64_t t = 0;
    if constexpr (kMost >= 12)
        for (; count - t >= 12; t += 12) add(std::integral_constant<int, 12>{}, t);
    if constexpr (kMost >= 8)
        if (count - t >= 8) add(std::integral_constant<int, 8>{}, t), t += 8;
    if (count - t >= 4) add(std::integral_constant<int, 4>{}, t), t += 4;
    if (count - t >= 2) add(std::integral_constant<int, 2>{}, t), t += 2;
    if (count - t >= 1) add(std::integral_constant<int, 1>{}, t);
}

/* Groups that lie `apart` from each other, G of them, and all N tokens: what is unpacked is used at once. */
template <class T, int G, int N>
FILIGREE_INLINE void add_windows_of_few(const RowsPanel<T> &p, const Unpacking<T> &u, const BlockRows<T> &rows,
                                        int64_t group, int64_t apart, float *sums) {
    const __m512i *values[G];
    const uint8_t *window[G];
    __m512 s[G][N];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
        values[g] = rows.values_of_group(group + g * apart);
        window[g] = rows.run(group + g * apart);
#pragma GCC unroll 16
        for (int t = 0; t < N; ++t)
            s[g][t] = rows.fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums + (g * apart * N + t) * kLanes);
    }
    const typename T::Element *x = p.tile;
    for (int64_t left = rows.vectors; left > 0; left -= u.count, x += T::kWindow) {
        __m512i elements[N];
#pragma GCC unroll 16
        for (int t = 0; t < N; ++t) elements[t] = _mm512_loadu_si512(x + t * p.pitch);
        const int64_t count = smaller(left, u.count);
        for (int64_t i = 0; i < count; ++i) {
            const auto &v = u.vectors[i];
#pragma GCC unroll 4
            for (int g = 0; g < G; ++g) {
                prefetch_ahead<N>(values[g] + i, rows.vectors);
                const __m512i value = _mm512_load_si512(values[g] + i), places = u.places(v, window[g]);
#pragma GCC unroll 16
                for (int t = 0; t < N; ++t) s[g][t] = T::add(value, T::permute(places, elements[t]), s[g][t]);
            }
        }
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) values[g] += count, window[g] += u.window_bytes;
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 16
        for (int t = 0; t < N; ++t) _mm512_store_ps(sums + (g * apart * N + t) * kLanes, s[g][t]);
}

/* Groups [group, end) and all N tokens, few. */
template <class T, int N>
__attribute__((noinline)) void add_groups_of_few(const RowsPanel<T> &p, const Unpacking<T> &u,
                                                 const BlockRows<T> &rows, int64_t group, int64_t end,
                                                 float *sums) {
    constexpr int kStreams = streams_for(N);
    const int64_t apart = (end - group) / kStreams;
    for (int64_t i = 0; i < apart; ++i)
        add_windows_of_few<T, kStreams, N>(p, u, rows, group + i, apart, sums + i * N * kLanes);
    for (int64_t i = apart * kStreams; i < end - group; ++i)
        add_windows_of_few<T, 1, N>(p, u, rows, group + i, 0, sums + i * N * kLanes);
}

template <class T>
__attribute__((noinline)) void add_group_of_windows(const RowsPanel<T> &p, const Unpacking<T> &u,
                                                    const BlockRows<T> &rows, int64_t group, float *sums) {
    const __m512i *values = rows.values_of_group(group);
    auto *indices = static_cast<__m512i *>(p.indices);
    const uint8_t *window = rows.run(group);
    for (int64_t first = 0; first < rows.vectors; first += u.count, window += u.window_bytes) {
        const int64_t count = smaller(rows.vectors - first, u.count);
        for (int64_t i = 0; i < count; ++i)
            _mm512_store_si512(indices + first + i, u.places(u.vectors[i], window));
    }
    for_tokens<12>(p.width, [&](auto count, int64_t t) __attribute__((always_inline)) {
        add_windows<T, decltype(count)::value>(p, values, rows.vectors, u.count, p.tile + t * p.pitch,
                                               sums + t * kLanes, rows.fresh);
    });
}

/* ---- epilogue ---- */

/* 16 or fewer elements of C from their sums. */
template <class T>
FILIGREE_INLINE void finish_lanes(const RowsPanel<T> &p, typename T::Element *c, __m512 sum, __mmask16 lanes,
                                  __m512 bias) {
    __m512 y = _mm512_mul_ps(_mm512_set1_ps(p.call->alpha), sum);
    if (p.call->beta != 0.0f) y = _mm512_fmadd_ps(_mm512_set1_ps(p.call->beta), T::load(c, lanes), y);
    if (p.bias != nullptr) y = _mm512_add_ps(y, bias);
    T::store(c, lanes, activate(p.a->activation, y));
}

template <class T> void finish_group_of_rows(const RowsPanel<T> &p, int64_t group, const float *sums) {
    const int64_t row = group * kLanes, count = smaller(kLanes, p.a->rows - row);
    if (p.a->layout == FILIGREE_TOKEN_MAJOR) {
        const __m512 bias = p.bias != nullptr ? _mm512_loadu_ps(p.bias + row) : _mm512_setzero_ps();
        for (int64_t t = 0; t < p.width; ++t)
            finish_lanes(p, p.call->c + (p.first + t) * p.call->c_stride + row,
                         _mm512_load_ps(sums + t * kLanes), first_lanes(count), bias);
        return;
    }
    alignas(64) float block[kLanes * kLanes];
    for (int64_t token = 0; token < p.width; token += kLanes) {
        const int64_t tokens = smaller(kLanes, p.width - token);
        transpose_16x16(sums + token * kLanes, kLanes, tokens, count, block, kLanes);
        for (int64_t r = 0; r < count; ++r)
            finish_lanes(p, p.call->c + (row + r) * p.call->c_stride + p.first + token,
                         _mm512_load_ps(block + r * kLanes), first_lanes(tokens),
                         _mm512_set1_ps(p.bias != nullptr ? p.bias[row + r] : 0.0f));
    }
}

/* Groups [begin, end) of the panel; add(block, pass, pass_end) adds a block to the sums of a pass. */
template <class T, class Add>
void multiply_rows(const RowsPanel<T> &p, int64_t begin, int64_t end, const Add &add) {
    const filigree_nm_packed &a = *p.a;
    const int64_t step = p.width * kLanes;
    /* Scratch has room for the sums of pass_groups and a whole panel. */
    const int64_t most = a.pass_groups * FILIGREE_NM_PANEL / p.width;
    for (int64_t pass = begin; pass < end; pass += most) {
        const int64_t pass_end = smaller(end, pass + most);
        for (int64_t block = 0; block < a.block_count; ++block) {
            /* An only block outlasts the pass. */
            if (a.block_count > 1 || pass == begin) copy_tokens(p, block);
            add(block, pass, pass_end);
        }
        if (a.block_count == 0) /* cols = 0: every sum is empty */
            std::memset(p.sums, 0, (pass_end - pass) * step * sizeof(float));
        for (int64_t group = pass; group < pass_end; ++group)
            finish_group_of_rows(p, group, p.sums + (group - pass) * step);
    }
}

template <class T> void multiply_windows(const RowsPanel<T> &p, int64_t begin, int64_t end) {
    const Unpacking<T> u(*p.a);
    multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
        const BlockRows<T> rows(*p.a, block);
        switch (p.width) {
        case 1: return add_groups_of_few<T, 1>(p, u, rows, pass, pass_end, p.sums);
        case 2: return add_groups_of_few<T, 2>(p, u, rows, pass, pass_end, p.sums);
        case 3: return add_groups_of_few<T, 3>(p, u, rows, pass, pass_end, p.sums);
        case 4: return add_groups_of_few<T, 4>(p, u, rows, pass, pass_end, p.sums);
        case 5: return add_groups_of_few<T, 5>(p, u, rows, pass, pass_end, p.sums);
        case 6: return add_groups_of_few<T, 6>(p, u, rows, pass, pass_end, p.sums);
        case 7: return add_groups_of_few<T, 7>(p, u, rows, pass, pass_end, p.sums);
        case 8: return add_groups_of_few<T, 8>(p, u, rows, pass, pass_end, p.sums);
        default:
            for (int64_t group = pass; group < pass_end; ++group)
                add_group_of_windows(p, u, rows, group, p.sums + (group - pass) * p.width * kLanes);
        }
    });
}

} // namespace
} // namespace filigree

#endif
