package dev.filigree.bench.minilm;

/**
 * Activations, token-major: a row of features for each token.
 *
 * @param count of tokens
 * @param features of each
 * @param data {@code count * features} elements, not copied
 */
public record Tokens(int count, int features, float[] data) {

    /** Checks the length. */
    public Tokens {
        if (data.length != (long) count * features) {
            throw new IllegalArgumentException(
                count + " tokens of " + features + " features need another length than " + data.length);
        }
    }
}
