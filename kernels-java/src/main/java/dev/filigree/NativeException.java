package dev.filigree;

/** A native function reported a failure: which function, its code, and the text that belongs to the code. */
public final class NativeException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String function;
    private final int code;

    /**
     * Creates the exception.
     *
     * @param function the native function that failed
     * @param code its status code
     * @param text what the code means
     */
    public NativeException(String function, int code, String text) {
        super(function + " failed with code " + code + ": " + text);
        this.function = function;
        this.code = code;
    }

    /** The native function that failed. */
    public String function() {
        return function;
    }

    /** The status code that the function returned. */
    public int code() {
        return code;
    }
}
