package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.KeySelection;
import dev.filigree.suite.attention.DecodeCase;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One token of a long sequence that attends over a share of its keys.
 *
 * @param seq keys
 * @param heads query heads
 * @param kvHeads key heads
 * @param dim head dimension
 * @param page tokens of a page of the cache
 * @param block tokens of a block that is selected or not
 * @param density the share of blocks that each key head selects
 * @param dtype of the cache
 * @param seed of everything
 */
record DecodeProblem(int seq, int heads, int kvHeads, int dim, int page, int block, double density, DType dtype,
        long seed) {

    /** The same over a cache of another dtype. */
    DecodeProblem in(DType other) {
        return new DecodeProblem(seq, heads, kvHeads, dim, page, block, density, other, seed);
    }

    /** Keys and values. */
    long cacheBytes() {
        return 2L * dtype.bytes() * kvHeads * seq * dim;
    }

    /** All keys selected. */
    DecodeCase dense() {
        return with(null);
    }

    private DecodeCase with(int[][][] lists) {
        return new DecodeCase(seed, dtype, new int[] {seq}, heads, kvHeads, dim, page, block, lists,
            AttentionOptions.defaults(), false);
    }

    /**
     * One selection after the other, which together select every block about once: runs that take
     * them in turn find in memory what they read, as all of the cache has been read in between.
     */
    List<DecodeCase> sparse() {
        if (density == 1) {
            return List.of(dense());
        }
        int blocks = Math.ceilDiv(seq, block);
        int wanted = Math.max(1, (int) Math.round(density * blocks));
        int[][] orders = new int[kvHeads][];
        for (int head = 0; head < kvHeads; head++) {
            orders[head] = drawn(blocks, new SplittableRandom(seed * 31 + head));
        }
        List<DecodeCase> turns = new ArrayList<>();
        for (int first = 0; first + wanted <= blocks; first += wanted) {
            int[][][] lists = new int[1][kvHeads][];
            for (int head = 0; head < kvHeads; head++) {
                lists[0][head] = Arrays.copyOfRange(orders[head], first, first + wanted);
                Arrays.sort(lists[0][head]);
            }
            turns.add(with(lists));
        }
        return turns;
    }

    private static int[] drawn(int count, SplittableRandom random) {
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    static KeySelection selection(DecodeCase test) {
        return test.lists() == null ? KeySelection.all() : KeySelection.blocks(test.blockKeys(), test.lists());
    }

    /** Keys that the heads of a case select, all together. */
    static long selected(DecodeCase test) {
        int length = test.lengths()[0];
        if (test.lists() == null) {
            return (long) length * test.kvHeads();
        }
        return Arrays.stream(test.lists()[0]).flatMapToInt(Arrays::stream)
            .mapToLong(i -> Math.min(test.blockKeys(), length - i * test.blockKeys())).sum();
    }
}
