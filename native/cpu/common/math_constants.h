// Thresholds and polynomial coefficients of the elementwise functions. MathConstants.java holds the same
// values under the same names, and says how they were fitted; tests/math_test.cpp checks that the results
// agree.
#pragma once

namespace filigree {
namespace math_constants {

// exp(x) = 2^n exp(r), n = round(x / ln 2), r = x - n ln 2, |r| <= ln(2) / 2.

// Above it exp overflows: the largest float below ln(2^128).
constexpr float EXP_OVERFLOW = 0x1.62e42ep6f;
// Below it exp is no longer a normal float, and is flushed to 0: the smallest float above ln(2^-126).
constexpr float EXP_UNDERFLOW = -0x1.5d589ep6f;
constexpr float LOG2_E = 0x1.715476p0f;
// 1.5 * 2^23: an addend that leaves round(x / ln 2), to nearest even, in the low bits of the sum.
constexpr float ROUND_MAGIC = 0x1.8p23f;
// ln 2 in two parts; n times the high part has at most 31 bits, so the first fma is exact.
constexpr float MINUS_LN2_HIGH = -0x1.62e43p-1f;
constexpr float MINUS_LN2_LOW = 0x1.05c61p-29f;
// exp(r) = 1 + r + r^2 (C2 + ... + C6 r^4): relative error 0.05 * 2^-24 before rounding.
constexpr float EXP_C2 = 0x1.fffffcp-2f;
constexpr float EXP_C3 = 0x1.555492p-3f;
constexpr float EXP_C4 = 0x1.5558f2p-5f;
constexpr float EXP_C5 = 0x1.1239f2p-7f;
constexpr float EXP_C6 = 0x1.6a241ap-10f;
constexpr int MANTISSA_BITS = 23;

// tanh and erf: an odd polynomial below ODD_LIMIT keeps the relative error small near 0; above it
// 1 - (something at most 1/2) is as accurate, and is monotone up to exactly 1.

constexpr float ODD_LIMIT = 0.625f;
// tanh(x) = x + x^3 (C0 + C1 t + ... + C4 t^4), t = x^2: relative error 0.07 * 2^-24 before rounding.
constexpr float TANH_C0 = -0x1.555532p-2f;
constexpr float TANH_C1 = 0x1.110726p-3f;
constexpr float TANH_C2 = -0x1.b83c5ap-5f;
constexpr float TANH_C3 = 0x1.52269cp-6f;
constexpr float TANH_C4 = -0x1.75e1cep-8f;
// erf(x) = x + x (C0 + C1 t + ... + C4 t^4), t = x^2: relative error 0.2 * 2^-24 before rounding.
constexpr float ERF_C0 = 0x1.06eba6p-3f;
constexpr float ERF_C1 = -0x1.8126d2p-2f;
constexpr float ERF_C2 = 0x1.ce09f6p-4f;
constexpr float ERF_C3 = -0x1.b3fbaap-6f;
constexpr float ERF_C4 = 0x1.241596p-8f;

// erfc(x / sqrt 2) = exp(x (C0 + C1 x + ... + C7 x^7)) for x >= 0: error 0.42 * 2^-24 erfc^0.1 before
// rounding, so that the tail stays good in relative terms. Fitted on [0, 6]; the argument of exp falls
// monotonically beyond, so no clamp is needed.
constexpr float ERFC_C0 = -0x1.98847ap-1f;
constexpr float ERFC_C1 = -0x1.45ef04p-2f;
constexpr float ERFC_C2 = -0x1.2a38c6p-5f;
constexpr float ERFC_C3 = 0x1.42bba6p-8f;
constexpr float ERFC_C4 = -0x1.f867ap-14f;
constexpr float ERFC_C5 = -0x1.eb6b24p-14f;
constexpr float ERFC_C6 = 0x1.9b3a7ap-16f;
constexpr float ERFC_C7 = -0x1.cb104cp-20f;
constexpr float SQRT_2 = 0x1.6a09e6p0f;

// -2 sqrt(2/pi) and that times 0.044715: gelu-tanh(x) = x / (1 + exp(x (GELU_C0 + GELU_C1 x^2))).
constexpr float GELU_C0 = -0x1.988454p0f;
constexpr float GELU_C1 = -0x1.2444f2p-4f;

// log(x) = exponent ln 2 + 2 atanh((m - 1) / (m + 1)), in double.
constexpr double LN2 = 0x1.62e42fefa39efp-1;
// The bits of sqrt(1/2) in f32, rounded.
constexpr int SQRT_HALF_BITS = 0x3f3504f3;

}  // namespace math_constants
}  // namespace filigree
