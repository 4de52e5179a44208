package dev.filigree.bench;

/** An option or a file of the user's that cannot be used; the message is one line that names it. */
final class InputException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    InputException(String message) {
        super(message);
    }

    InputException(String message, Throwable cause) {
        super(message, cause);
    }
}
