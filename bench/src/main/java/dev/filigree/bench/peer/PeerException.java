package dev.filigree.bench.peer;

/** A peer that cannot run here, or has failed; the message says why in one line. */
public final class PeerException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** @param message what to show instead of figures */
    public PeerException(String message) {
        super(message);
    }

    /**
     * With a cause.
     *
     * @param message what to show instead of figures
     * @param cause of it
     */
    public PeerException(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * Checks a number of threads.
     *
     * @throws PeerException if a library does not use as many threads as it was told
     */
    public static void requireThreads(int asked, int used) {
        if (used != asked) {
            throw new PeerException("told to use " + asked + " threads, it uses " + used);
        }
    }
}
