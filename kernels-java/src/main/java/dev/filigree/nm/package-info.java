/** N:M sparse GEMM in f32: {@link dev.filigree.nm.Nm} plans it. */
package dev.filigree.nm;
