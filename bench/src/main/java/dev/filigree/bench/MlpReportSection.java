package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.minilm.MiniLm;
import dev.filigree.bench.minilm.Projection;
import dev.filigree.bench.minilm.Tokens;
import dev.filigree.bench.onnx.OnnxFormatException;
import dev.filigree.bench.onnx.WeightMatrix;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpCalibration;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/** What skipping neurons of a real MLP costs and saves: MiniLM's GELU layers on the tokens of real sentences. */
final class MlpReportSection implements ReportSection {

    private static final List<Integer> QUICK_LAYERS = List.of(2);
    private static final List<Integer> LAYERS = List.of(0, 2, 5);
    private static final double[] TARGETS = {0.02, 0.05, 0.1, 0.2, 0.4};
    /** Every other token calibrates; of the rest, as many are measured. */
    private static final int TOKENS = 40;
    private static final double TOLERANCE = 1e-5;

    private final List<List<String>> rows = new ArrayList<>();
    private final List<JsonObject> cases = new ArrayList<>();
    private int checked;
    private int failures;

    @Override
    public String title() {
        return "Contextual sparsity: the MLPs of MiniLM-L6";
    }

    @Override
    public Section run(Context context) throws IOException {
        MiniLm model;
        try {
            model = MiniLm.load();
        } catch (IOException | OnnxFormatException e) {
            return new Section(title(), List.of(Prose.note("Not measured: the model cannot be read here ("
                + e.getMessage() + "), and which neurons drawn tokens need says nothing.")), List.of(), 0, 0);
        }
        SideBySide.Settings settings = context.quick()
            ? new SideBySide.Settings(5, Duration.ofMillis(120), Duration.ofMillis(1))
            : new SideBySide.Settings(15, Duration.ofMillis(500), Duration.ofMillis(2));
        List<Integer> layers = context.quick() ? QUICK_LAYERS : LAYERS;
        try (Workers alone = Workers.of(1); Progress progress = new Progress("mlp", layers.size() * TARGETS.length)) {
            for (int layer : layers) {
                measure(model, layer, MlpOptions.defaults().workers(alone), settings, progress);
            }
        } catch (MiniLm.ActivationsException e) {
            return new Section(title(), List.of(Prose.note("Not measured: " + e.getMessage() + ".")), List.of(), 0, 0);
        }
        List<Block> blocks = new ArrayList<>();
        blocks.add(Prose.of("Up and down projections (384 to 1536 to 384 features, GELU) and the up projection's bias, "
            + "f32, one token at a time on one thread, from the cache. Half of the tokens of twenty sentences find the "
            + "threshold for a target CETT; error, cosine and active share are those of other tokens. By threshold, "
            + "values are computed for all neurons and the down projection skips; by list, which neurons matter is "
            + "known beforehand, as a perfect predictor would say. The dense path is the same kernel over all neurons."));
        blocks.add(new DataTable("Quality against speed", List.of("layer", "target CETT", "CETT", "cosine",
            "active", "dense us", "by threshold us", "speed over dense", "by list us", "speed over dense "), rows));
        return new Section(title(), blocks, cases, checked, failures);
    }

    private void measure(MiniLm model, int layer, MlpOptions options, SideBySide.Settings settings, Progress progress)
            throws IOException {
        Projection up = projection(model, layer, Projection.Role.UP);
        Projection down = projection(model, layer, Projection.Role.DOWN);
        MlpWeights weights = MlpWeights.plain(RowMatrix.of(dense(up.weights())),
            RowMatrix.ofTransposed(dense(down.weights()), DType.F32), Activation.GELU_ERF,
            MlpWeights.Order.NEURON_MAJOR).withBiases(null, model.bias(up), null);
        Tokens tokens = model.inputs(List.of(up)).get(up.input());
        DenseMatrix known = everyOther(tokens, 0);
        DenseMatrix fresh = everyOther(tokens, 1);
        for (double target : TARGETS) {
            progress.at("layer " + layer + ", CETT " + target);
            MlpCalibration.Calibrated found =
                MlpCalibration.calibrate(weights, MlpCalibration.Rule.NEURON, known, target, options);
            compare(layer, target, weights, found, fresh, options, settings);
            progress.step();
        }
    }

