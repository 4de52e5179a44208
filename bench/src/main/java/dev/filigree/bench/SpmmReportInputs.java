package dev.filigree.bench;

import dev.filigree.bench.minilm.MiniLm;
import dev.filigree.bench.minilm.Projection;
import dev.filigree.bench.minilm.Tokens;
import dev.filigree.bench.onnx.OnnxFormatException;
import dev.filigree.bench.onnx.WeightMatrix;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * The weights and activations of the SpMM section: real ones, or drawn ones of the same shapes where the real ones
 * cannot be had, which {@link #provenance} then says.
 *
 * @param projections the linear maps of all layers
 * @param activations what goes into them, by the names of their inputs
 * @param provenance what the inputs are, in sentences
 * @param real whether the activations are those of real text
 */
record SpmmReportInputs(List<Projection> projections, Map<String, Tokens> activations, String provenance,
        boolean real) {

    private static final int DRAWN_TOKENS = 256;
    private static final int HIDDEN = 384;
    private static final int INTERMEDIATE = 1536;
    private static final int LAYERS = 6;
    /** About that of the model's weights. */
    private static final double DEVIATION = 0.05;

    static SpmmReportInputs load(long seed) {
        MiniLm model;
        try {
            model = MiniLm.load();
        } catch (IOException | OnnxFormatException e) {
            return drawn(seed, e.getMessage());
        }
        try {
            Map<String, Tokens> activations = model.inputs(model.projections());
            int tokens = activations.values().iterator().next().count();
            return new SpmmReportInputs(model.projections(), activations, "Weights: the attention and feed-forward "
                + "projections of all-MiniLM-L6-v2 (6 layers, 384 and 1536 features, f32). Activations: what ONNX "
                + "Runtime feeds to these projections for twenty English sentences, " + tokens
                + " tokens in all; N of them go into a product.", true);
        } catch (IOException | MiniLm.ActivationsException e) {
            return new SpmmReportInputs(model.projections(), drawnActivations(model.projections(), seed),
                "Weights: the attention and feed-forward projections of all-MiniLM-L6-v2. There are no real "
                    + "activations (" + e.getMessage() + "): they are drawn from a normal distribution. Times and "
                    + "errors stand; what pruning costs is not shown.", false);
        }
    }

    /** Without a model. */
    static SpmmReportInputs drawn(long seed, String reason) {
        List<Projection> projections = drawnProjections(seed);
        return new SpmmReportInputs(projections, drawnActivations(projections, seed), "The model cannot be read here ("
            + reason + "): weights and activations of its shapes are drawn from a normal distribution. Times and "
            + "errors stand; what pruning costs is not shown.", false);
    }

    private static List<Projection> drawnProjections(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<Projection> projections = new ArrayList<>();
        for (int layer = 0; layer < LAYERS; layer++) {
            for (Projection.Role role : Projection.Role.values()) {
                int rows = role == Projection.Role.UP ? INTERMEDIATE : HIDDEN;
                int cols = role == Projection.Role.DOWN ? INTERMEDIATE : HIDDEN;
                String name = "layer " + layer + " " + role.label();
                projections.add(new Projection(layer, role,
                    new WeightMatrix(name, rows, cols, normal(random, rows * cols, DEVIATION)), name + " in",
                    name + " out"));
            }
        }
        return projections;
    }

    private static Map<String, Tokens> drawnActivations(List<Projection> projections, long seed) {
        Map<String, Tokens> activations = new HashMap<>();
        for (Projection projection : projections) {
            int features = projection.weights().cols();
            activations.computeIfAbsent(projection.input(), name -> new Tokens(DRAWN_TOKENS, features,
                normal(new SplittableRandom(seed ^ name.hashCode()), DRAWN_TOKENS * features, 1)));
        }
        return activations;
    }

    private static float[] normal(RandomGenerator random, int count, double deviation) {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) random.nextGaussian(0, deviation);
        }
        return numbers;
    }
}
