package dev.filigree.bench.minilm;

import dev.filigree.bench.onnx.OnnxFormatException;
import dev.filigree.bench.onnx.OnnxGraph;
import dev.filigree.bench.onnx.OnnxReader;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * all-MiniLM-L6-v2 (Wang et al., "MiniLM", 2020), as the embeddings artifact on the class path carries it: six encoder
 * layers, hidden size 384, intermediate size 1536, f32.
 */
public final class MiniLm {

    private static final String MODEL = "/all-minilm-l6-v2.onnx";
    private static final String TOKENIZER = "/all-minilm-l6-v2-tokenizer.json";
    private static final String SENTENCES = "sentences.txt";
    private static final int HIDDEN = 384;
    private static final int INTERMEDIATE = 1536;

    private final byte[] model;
    private final OnnxGraph graph;
    private final List<Projection> projections;

    private MiniLm(byte[] model) throws IOException {
        this.model = model;
        graph = OnnxReader.read(MODEL, new ByteArrayInputStream(model));
        projections = projections(MODEL, graph, HIDDEN, INTERMEDIATE);
    }

    /**
     * Reads the model's weights.
     *
     * @throws IOException if the model is not there or cannot be read
     * @throws OnnxFormatException if it is not what its name says
     */
    public static MiniLm load() throws IOException {
        try (InputStream in = resource(MODEL)) {
            return new MiniLm(in.readAllBytes());
        }
    }

    /** Reads the model's tokenizer. */
    static WordPiece tokenizer() throws IOException {
        try (InputStream in = resource(TOKENIZER);
                BufferedReader reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
            return WordPiece.read(TOKENIZER, reader);
        }
    }

    /** The sentences that the report feeds to the model. */
    static List<String> sentences() throws IOException {
        try (InputStream in = resource(SENTENCES)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().filter(s -> !s.isBlank()).toList();
        }
    }

    private static InputStream resource(String name) throws IOException {
        InputStream in = MiniLm.class.getResourceAsStream(name);
        if (in == null) {
            throw new IOException("no resource " + name + " on the class path");
        }
        return in;
    }

    /** Every projection, in the order in which they run. */
    public List<Projection> projections() {
        return projections;
    }

    /**
     * Runs the model on the report's sentences, one after the other and so without padding, and returns what goes into
     * projections, by the names of their inputs.
     *
     * @param wanted the projections whose inputs are kept
     * @throws ActivationsException if ONNX Runtime does not run here
     * @throws IOException if the tokenizer or the sentences cannot be read
     */
    public Map<String, Tokens> inputs(List<Projection> wanted) throws IOException {
        return values(wanted.stream().map(Projection::input).collect(Collectors.toCollection(TreeSet::new)));
    }

    /**
     * What the model adds to the outputs of a projection: the difference between the sum and the product, for the first
     * token of the report's sentences.
     *
     * @throws ActivationsException if ONNX Runtime does not run here
     * @throws OnnxFormatException if nothing is added to them
     * @throws IOException if the tokenizer or the sentences cannot be read
     */
    public float[] bias(Projection projection) throws IOException {
        String sum = graph.nodes().stream()
            .filter(node -> node.type().equals("Add") && node.inputs().contains(projection.output()))
            .map(node -> node.outputs().getFirst()).findFirst()
            .orElseThrow(() -> new OnnxFormatException(MODEL, "nothing is added to " + projection.output()));
        Map<String, Tokens> values = values(Set.of(projection.output(), sum));
        float[] bias = new float[projection.weights().rows()];
        for (int i = 0; i < bias.length; i++) {
            bias[i] = values.get(sum).data()[i] - values.get(projection.output()).data()[i];
        }
        return bias;
    }

    /** As {@link #inputs}, for values of any name. */
    Map<String, Tokens> values(Set<String> names) throws IOException {
        WordPiece tokenizer = tokenizer();
        List<long[]> sentences = sentences().stream().map(tokenizer::encode).toList();
        try {
            return ModelRun.values(model, names, sentences);
        } catch (LinkageError | RuntimeException e) {
            // No library for this platform, or a folder for temporary files from which nothing may be loaded.
            Throwable cause = e;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            throw new ActivationsException("ONNX Runtime does not start here: " + cause, e);
        }
    }

    /** Why there are no activations, in one line. */
    public static final class ActivationsException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        ActivationsException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /**
     * Finds the layers of a model by the sizes of its products and by what they read.
     *
     * @throws OnnxFormatException if the products are not those of encoder layers
     */
    static List<Projection> projections(String source, OnnxGraph graph, int hidden, int intermediate) {
        List<OnnxGraph.Product> products = graph.products();
        Projection.Role[] roles = Projection.Role.values();
        List<Projection> projections = new ArrayList<>();
        for (OnnxGraph.Product product : products) {
            Projection.Role role = roles[projections.size() % roles.length];
            int rows = role == Projection.Role.UP ? intermediate : hidden;
            int cols = role == Projection.Role.DOWN ? intermediate : hidden;
            boolean readsTheQuerysInput = switch (role) {
                case KEY, VALUE -> product.input().equals(
                    projections.get(projections.size() - role.ordinal()).input());
                default -> true;
            };
            if (product.weights().rows() != rows || product.weights().cols() != cols || !readsTheQuerysInput) {
                throw new OnnxFormatException(source, "product " + product.output() + " with "
                    + product.weights() + " is not the " + role.label() + " projection of an encoder layer");
            }
            projections.add(Projection.of(projections.size() / roles.length, role, product));
        }
        if (projections.isEmpty() || projections.size() % roles.length != 0) {
            throw new OnnxFormatException(source, projections.size() + " products with constant matrices are not "
                + roles.length + " for each of some encoder layers");
        }
        return List.copyOf(projections);
    }
}