    private static Projection projection(MiniLm model, int layer, Projection.Role role) {
        return model.projections().stream().filter(p -> p.layer() == layer && p.role() == role).findFirst()
            .orElseThrow();
    }

    private static DenseMatrix dense(WeightMatrix weights) {
        return DenseMatrix.of(weights.data(), weights.rows(), weights.cols());
    }

    private static DenseMatrix everyOther(Tokens tokens, int first) {
        int count = Math.min(TOKENS, tokens.count() / 2);
        float[] data = new float[count * tokens.features()];
        for (int t = 0; t < count; t++) {
            System.arraycopy(tokens.data(), (2 * t + first) * tokens.features(), data, t * tokens.features(),
                tokens.features());
        }
        return DenseMatrix.of(data, count, tokens.features());
    }

    private void compare(int layer, double target, MlpWeights weights, MlpCalibration.Calibrated found,
            DenseMatrix tokens, MlpOptions options, SideBySide.Settings settings) {
        try (Path dense = new Path("dense", weights, new Skipping.None(), List.of(), tokens, options);
                Path byRule = new Path("threshold", weights, found.skipping(), List.of(), tokens, options);
                Path byList = new Path("list", weights, new Skipping.None(),
                    lists(weights, found.skipping(), tokens), tokens, options)) {
            List<Path> paths = List.of(dense, byRule, byList);
            paths.forEach(Path::runAll);
            Quality quality = Quality.of(dense, byRule);
            List<Outcome> outcomes = new SideBySide(settings).measure(paths, () -> {});
            double[] micros = new double[paths.size()];
            JsonArray results = new JsonArray();
            for (int i = 0; i < micros.length; i++) {
                micros[i] = outcomes.get(i) instanceof Outcome.Timed timed
                    ? 1000 * timed.timing().medianMillis() : Double.NaN;
                double error = paths.get(i) == byRule ? 0 : paths.get(i).relativeError();
                checked += paths.get(i) == byRule ? 0 : 1;
                failures += Double.isNaN(micros[i]) || !(error <= TOLERANCE) ? 1 : 0;
                results.add(result(paths.get(i), micros[i], error));
            }
            rows.add(List.of(Integer.toString(layer), format("%.2f", target), format("%.4f", quality.cett),
                format("%.5f", quality.cosine), format("%.3f", quality.active), format("%.1f", micros[0]),
                format("%.1f", micros[1]), format("%.2f", micros[0] / micros[1]), format("%.1f", micros[2]),
                format("%.2f", micros[0] / micros[2])));
            cases.add(json(layer, target, found, quality, weights, results));
        }
    }

    /** The neurons that a rule leaves to each token, by an MLP in double. */
    private static List<ActiveSet> lists(MlpWeights weights, Skipping skipping, DenseMatrix tokens) {
        float threshold = ((Skipping.Neuron) skipping).threshold();
        float[] norms = weights.down().rowNorms();
        double[] values = MlpDoubles.values(weights, new Skipping.None(), tokens);
        return IntStream.range(0, tokens.rows()).mapToObj(t -> {
            ActiveSet set = new ActiveSet(weights.intermediate(), 1);
            for (int i = 0; i < weights.intermediate(); i++) {
                if (values[t * weights.intermediate() + i] * norms[i] >= threshold) {
                    set.add(0, i);
                }
            }
            return set;
        }).toList();
    }

    private static JsonObject result(Path path, double micros, double error) {
        JsonObject json = new JsonObject();
        json.addProperty("name", ContenderResult.OURS + path.name);
        json.addProperty("median_ms", Json.rounded(micros / 1000));
        json.addProperty("max_rel_err", Json.rounded(error));
        json.addProperty("kernel", path.kernel());
        return json;
    }

