#ifndef FILIGREE_CPU_COMMON_BF16_H
#define FILIGREE_CPU_COMMON_BF16_H

/*
 * bfloat16, the upper half of a binary32: conversions, and products of pairs. A 32-bit lane holds two
 * bfloat16, the even element in its lower half and the odd one in its upper.
 *
 * multiply_add is the arithmetic of every bf16 kernel that does not use tiles, in plain C++; dot_pairs is the
 * instruction, vdpbf16ps, with the same bits but for the payload of a NaN. dev.filigree.internal.Bf16Pairs is
 * the same in Java.
 */
#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* Internal linkage throughout: a copy that the linker could pick for other code would carry AVX-512 there. */
namespace filigree {
namespace {

inline uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float bf16_to_float(uint16_t bf16) { return float_of(uint32_t{bf16} << 16); }

/* To nearest, ties to even; denormals stay, a NaN becomes a quiet one with the upper bits of its payload. */
inline uint16_t bf16_from_float(float value) {
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits | 0x400000) >> 16);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float zero_if_denormal(float value) {
    const uint32_t bits = bits_of(value);
    return (bits & 0x7f800000) == 0 ? float_of(bits & 0x80000000) : value;
}

inline float multiply_add_step(float a, float b, float sum) {
    const float x = zero_if_denormal(a), y = zero_if_denormal(b), s = zero_if_denormal(sum);
    const float result = std::fma(x, y, s);
    /* What a float rounds up to the smallest normal may still be denormal with all 24 bits. The double is
     * exact where it matters: there, both terms are multiples of 2^-166. */
    if (std::fabs(result) == 0x1p-126f && std::fabs(double{x} * double{y} + double{s}) < 0x1p-126 - 0x1p-151)
        return std::copysign(0.0f, result);
    return zero_if_denormal(result);
}

/* sum + odd(a) * odd(b), fused, then + even(a) * even(b), fused; denormal operands and sums are zeros of
 * their sign. */
inline float multiply_add(uint32_t a, uint32_t b, float sum) {
    const float first = multiply_add_step(float_of(a & 0xffff0000), float_of(b & 0xffff0000), sum);
    return multiply_add_step(float_of(a << 16), float_of(b << 16), first);
}

#ifdef __AVX512F__

inline __attribute__((always_inline)) __m512 bf16_to_float(__m256i bf16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

/* By integers: vcvtneps2bf16 would make zeros of denormals. */
inline __attribute__((always_inline)) __m256i bf16_from_float(__m512 value) {
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i result = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16));
}

#endif

#ifdef __AVX512BF16__

/* multiply_add in each of 16 lanes. */
inline __attribute__((always_inline)) __m512 dot_pairs(__m512i a, __m512i b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#endif

} // namespace
} // namespace filigree

#endif
