#ifndef FILIGREE_CPU_NM_NM_ROWS_AVX512_H
#define FILIGREE_CPU_NM_NM_ROWS_AVX512_H

/*
 * N:M products with 16 rows of A, one group, in the lanes. Their values are read as they lie, a vector for
 * each slot (of bf16: for each pair of slots), and meet elements of a token, whose block lies in scratch as a
 * row of B does when token-major. This header has what does not depend on how a group's rows choose their
 * positions, and the case that each row has its own within groups that divide a window: the elements of a
 * window of columns are one register of a token, and a permutation by the unpacked indices picks what the
 * lanes meet. Indices are unpacked once a group and block and serve all tokens; a permutation and a
 * multiply-add are all that is done for 16 entries and one token.
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
 * Values are a stream. With few tokens its bytes bound the time, and 4 KiB ahead covers a DRAM latency at the 8
 * bytes a clock that memory gives. With many, what is fetched ahead is the next group's, one group early.
 */
constexpr int64_t kBytesAhead = 4096;
constexpr int kFewTokens = 4;

/* `bytes` ahead of an address; one that is not there is fetched by nobody. */
FILIGREE_INLINE void prefetch(const void *at, int64_t bytes) {
    _mm_prefetch(reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(at) + bytes), _MM_HINT_T0);
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
 * 16 by two of them lie in 16 bytes.
 */
template <class T> struct Unpacking {
    __m512i bytes;  /* of the 16, which two each place gets */
    __m512i shifts; /* how far down its field is */
    __m512i mask;
    int64_t streams;
    int64_t bits; /* from vector to vector */

    explicit Unpacking(const filigree_nm_packed &a) : streams(streams_of(a)) {
        alignas(64) uint8_t from[64];
        alignas(64) uint16_t down[32], ones[32];
        for (int64_t half = 0; half < 32; ++half) {
            const bool is_place = T::kSlots == 2 || half % 2 == 0;
            const int64_t slot = T::kSlots == 2 && half % 2 == 0, stream = half / 2 * streams / kLanes;
            const int64_t bit = (slot * streams + stream) * a.index_bits;
            from[2 * half] = static_cast<uint8_t>(bit / 8);
            from[2 * half + 1] = static_cast<uint8_t>(bit / 8 + 1);
            down[half] = static_cast<uint16_t>(bit % 8);
            ones[half] = static_cast<uint16_t>(is_place ? (1 << a.index_bits) - 1 : 0);
        }
        bytes = _mm512_load_si512(from), shifts = _mm512_load_si512(down), mask = _mm512_load_si512(ones);
        bits = T::kSlots * streams * a.index_bits;
    }
};

/* The places in the window of vector i of a run; `first` is where its slots' groups begin. */
template <class T>
FILIGREE_INLINE __m512i places_of(const Unpacking<T> &u, const uint8_t *run, const int32_t *first,
                                  int64_t i) {
    const int64_t bit = i * u.bits;
    const __m512i fields =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(run + bit / 8)));
    /* With two streams, a vector's may begin at half a byte. */
    const __m512i shifts = _mm512_add_epi16(u.shifts, _mm512_set1_epi16(static_cast<int16_t>(bit % 8)));
    const __m512i index =
        _mm512_and_si512(_mm512_srlv_epi16(_mm512_shuffle_epi8(fields, u.bytes), shifts), u.mask);
    const int32_t *slot = first + T::kSlots * i * u.streams;
    const int32_t places = T::kSlots == 2 ? (slot[u.streams] & 0xffff) | slot[0] << 16 : slot[0];
    return _mm512_add_epi32(index, _mm512_set1_epi32(places));
}

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
            prefetch(values + i, N <= kFewTokens ? kBytesAhead : vectors * int64_t{sizeof(__m512i)});
            const __m512i value = _mm512_load_si512(values + i), index = _mm512_load_si512(indices + i);
#pragma GCC unroll 16
            for (int t = 0; t < N; ++t) s[t] = T::add(value, T::permute(index, elements[t]), s[t]);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < N; ++t) _mm512_store_ps(sums + t * kLanes, s[t]);
}

/* Calls add(N, t) for tokens t up to t + N until there are none left; N is a constant. */
template <class Add> FILIGREE_INLINE void for_tokens(int64_t count, const Add &add) {
    int64_t t = 0;
    for (; count - t >= 12; t += 12) add(std::integral_constant<int, 12>{}, t);
    if (count - t >= 8) add(std::integral_constant<int, 8>{}, t), t += 8;
    if (count - t >= 4) add(std::integral_constant<int, 4>{}, t), t += 4;
    if (count - t >= 2) add(std::integral_constant<int, 2>{}, t), t += 2;
    if (count - t >= 1) add(std::integral_constant<int, 1>{}, t);
}

/* The only token: what is unpacked is used once. */
template <class T>
FILIGREE_INLINE void add_windows_of_one(const RowsPanel<T> &p, const Unpacking<T> &u, const uint8_t *run,
                                        const int32_t *first_columns, const __m512i *values, int64_t vectors,
                                        int64_t window, float *sums, bool fresh) {
    __m512 s = fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums);
    const typename T::Element *x = p.tile;
    for (int64_t first = 0; first < vectors; first += window, x += T::kWindow) {
        const __m512i elements = _mm512_loadu_si512(x);
        const int64_t end = smaller(vectors, first + window);
        for (int64_t i = first; i < end; ++i) {
            prefetch(values + i, kBytesAhead);
            s = T::add(_mm512_load_si512(values + i),
                       T::permute(places_of(u, run, first_columns, i), elements), s);
        }
    }
    _mm512_store_ps(sums, s);
}

template <class T>
__attribute__((noinline)) void add_group_of_windows(const RowsPanel<T> &p, const Unpacking<T> &u,
                                                    int64_t block, int64_t group, float *sums) {
    const filigree_nm_packed &a = *p.a;
    const int64_t vectors = slots_of(a, block) / T::kSlots, window = window_vectors<T>(a);
    const auto *values = reinterpret_cast<const __m512i *>(values_of<typename T::Element>(a, block, group));
    const uint8_t *run = indices_of(a, block, group);
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    const bool fresh = block == 0;
    if (p.width == 1) {
        add_windows_of_one(p, u, run, first_columns, values, vectors, window, sums, fresh);
        return;
    }
    for (int64_t i = 0; i < vectors; ++i)
        _mm512_store_si512(static_cast<__m512i *>(p.indices) + i, places_of(u, run, first_columns, i));
    for_tokens(p.width, [&](auto count, int64_t t) __attribute__((always_inline)) {
        add_windows<T, decltype(count)::value>(p, values, vectors, window, p.tile + t * p.pitch,
                                               sums + t * kLanes, fresh);
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
    for (int64_t pass = begin; pass < end; pass += a.pass_groups) {
        const int64_t pass_end = smaller(end, pass + a.pass_groups);
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
        for (int64_t group = pass; group < pass_end; ++group)
            add_group_of_windows(p, u, block, group, p.sums + (group - pass) * p.width * kLanes);
    });
}

} // namespace
} // namespace filigree

#endif
