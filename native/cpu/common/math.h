// Elementwise functions in f32: exp, sigmoid, tanh, erf and the activations, one float or 16 at a time.
//
// Every version, ScalarMath.java and VectorMath.java included, takes the same steps in the same order, so all
// agree bit for bit. That holds only under -ffp-contract=off and without any -ffast-math flag. Formulas,
// error bounds and special values stand in ScalarMath.java.
//
// The functions are static on purpose: this header is compiled once an ISA, and a linker that merged the
// copies of an inline function could hand AVX-512 code to a machine without it.
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "math_constants.h"

// CUDA kernels take the same steps: the device's fused multiply-add and division round as IEEE 754 says, too.
#if defined(__CUDACC__)
#define FILIGREE_MATH static __host__ __device__ inline
#else
#define FILIGREE_MATH static inline
#endif

namespace filigree {

// The numbers that stand for activations in the C ABI; Activation.java has the same.
enum ActivationCode : std::int32_t {
    kActivationNone = 0,
    kActivationRelu = 1,
    kActivationReluSquared = 2,
    kActivationGeluTanh = 3,
    kActivationGeluErf = 4,
    kActivationSilu = 5,
};

namespace math_detail {

FILIGREE_MATH std::uint32_t bits(float x) {
    std::uint32_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

FILIGREE_MATH float from_bits(std::uint32_t b) {
    float x;
    __builtin_memcpy(&x, &b, sizeof x);
    return x;
}

}  // namespace math_detail

FILIGREE_MATH float exp(float x) {
    using namespace math_constants;
    const float shifted = __builtin_fmaf(x, LOG2_E, ROUND_MAGIC);
    const float n = shifted - ROUND_MAGIC;
    float r = __builtin_fmaf(n, MINUS_LN2_HIGH, x);
    r = __builtin_fmaf(n, MINUS_LN2_LOW, r);
    float p = __builtin_fmaf(EXP_C6, r, EXP_C5);
    p = __builtin_fmaf(p, r, EXP_C4);
    p = __builtin_fmaf(p, r, EXP_C3);
    p = __builtin_fmaf(p, r, EXP_C2);
    p = __builtin_fmaf(p, r, 1.0f);
    p = __builtin_fmaf(p, r, 1.0f);
    // The shift leaves n alone, where the exponent is: the magic's own bits fall out at the top.
    float y = math_detail::from_bits(math_detail::bits(p) + (math_detail::bits(shifted) << MANTISSA_BITS));
    // One comparison sorts out overflow and NaN: x + inf is the answer to both.
    y = x <= EXP_OVERFLOW ? y : x + __builtin_inff();
    return x < EXP_UNDERFLOW ? 0.0f : y;
}

FILIGREE_MATH float sigmoid(float x) {
    return 1.0f / (1.0f + exp(-x));
}

FILIGREE_MATH float tanh(float x) {
    using namespace math_constants;
    const float a = __builtin_fabsf(x);
    const float t = a * a;
    float p = __builtin_fmaf(TANH_C4, t, TANH_C3);
    p = __builtin_fmaf(p, t, TANH_C2);
    p = __builtin_fmaf(p, t, TANH_C1);
    p = __builtin_fmaf(p, t, TANH_C0);
    const float small = __builtin_fmaf(a * t, p, a);
    const float large = 1.0f - 2.0f / (1.0f + exp(2.0f * a));
    return __builtin_copysignf(a < ODD_LIMIT ? small : large, x);
}

// erfc(a / sqrt 2) for a >= 0.
FILIGREE_MATH float erfc_over_sqrt2(float a) {
    using namespace math_constants;
    float q = __builtin_fmaf(ERFC_C7, a, ERFC_C6);
    q = __builtin_fmaf(q, a, ERFC_C5);
    q = __builtin_fmaf(q, a, ERFC_C4);
    q = __builtin_fmaf(q, a, ERFC_C3);
    q = __builtin_fmaf(q, a, ERFC_C2);
    q = __builtin_fmaf(q, a, ERFC_C1);
    q = __builtin_fmaf(q, a, ERFC_C0);
    return exp(a * q);
}

FILIGREE_MATH float erf(float x) {
    using namespace math_constants;
    const float a = __builtin_fabsf(x);
    const float t = a * a;
    float p = __builtin_fmaf(ERF_C4, t, ERF_C3);
    p = __builtin_fmaf(p, t, ERF_C2);
    p = __builtin_fmaf(p, t, ERF_C1);
    p = __builtin_fmaf(p, t, ERF_C0);
    const float small = __builtin_fmaf(a, p, a);
    const float large = 1.0f - erfc_over_sqrt2(a * SQRT_2);
    return __builtin_copysignf(a < ODD_LIMIT ? small : large, x);
}

FILIGREE_MATH float relu(float x) {
    return x <= 0.0f ? 0.0f : x;
}

FILIGREE_MATH float relu_squared(float x) {
    const float y = relu(x);
    return y * y;
}

FILIGREE_MATH float gelu_tanh(float x) {
    using namespace math_constants;
    const float minus_z = x * __builtin_fmaf(x * x, GELU_C1, GELU_C0);
    return x / (1.0f + exp(minus_z));
}

FILIGREE_MATH float gelu_erf(float x) {
    const float half = 0.5f * erfc_over_sqrt2(__builtin_fabsf(x));
    return x * (x < 0.0f ? half : 1.0f - half);
}

FILIGREE_MATH float silu(float x) {
    return x / (1.0f + exp(-x));
}

// max + log(sum) for the sum of exp(s - max); ScalarMath.logSumExp takes the same steps.
FILIGREE_MATH float log_sum_exp(float max, float sum) {
    using namespace math_constants;
    if (sum == 0.0f) return -__builtin_inff();
    if (!(sum < __builtin_inff())) return max + sum;
    const std::int32_t b = static_cast<std::int32_t>(math_detail::bits(sum));
    const std::int32_t exponent = (b - SQRT_HALF_BITS) >> MANTISSA_BITS;
    const double x = math_detail::from_bits(static_cast<std::uint32_t>(b - exponent * (1 << MANTISSA_BITS)));
    const double t = (x - 1) / (x + 1);
    const double u = t * t;
    const double series =
        2 * t * (1 + u * (1.0 / 3 + u * (1.0 / 5 + u * (1.0 / 7 + u * (1.0 / 9 + u * (1.0 / 11))))));
    return static_cast<float>(max + (exponent * LN2 + series));
}

#if defined(__AVX512F__)

namespace math_detail {

static inline __m512 splat(float x) {
    return _mm512_set1_ps(x);
}

static inline __m512 fma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fmadd_ps(a, b, c);
}

// The integer forms: the _ps forms of and, or, xor need AVX512DQ.
static inline __m512i sign_bit(__m512 x) {
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN));
}

