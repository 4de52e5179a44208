package dev.filigree.suite;

import java.util.stream.LongStream;

/**
 * Seeds of random tests. {@code -Dfiligree.tests.seed=N} replays one case alone; without it a fixed set runs, so
 * that a failure on one machine is a failure on all.
 */
public final class Seeds {

    /** The property that replays one seed. */
    public static final String PROPERTY = "filigree.tests.seed";

    private Seeds() {}

    /** The seeds of a test that wants {@code count} of them. */
    public static LongStream of(int count) {
        Long replay = Long.getLong(PROPERTY);
        return replay == null ? LongStream.range(0, count) : LongStream.of(replay);
    }
}
