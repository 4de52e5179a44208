package dev.filigree.spi;

import dev.filigree.DType;

/**
 * One kernel of a backend.
 *
 * @param id operation, format, dtype and ISA: {@code spmm_csr_f32_avx512}
 * @param operation the family: {@code spmm}
 * @param dtype storage type of the operands
 * @param isa what executes it: {@code java}, {@code java-256}, {@code avx512}, {@code sm_90a}
 * @param tile rows x columns that it holds in registers, {@code 1x64}
 */
public record KernelInfo(String id, String operation, DType dtype, String isa, String tile) {}
