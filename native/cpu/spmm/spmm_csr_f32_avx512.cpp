#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/spmm/spmm.h"

namespace filigree {

void spmm_csr_f32_avx512(const SpmmCall &) {}

} // namespace filigree