static inline __m512 copy_sign(__m512 magnitude, __m512 sign) {
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude), sign_bit(sign)));
}

static inline __m512 negate(__m512 x) {
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN)));
}

}  // namespace math_detail

static inline __m512 exp(__m512 x) {
    using namespace math_constants;
    using namespace math_detail;
    const __m512 shifted = fma(x, splat(LOG2_E), splat(ROUND_MAGIC));
    const __m512 n = _mm512_sub_ps(shifted, splat(ROUND_MAGIC));
    __m512 r = fma(n, splat(MINUS_LN2_HIGH), x);
    r = fma(n, splat(MINUS_LN2_LOW), r);
    __m512 p = fma(splat(EXP_C6), r, splat(EXP_C5));
    p = fma(p, r, splat(EXP_C4));
    p = fma(p, r, splat(EXP_C3));
    p = fma(p, r, splat(EXP_C2));
    p = fma(p, r, splat(1.0f));
    p = fma(p, r, splat(1.0f));
    // The masked form under a full mask is the plain shift; GCC 12 warns that its plain form reads garbage.
    const __mmask16 all = 0xffff;
    const __m512i exponent = _mm512_maskz_slli_epi32(all, _mm512_castps_si512(shifted), MANTISSA_BITS);
    const __m512 y = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
    const __mmask16 in_range = _mm512_cmp_ps_mask(x, splat(EXP_OVERFLOW), _CMP_LE_OQ);
    const __mmask16 underflow = _mm512_cmp_ps_mask(x, splat(EXP_UNDERFLOW), _CMP_LT_OQ);
    const __m512 bounded = _mm512_mask_blend_ps(in_range, _mm512_add_ps(x, splat(__builtin_inff())), y);
    return _mm512_mask_blend_ps(underflow, bounded, _mm512_setzero_ps());
}

