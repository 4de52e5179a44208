/**
 * What a backend implements: a {@link dev.filigree.spi.KernelProvider} with one kernel interface an operation,
 * and the packed formats that all backends read. Not for users of the library; it may change with every release.
 */
package dev.filigree.spi;
