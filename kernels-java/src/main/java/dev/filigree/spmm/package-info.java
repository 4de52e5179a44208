/**
 * Sparse-dense matrix multiplication: {@code C = act(alpha * A * B + beta * C + bias)} with a sparse A, and the
 * token-major linear layer {@code Y = act(X * W^T + bias)} with a sparse W.
 */
package dev.filigree.spmm;
