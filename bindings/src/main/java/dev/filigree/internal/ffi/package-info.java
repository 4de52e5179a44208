/**
 * How native kernels are reached: jextract's output for {@code native/include/filigree.h}, the loader of the
 * libraries, and the providers over them.
 */
package dev.filigree.internal.ffi;
