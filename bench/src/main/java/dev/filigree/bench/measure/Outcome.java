package dev.filigree.bench.measure;

/** What became of a contender in a measurement. */
public sealed interface Outcome {

    /**
     * It ran to the end.
     *
     * @param timing of it
     */
    record Timed(Timing timing) implements Outcome {}

    /**
     * It threw.
     *
     * @param error what it said
     */
    record Failed(String error) implements Outcome {}
}
