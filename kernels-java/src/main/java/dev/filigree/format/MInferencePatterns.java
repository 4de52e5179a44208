package dev.filigree.format;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The pattern of each attention head of a model, as the files of MInference (Jiang et al., arXiv 2407.02490) have them:
 *
 * <pre>{@code
 * [{"0": ["vertical_and_slash", 1000, 6096, 0.96], "1": ["stream_llm", 100, 800, 0.91], ...}, ...]
 * }</pre>
 *
 * <p>An array with an object for each layer, in which each head, by its number, has the name of its pattern, two
 * numbers, and a score: {@code vertical_and_slash} a {@link HeadPattern.VerticalSlash}, {@code stream_llm} or
 * {@code a_shape} a {@link HeadPattern.Streaming}, {@code block_sparse} a {@link HeadPattern.BlockSparse}. The heads of
 * a layer may come in any order; none may be missing below the last.
 *
 * <p>Immutable and thread-safe.
 */
public final class MInferencePatterns {

    /** More heads than any model has: a file of another kind should not make an array of its largest number. */
    private static final int MAX_HEADS = 1 << 14;

    private final List<List<HeadPattern>> layers;

    private MInferencePatterns(List<List<HeadPattern>> layers) {
        this.layers = List.copyOf(layers);
    }

    /**
     * Reads a file.
     *
     * @throws IOException if the file cannot be read
     * @throws MatrixFormatException if it is malformed; the message has the line, the column, the layer and the head
     */
    public static MInferencePatterns read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file.toString());
        }
    }

    /**
     * Reads a stream to its end, without closing it. No buffering is needed.
     *
     * @param in the bytes of a file
     * @param name what messages call it
     * @throws IOException if the stream cannot be read
     * @throws MatrixFormatException if it is malformed
     */
    public static MInferencePatterns read(InputStream in, String name) throws IOException {
        JsonScanner json = new JsonScanner(in, name);
        json.begin('[', "an array of layers");
        List<List<HeadPattern>> layers = new ArrayList<>();
        while (json.hasNext(']', layers.isEmpty())) {
            String layer = "layer " + layers.size();
            json.context(layer);
            layers.add(readLayer(json, layer));
            json.context("after " + layer);
        }
        json.end();
        return new MInferencePatterns(layers);
    }

    private static List<HeadPattern> readLayer(JsonScanner json, String layer) throws IOException {
        json.begin('{', "an object of heads");
        HeadPattern[] heads = new HeadPattern[0];
        int count = 0;
        for (; json.hasNext('}', count == 0); count++) {
            json.context(layer);
            int head = headNumber(json);
            if (head >= heads.length) {
                heads = Arrays.copyOf(heads, head + 1);
            }
            if (heads[head] != null) {
                throw json.malformed("head " + head + " is there twice");
            }
            json.context(layer + ", head " + head);
            heads[head] = readPattern(json);
        }
        json.context(layer);
        if (count < heads.length) {
            throw json.malformed("head " + Arrays.asList(heads).indexOf(null) + " is missing: the last one is "
                + (heads.length - 1));
        }
        return List.of(heads);
    }

    private static int headNumber(JsonScanner json) throws IOException {
        String name = json.name("the number of a head between quotes");
        // Three digits more than needed, and none that an int cannot hold.
        if (!name.matches("0|[1-9][0-9]{0,7}") || Integer.parseInt(name) >= MAX_HEADS) {
            throw json.malformed("head \"" + name + "\" is not a number in 0.." + (MAX_HEADS - 1));
        }
        return Integer.parseInt(name);
    }

    private static HeadPattern readPattern(JsonScanner json) throws IOException {
        json.begin('[', "the array of a pattern");
        String name = json.string("the name of a pattern");
        HeadPattern pattern = switch (name) {
            case "vertical_and_slash" -> new HeadPattern.VerticalSlash(
                count(json, "the number of verticals", 0), count(json, "the number of slashes", 0), score(json));
            case "stream_llm", "a_shape" -> new HeadPattern.Streaming(
                count(json, "the number of first keys", 0), count(json, "the window", 1), score(json));
            case "block_sparse" -> new HeadPattern.BlockSparse(
                count(json, "the first number", 0), count(json, "the second number", 0), score(json));
            default -> throw json.malformed("pattern \"" + name + "\" is unknown; known are vertical_and_slash, "
                + "stream_llm, a_shape and block_sparse");
        };
        if (json.hasNext(']', false)) {
            throw json.malformed("a pattern has a name and three numbers, this one has more");
        }
        return pattern;
    }

    private static int count(JsonScanner json, String what, int least) throws IOException {
        json.comma(what);
        return json.integer(what, least, Integer.MAX_VALUE);
    }

    private static double score(JsonScanner json) throws IOException {
        json.comma("the score");
        return json.decimal("the score");
    }

    /** Layers of the model. */
    public int layers() {
        return layers.size();
    }

    /**
     * The patterns of a layer, by query head; empty if the file has none for it.
     *
     * @throws IndexOutOfBoundsException if there is no such layer
     */
    public List<HeadPattern> layer(int layer) {
        return layers.get(layer);
    }

    @Override
    public String toString() {
        return "MInferencePatterns[" + layers.size() + " layers, "
            + layers.stream().mapToInt(List::size).sum() + " heads]";
    }
}