// exp where x <= 0 or NaN, as the differences from a maximum are: the same bits in a quarter fewer steps.
static inline __m512 exp_nonpositive(__m512 x) {
    using namespace math_constants;
    using namespace math_detail;
    const __m512 n = _mm512_sub_ps(fma(x, splat(LOG2_E), splat(ROUND_MAGIC)), splat(ROUND_MAGIC));
    __m512 r = fma(n, splat(MINUS_LN2_HIGH), x);
    r = fma(n, splat(MINUS_LN2_LOW), r);
    __m512 p = fma(splat(EXP_C6), r, splat(EXP_C5));
    p = fma(p, r, splat(EXP_C4));
    p = fma(p, r, splat(EXP_C3));
    p = fma(p, r, splat(EXP_C2));
    p = fma(p, r, splat(1.0f));
    p = fma(p, r, splat(1.0f));
    // p 2^n is exact: above the bound it is a normal float. A NaN is not below it, and stays.
    const __mmask16 normal = _mm512_cmp_ps_mask(x, splat(EXP_UNDERFLOW), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(normal, p, n);
}

// The same of four vectors, step by step: one after the other, the steps of each would wait for one another where the
// processor holds what waits, and leave no room for those of the next.
static inline void exp_nonpositive(__m512 &x0, __m512 &x1, __m512 &x2, __m512 &x3) {
    using namespace math_constants;
    using namespace math_detail;
    __m512 x[4] = {x0, x1, x2, x3}, n[4], r[4], p[4];
    __mmask16 normal[4];
#define FILIGREE_EACH _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i)
    FILIGREE_EACH n[i] = fma(x[i], splat(LOG2_E), splat(ROUND_MAGIC));
    FILIGREE_EACH normal[i] = _mm512_cmp_ps_mask(x[i], splat(EXP_UNDERFLOW), _CMP_NLT_UQ);
    FILIGREE_EACH n[i] = _mm512_sub_ps(n[i], splat(ROUND_MAGIC));
    FILIGREE_EACH r[i] = fma(n[i], splat(MINUS_LN2_HIGH), x[i]);
    FILIGREE_EACH r[i] = fma(n[i], splat(MINUS_LN2_LOW), r[i]);
    FILIGREE_EACH p[i] = fma(splat(EXP_C6), r[i], splat(EXP_C5));
    FILIGREE_EACH p[i] = fma(p[i], r[i], splat(EXP_C4));
    FILIGREE_EACH p[i] = fma(p[i], r[i], splat(EXP_C3));
    FILIGREE_EACH p[i] = fma(p[i], r[i], splat(EXP_C2));
    FILIGREE_EACH p[i] = fma(p[i], r[i], splat(1.0f));
    FILIGREE_EACH p[i] = fma(p[i], r[i], splat(1.0f));
    FILIGREE_EACH x[i] = _mm512_maskz_scalef_ps(normal[i], p[i], n[i]);
#undef FILIGREE_EACH
    x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
}

static inline __m512 sigmoid(__m512 x) {
    using namespace math_detail;
    return _mm512_div_ps(splat(1.0f), _mm512_add_ps(splat(1.0f), exp(negate(x))));
}

static inline __m512 tanh(__m512 x) {
    using namespace math_constants;
    using namespace math_detail;
    const __m512 a = _mm512_abs_ps(x);
    const __m512 t = _mm512_mul_ps(a, a);
    __m512 p = fma(splat(TANH_C4), t, splat(TANH_C3));
    p = fma(p, t, splat(TANH_C2));
    p = fma(p, t, splat(TANH_C1));
    p = fma(p, t, splat(TANH_C0));
    const __m512 small = fma(_mm512_mul_ps(a, t), p, a);
    const __m512 denominator = _mm512_add_ps(splat(1.0f), exp(_mm512_mul_ps(splat(2.0f), a)));
    const __m512 large = _mm512_sub_ps(splat(1.0f), _mm512_div_ps(splat(2.0f), denominator));
    const __mmask16 is_small = _mm512_cmp_ps_mask(a, splat(ODD_LIMIT), _CMP_LT_OQ);
    return copy_sign(_mm512_mask_blend_ps(is_small, large, small), x);
}

static inline __m512 erfc_over_sqrt2(__m512 a) {
    using namespace math_constants;
    using namespace math_detail;
    __m512 q = fma(splat(ERFC_C7), a, splat(ERFC_C6));
    q = fma(q, a, splat(ERFC_C5));
    q = fma(q, a, splat(ERFC_C4));
    q = fma(q, a, splat(ERFC_C3));
    q = fma(q, a, splat(ERFC_C2));
    q = fma(q, a, splat(ERFC_C1));
    q = fma(q, a, splat(ERFC_C0));
    return exp(_mm512_mul_ps(a, q));
}

static inline __m512 erf(__m512 x) {
    using namespace math_constants;
    using namespace math_detail;
    const __m512 a = _mm512_abs_ps(x);
    const __m512 t = _mm512_mul_ps(a, a);
    __m512 p = fma(splat(ERF_C4), t, splat(ERF_C3));
    p = fma(p, t, splat(ERF_C2));
    p = fma(p, t, splat(ERF_C1));
    p = fma(p, t, splat(ERF_C0));
    const __m512 small = fma(a, p, a);
    const __m512 large = _mm512_sub_ps(splat(1.0f), erfc_over_sqrt2(_mm512_mul_ps(a, splat(SQRT_2))));
    const __mmask16 is_small = _mm512_cmp_ps_mask(a, splat(ODD_LIMIT), _CMP_LT_OQ);
    return copy_sign(_mm512_mask_blend_ps(is_small, large, small), x);
}

// vmaxps would not do: of two zeros, or with a NaN, it returns its second operand.
static inline __m512 relu(__m512 x) {
    const __mmask16 keep = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NLE_UQ);
    return _mm512_maskz_mov_ps(keep, x);
}

