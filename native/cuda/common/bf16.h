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

} // namespace filigree::cuda

#endif
