package dev.filigree.bench.onnx;

/** A stream is not an ONNX model, or not one that can be used; the message is one line that begins with its name. */
public final class OnnxFormatException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** Reports what is wrong with a source. */
    public OnnxFormatException(String source, String reason) {
        super(source + ": " + reason);
    }

    OnnxFormatException(String source, String reason, Throwable cause) {
        super(source + ": " + reason, cause);
    }
}
