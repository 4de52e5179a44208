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
}
