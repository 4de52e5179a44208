/*
 * out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, bf16 with f32 sums.
 *
 * The loops are those of attention_block_avx512.h over words of two bf16: vdpbf16ps is a multiply-add that takes two
 * elements of the sum at a time. Weights are rounded to bf16 where their scores were, 32 of them to each vector, and
 * added up by the same instruction: so a step has half the multiply-adds of f32 for the same scores, and one addition
 * for 32 weights.
 */
#include "cpu/attention/attention_block_bf16_avx512.h"

namespace filigree {

void attention_block_bf16_avx512(const BlockCall<uint16_t> &call) { run_items<Bf16Block>(call); }

} // namespace filigree
