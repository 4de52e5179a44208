package dev.filigree.internal.ffi;

/** One attempt to load a library failed. It never leaves the loader, which turns it into a value. */
final class LoadException extends Exception {

    private static final long serialVersionUID = 1L;

    private final String cure;

    LoadException(String reason, String cure) {
        super(reason);
        this.cure = cure;
    }

    String cure() {
        return cure;
    }
}
