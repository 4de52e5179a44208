#ifndef FILIGREE_CPU_COMMON_TRANSPOSE_AVX512_H
#define FILIGREE_CPU_COMMON_TRANSPOSE_AVX512_H

#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include <cstdint>
#include <immintrin.h>

/* Internal linkage throughout: a copy that the linker could pick for other code would carry AVX-512 there. */
namespace filigree {
namespace {

/* The first `count` of 16 lanes, 0 <= count <= 16. */
inline __attribute__((always_inline)) __mmask16 first_lanes(int64_t count) {
    return static_cast<__mmask16>((uint32_t{1} << count) - 1);
}

/* Rows 4 g .. 4 g + 3 to four vectors: 128-bit lane l of vector j holds column 4 l + j of those rows. */
inline __attribute__((always_inline)) void transpose_lanes(__m512 r0, __m512 r1, __m512 r2, __m512 r3,
                                                           __m512 &c0, __m512 &c1, __m512 &c2, __m512 &c3) {
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
    c0 = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
    c1 = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
    c2 = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
    c3 = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
}

/* Gathers column 4 l + j of all 16 rows for l = 0..3 and writes those below `columns`. */
inline __attribute__((always_inline)) void store_columns(__m512 rows0, __m512 rows4, __m512 rows8,
                                                         __m512 rows12, int64_t j, int64_t columns, float *to,
                                                         int64_t to_stride) {
    const __m512 even_low = _mm512_shuffle_f32x4(rows0, rows4, 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(rows0, rows4, 0xdd);
    const __m512 even_high = _mm512_shuffle_f32x4(rows8, rows12, 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(rows8, rows12, 0xdd);
    if (j < columns) _mm512_storeu_ps(to + j * to_stride, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    if (j + 4 < columns)
        _mm512_storeu_ps(to + (j + 4) * to_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    if (j + 8 < columns)
        _mm512_storeu_ps(to + (j + 8) * to_stride, _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
    if (j + 12 < columns)
        _mm512_storeu_ps(to + (j + 12) * to_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
}

/*
 * to[j][i] = from[i][j] for i < rows, 0 for rows <= i < 16; j < columns. 1 <= rows, columns <= 16. Rows of `from` are
 * so many bytes apart, and of any alignment. Reads no element of `from` outside rows x columns and writes all 16 floats
 * of each of the `columns` rows of `to`.
 */
inline __attribute__((always_inline)) void transpose_block(const char *from, int64_t from_bytes,
                                                           int64_t rows, int64_t columns, float *to,
                                                           int64_t to_stride) {
    const __mmask16 mask = first_lanes(columns);
    const auto row = [=](int64_t i) __attribute__((always_inline)) {
        return i < rows ? _mm512_maskz_loadu_ps(mask, from + i * from_bytes) : _mm512_setzero_ps();
    };
    __m512 a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3;
    transpose_lanes(row(0), row(1), row(2), row(3), a0, a1, a2, a3);
    transpose_lanes(row(4), row(5), row(6), row(7), b0, b1, b2, b3);
    transpose_lanes(row(8), row(9), row(10), row(11), c0, c1, c2, c3);
    transpose_lanes(row(12), row(13), row(14), row(15), d0, d1, d2, d3);
    store_columns(a0, b0, c0, d0, 0, columns, to, to_stride);
    store_columns(a1, b1, c1, d1, 1, columns, to, to_stride);
    store_columns(a2, b2, c2, d2, 2, columns, to, to_stride);
    store_columns(a3, b3, c3, d3, 3, columns, to, to_stride);
}

/* transpose_block, with the whole block free of the comparisons that only a partial one needs. */
inline __attribute__((noinline)) void transpose_words(const void *from, int64_t from_bytes, int64_t rows,
                                                      int64_t columns, float *to, int64_t to_stride) {
    const auto *first = static_cast<const char *>(from);
    if (rows == 16 && columns == 16) {
        transpose_block(first, from_bytes, 16, 16, to, to_stride);
    } else {
        transpose_block(first, from_bytes, rows, columns, to, to_stride);
    }
}

inline void transpose_16x16(const float *from, int64_t from_stride, int64_t rows, int64_t columns, float *to,
                            int64_t to_stride) {
    transpose_words(from, from_stride * int64_t{sizeof(float)}, rows, columns, to, to_stride);
}

} // namespace
} // namespace filigree

#endif
