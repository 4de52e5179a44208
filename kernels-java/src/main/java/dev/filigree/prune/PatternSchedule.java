package dev.filigree.prune;

import dev.filigree.format.NmPattern;
import java.util.ArrayList;
import java.util.List;

/**
 * Patterns that grow sparser over equal parts of a training, down to a target (Bambhaniya et al., "Progressive Gradient
 * Flow for Robust N:M Sparsity Training in Transformers", 2024, SdGf).
 *
 * @param patterns one for each part, the target last
 */
public record PatternSchedule(List<NmPattern> patterns) {

    /**
     * Copies the list.
     *
     * @throws IllegalArgumentException if it is empty
     */
    public PatternSchedule {
        patterns = List.copyOf(patterns);
        if (patterns.isEmpty()) {
            throw new IllegalArgumentException("a schedule needs a pattern");
        }
    }

    /**
     * The group keeps its length and fewer elements: M-1:M, then half of M, a quarter, and so on down to N:M. For 1:16
     * that is 15:16, 8:16, 4:16, 2:16, 1:16.
     */
    public static PatternSchedule stepwise(NmPattern target) {
        List<NmPattern> patterns = new ArrayList<>();
        int m = target.m();
        if (m - 1 > target.n()) {
            patterns.add(new NmPattern(m - 1, m, target.vector()));
        }
        for (int n = m / 2; n > target.n(); n /= 2) {
            if (n < m - 1) {
                patterns.add(new NmPattern(n, m, target.vector()));
            }
        }
        patterns.add(target);
        return new PatternSchedule(patterns);
    }

    /**
     * The group shrinks at the same share: 8N:8M, 4N:4M, 2N:2M, N:M, from the first whose groups are no longer than
     * {@value NmPattern#MAX_M}. For 1:8 that is 8:64, 4:32, 2:16, 1:8.
     */
    public static PatternSchedule geometric(NmPattern target) {
        List<NmPattern> patterns = new ArrayList<>();
        for (int factor = 8; factor >= 1; factor /= 2) {
            if (factor * target.m() <= NmPattern.MAX_M) {
                patterns.add(new NmPattern(factor * target.n(), factor * target.m(), target.vector()));
            }
        }
        return new PatternSchedule(patterns);
    }

    /**
     * The pattern in force.
     *
     * @param progress the share of the training that is done, 0 to 1
     * @throws IllegalArgumentException if it is out of range
     */
    public NmPattern at(double progress) {
        if (!(progress >= 0 && progress <= 1)) {
            throw new IllegalArgumentException("progress = " + progress + " is not in [0, 1]");
        }
        return patterns.get((int) Math.min(patterns.size() - 1, progress * patterns.size()));
    }
}
