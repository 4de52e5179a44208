package dev.filigree.bench.report;

/**
 * A paragraph of plain text.
 *
 * @param tone how it is set off
 * @param text without markup
 */
public record Prose(Tone tone, String text) implements Block {

    /** How a paragraph is meant. */
    public enum Tone {
        /** Running text. */
        PLAIN,
        /** What limits the figures beside it. */
        NOTE,
        /** Something went wrong. */
        FAILURE
    }

    /** Running text. */
    public static Prose of(String text) {
        return new Prose(Tone.PLAIN, text);
    }

    /** What limits the figures beside it. */
    public static Prose note(String text) {
        return new Prose(Tone.NOTE, text);
    }

    /** Something went wrong. */
    public static Prose failure(String text) {
        return new Prose(Tone.FAILURE, text);
    }
}
