package dev.filigree.format;

/**
 * The kind of mask that suits one attention head of a model, found offline, as MInference (Jiang et al., arXiv
 * 2407.02490) calls them. The numbers are those of its files: {@link MInferencePatterns} reads them,
 * {@code dev.filigree.attention.MInference} makes masks of them. Immutable.
 */
public sealed interface HeadPattern {

    /** How well the pattern did in the search that found it; what it measures depends on the search. */
    double score();

    /**
     * Some keys for every query, and keys at some distances before it: which ones depends on the queries and keys.
     *
     * @param verticals how many keys, at least 0
     * @param slashes how many distances, at least 0
     * @param score see {@link HeadPattern#score()}
     */
    record VerticalSlash(int verticals, int slashes, double score) implements HeadPattern {
        /** Checks the numbers. */
        public VerticalSlash {
            requireCount("verticals", verticals, 0);
            requireCount("slashes", slashes, 0);
        }
    }

    /**
     * The first keys and the nearest ones: the A shape.
     *
     * @param sinks first keys, at least 0
     * @param window keys up to the query's own position, at least 1
     * @param score see {@link HeadPattern#score()}
     */
    record Streaming(int sinks, int window, double score) implements HeadPattern {
        /** Checks the numbers. */
        public Streaming {
            requireCount("sinks", sinks, 0);
            requireCount("window", window, 1);
        }
    }

    /**
     * The blocks that score best, chosen from the means of the queries and keys of each block. The files have two
     * numbers here that MInference's own kernels do not look at: they take 100 blocks for each block row.
     *
     * @param first the first number, at least 0
     * @param second the second number, at least 0
     * @param score see {@link HeadPattern#score()}
     */
    record BlockSparse(int first, int second, double score) implements HeadPattern {
        /** Checks the numbers. */
        public BlockSparse {
            requireCount("first", first, 0);
            requireCount("second", second, 0);
        }
    }

    private static void requireCount(String name, int value, int least) {
        if (value < least) {
            throw new IllegalArgumentException(name + " = " + value + " is less than " + least);
        }
    }
}