    private static JsonObject json(int layer, double target, MlpCalibration.Calibrated found, Quality quality,
            MlpWeights weights, JsonArray results) {
        JsonObject of = new JsonObject();
        of.addProperty("model", "MiniLM-L6");
        of.addProperty("layer", layer);
        of.addProperty("hidden", weights.hidden());
        of.addProperty("intermediate", weights.intermediate());
        of.addProperty("activation", "gelu");
        of.addProperty("tokens", 1);
        of.addProperty("dtype", "f32");
        of.addProperty("threads", 1);
        of.addProperty("target_cett", target);
        of.addProperty("calibrated_cett", Json.rounded(found.cett()));
        of.addProperty("cett", Json.rounded(quality.cett));
        of.addProperty("cosine", Json.rounded(quality.cosine));
        of.addProperty("active", Json.rounded(quality.active));
        of.addProperty("sparsity", Json.rounded(1 - quality.active));
        JsonObject json = new JsonObject();
        json.addProperty("op", "mlp");
        json.add("case", of);
        json.add("results", results);
        return json;
    }

    private static String format(String format, double x) {
        return Double.isNaN(x) ? "-" : String.format(Locale.ROOT, format, x);
    }

    /** Means over tokens. */
    private record Quality(double cett, double cosine, double active) {

        static Quality of(Path dense, Path skipping) {
            double cett = 0;
            double cosine = 0;
            for (int t = 0; t < dense.outputs.rows(); t++) {
                double difference = 0;
                double all = 0;
                double some = 0;
                double both = 0;
                for (int c = 0; c < dense.outputs.cols(); c++) {
                    double x = dense.outputs.get(t, c);
                    double y = skipping.outputs.get(t, c);
                    difference += (x - y) * (x - y);
                    all += x * x;
                    some += y * y;
                    both += x * y;
                }
                cett += Math.sqrt(difference / all);
                cosine += some == 0 ? 0 : both / Math.sqrt(all * some);
            }
            int tokens = dense.outputs.rows();
            return new Quality(cett / tokens, cosine / tokens,
                (double) skipping.rowsRead / tokens / skipping.plan.weights().intermediate());
        }
    }

    /** A plan that takes tokens in turn. */
    private static final class Path implements Contender {
        private final String name;
        private final MlpPlan plan;
        private final List<ActiveSet> lists;
        private final List<DenseMatrix> inputs = new ArrayList<>();
        private final DenseMatrix tokens;
        private final DenseMatrix outputs;
        private final DenseMatrix output;
        private long rowsRead;
        private int next;

        Path(String name, MlpWeights weights, Skipping skipping, List<ActiveSet> lists, DenseMatrix tokens,
                MlpOptions options) {
            this.name = name;
            this.lists = lists;
            this.tokens = tokens;
            plan = Mlp.plan(weights, skipping, options);
            outputs = DenseMatrix.of(new float[tokens.rows() * tokens.cols()], tokens.rows(), tokens.cols());
            output = DenseMatrix.of(new float[tokens.cols()], 1, tokens.cols());
            for (int t = 0; t < tokens.rows(); t++) {
                float[] row = new float[tokens.cols()];
                for (int c = 0; c < row.length; c++) {
                    row[c] = tokens.get(t, c);
                }
                inputs.add(DenseMatrix.of(row, 1, row.length));
            }
        }

        void runAll() {
            for (int t = 0; t < inputs.size(); t++) {
                rowsRead += run(t);
                for (int c = 0; c < outputs.cols(); c++) {
                    outputs.set(t, c, output.get(0, c));
                }
            }
        }

        private long run(int token) {
            return lists.isEmpty() ? plan.run(inputs.get(token), output)
                : plan.run(inputs.get(token), lists.get(token), output);
        }

        double relativeError() {
            ActiveSet all = new ActiveSet(plan.weights().intermediate(), tokens.rows());
            for (int t = 0; t < tokens.rows(); t++) {
                for (int i = 0; i < all.units(); i++) {
                    if (lists.isEmpty() || lists.get(t).contains(0, i)) {
                        all.add(t, i);
                    }
                }
            }
            return MlpDoubles.relativeError(plan.weights(), plan.skipping(), all, tokens, outputs);
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public String kernel() {
            return plan.explain().kernel();
        }

        @Override
        public void run() {
            run(next);
            next = next + 1 == inputs.size() ? 0 : next + 1;
        }

        @Override
        public double packMillis() {
            return 0;
        }

        @Override
        public long packedBytes() {
            return plan.explain().packedBytes();
        }

        @Override
        public long residentBytes() {
            return packedBytes();
        }

        @Override
        public void close() {
            plan.close();
        }
    }
}
