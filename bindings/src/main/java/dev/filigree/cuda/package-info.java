/**
 * CUDA devices: their memory, streams, events and graphs, as far as plans on a device need them. Bindings of the
 * NVIDIA driver, on the primary context of each device, which this process's CUDA runtime uses, too.
 *
 * <p>Every class is thread-safe. Closing twice does nothing; what is never closed is reported, not freed. A method makes
 * its device current for the calling thread. Failures of the driver are {@link dev.filigree.NativeException}s with the
 * function, the code and the driver's text.
 */
package dev.filigree.cuda;
