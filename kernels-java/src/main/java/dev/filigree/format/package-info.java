/**
 * Sparse matrix formats, the rules that make them from dense matrices, and the readers of their files.
 *
 * <p>A format is an immutable, thread-safe value. Everything that could make a kernel misbehave is checked
 * once, when it is built; kernels and plans rely on it.
 *
 * <p>Files: {@link dev.filigree.format.SparseFiles} picks the reader; a malformed file is a
 * {@link dev.filigree.format.MatrixFormatException} whose message is one line: file, line, value.
 */
package dev.filigree.format;
