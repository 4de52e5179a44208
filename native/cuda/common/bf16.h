/* bfloat16, the upper half of a float, in kernels. */
#ifndef FILIGREE_CUDA_COMMON_BF16_H
#define FILIGREE_CUDA_COMMON_BF16_H

#include "cpu/common/math.h"

namespace filigree::cuda {

FILIGREE_MATH float from_bf16(uint16_t x) { return math_detail::from_bits(static_cast<uint32_t>(x) << 16); }

/* To nearest, ties to even; a NaN stays one, made quiet. */
FILIGREE_MATH uint16_t to_bf16(float x) {
    const uint32_t bits = math_detail::bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits | 0x00400000u) >> 16);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Not zero when one of the two is an infinity or a NaN: its exponent, all ones, carries over. */
FILIGREE_MATH uint32_t infinite_or_nan(uint32_t two) {
    return ((two & 0x7f807f80u) + 0x00800080u) & 0x80008000u;
}

} // namespace filigree::cuda

#endif
