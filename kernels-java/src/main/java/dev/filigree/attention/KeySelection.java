package dev.filigree.attention;

import java.util.Arrays;
import java.util.Objects;

/**
 * Which keys of a cache the queries of a run see: all, or those of listed blocks of consecutive tokens, for each
 * sequence or for each key head of each sequence. A block of one token is a token. Immutable and thread-safe.
 */
public final class KeySelection {

    private static final KeySelection ALL = new KeySelection(1, 0, 0, new int[0], new long[] {0});

    private final int blockKeys;
    private final int sequences;
    private final int listHeads;
    private final int[] lists;
    private final long[] starts;

    private KeySelection(int blockKeys, int sequences, int listHeads, int[] lists, long[] starts) {
        this.blockKeys = blockKeys;
        this.sequences = sequences;
        this.listHeads = listHeads;
        this.lists = lists;
        this.starts = starts;
    }

    /** Every token of every sequence. */
    public static KeySelection all() {
        return ALL;
    }

    /**
     * The tokens of listed blocks; those behind a sequence's end do not count.
     *
     * @param blockKeys tokens of a block: block i is tokens {@code i * blockKeys} up to {@code (i + 1) * blockKeys}
     * @param blocks by sequence and key head, in ascending order; one list a sequence is for all its heads. Copied
     * @throws IllegalArgumentException if the block is less than one token, the sequences have different numbers of
     *     lists, or a list does not ascend or has a negative number
     */
    public static KeySelection blocks(int blockKeys, int[][][] blocks) {
        if (blockKeys < 1) {
            throw new IllegalArgumentException("blockKeys = " + blockKeys + " is less than 1");
        }
        int sequences = blocks.length;
        if (sequences == 0 || blocks[0].length == 0) {
            throw new IllegalArgumentException("blocks has no list");
        }
        int heads = blocks[0].length;
        long[] starts = new long[Math.multiplyExact(sequences, heads) + 1];
        for (int b = 0; b < sequences; b++) {
            if (blocks[b].length != heads) {
                throw new IllegalArgumentException(
                    "blocks[" + b + "] has " + blocks[b].length + " lists, blocks[0] has " + heads);
            }
            for (int h = 0; h < heads; h++) {
                checkAscending(blocks[b][h], b, h);
                starts[b * heads + h + 1] = starts[b * heads + h] + blocks[b][h].length;
            }
        }
        int[] lists = new int[Math.toIntExact(starts[sequences * heads])];
        for (int list = 0; list < sequences * heads; list++) {
            int[] from = blocks[list / heads][list % heads];
            System.arraycopy(from, 0, lists, (int) starts[list], from.length);
        }
        return new KeySelection(blockKeys, sequences, heads, lists, starts);
    }

    /**
     * Listed tokens.
     *
     * @param tokens as for {@link #blocks}
     * @throws IllegalArgumentException as for {@link #blocks}
     */
    public static KeySelection tokens(int[][][] tokens) {
        return blocks(1, tokens);
    }

    private static void checkAscending(int[] list, int b, int h) {
        Objects.requireNonNull(list, "a list of blocks");
        for (int i = 0; i < list.length; i++) {
            if (list[i] < 0 || i > 0 && list[i] <= list[i - 1]) {
                throw new IllegalArgumentException("blocks[" + b + "][" + h + "][" + i + "] = " + list[i]
                    + (i == 0 ? " is negative" : " does not follow " + list[i - 1]));
            }
        }
    }

    /** Tokens of a block. */
    public int blockKeys() {
        return blockKeys;
    }

    /** 0 when all keys are selected. */
    int listHeads() {
        return listHeads;
    }

    int sequences() {
        return sequences;
    }

    int[] lists() {
        return lists;
    }

    long[] starts() {
        return starts;
    }

    /** How many tokens below a length are selected. */
    long selected(int sequence, int head, int length) {
        if (listHeads == 0) {
            return length;
        }
        int list = sequence * listHeads + (listHeads == 1 ? 0 : head);
        int begin = (int) starts[list];
        int end = (int) starts[list + 1];
        // The first block that begins at the length or behind it.
        int found = Arrays.binarySearch(lists, begin, end, Math.ceilDiv(length, blockKeys));
        int listed = (found < 0 ? -found - 1 : found) - begin;
        return listed == 0 ? 0
            : (listed - 1L) * blockKeys + Math.min(blockKeys, length - (long) lists[begin + listed - 1] * blockKeys);
    }

    @Override
    public String toString() {
        return listHeads == 0 ? "KeySelection[all]" : "KeySelection[" + lists.length + " blocks of " + blockKeys
            + " tokens in " + (starts.length - 1) + " lists]";
    }
}
