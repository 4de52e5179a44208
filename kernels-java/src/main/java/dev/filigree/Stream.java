package dev.filigree;

/**
 * An ordered queue of device work. Runs submitted to one stream execute in the order of submission.
 *
 * <p>Obtained from the module that owns the device. Thread-safe for submission; {@link #close()} is idempotent and
 * waits for what was submitted.
 */
public interface Stream extends AutoCloseable {

    /** The device memory whose operands this stream may touch. */
    Memory memory();

    /**
     * Blocks until everything submitted so far has completed.
     *
     * @throws NativeException if the work failed on the device
     */
    void synchronize();

    /** Waits for what was submitted, then frees the stream. A second call does nothing. */
    @Override
    void close();
}