static inline __m512 relu_squared(__m512 x) {
    const __m512 y = relu(x);
    return _mm512_mul_ps(y, y);
}

static inline __m512 gelu_tanh(__m512 x) {
    using namespace math_constants;
    using namespace math_detail;
    const __m512 minus_z = _mm512_mul_ps(x, fma(_mm512_mul_ps(x, x), splat(GELU_C1), splat(GELU_C0)));
    return _mm512_div_ps(x, _mm512_add_ps(splat(1.0f), exp(minus_z)));
}

static inline __m512 gelu_erf(__m512 x) {
    using namespace math_detail;
    const __m512 half = _mm512_mul_ps(splat(0.5f), erfc_over_sqrt2(_mm512_abs_ps(x)));
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mul_ps(x, _mm512_mask_blend_ps(negative, _mm512_sub_ps(splat(1.0f), half), half));
}

static inline __m512 silu(__m512 x) {
    using namespace math_detail;
    return _mm512_div_ps(x, _mm512_add_ps(splat(1.0f), exp(negate(x))));
}

#endif  // __AVX512F__

// Applies an activation to a float or a __m512. A code outside the list acts as kActivationNone: codes are
// checked where a plan is made.
template <typename T>
FILIGREE_MATH T activate(std::int32_t code, T x) {
    switch (code) {
        case kActivationRelu:
            return relu(x);
        case kActivationReluSquared:
            return relu_squared(x);
        case kActivationGeluTanh:
            return gelu_tanh(x);
        case kActivationGeluErf:
            return gelu_erf(x);
        case kActivationSilu:
            return silu(x);
        default:
            return x;
    }
}

}  // namespace filigree
