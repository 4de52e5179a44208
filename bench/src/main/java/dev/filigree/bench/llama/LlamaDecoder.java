package dev.filigree.bench.llama;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.attention.DecodePlan;
import dev.filigree.attention.KeySelection;
import dev.filigree.attention.PageTable;
import dev.filigree.attention.PagedCache;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.RowPlan;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a text, token by token, always the likeliest one next: normalised features (RMSNorm, arXiv 1910.07467), queries
 * and keys turned by their position (RoPE, arXiv 2104.09864), attention over a paged cache, and an MLP that skips. All
 * matrices go through the library. Used by one thread.
 */
public final class LlamaDecoder implements AutoCloseable {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final double NORM_EPSILON = 1e-5;
    private static final double ROTATION_BASE = 10000;
    /** Tokens of a page. */
    private static final int PAGE = 16;

    /** Sees what goes into the MLPs. */
    @FunctionalInterface
    public interface Observer {
        /** The MLP of a layer is about to read its input at a position, a row of dim features. */
        void input(int layer, int position, DenseMatrix features);
    }

    /** A layer's plans, and its keys and values. */
    private record Layer(
            RowPlan query, RowPlan key, RowPlan value, RowPlan output, MlpPlan mlp, PagedCache cache) {}

    private final LlamaModel model;
    private final LlamaCheckpoint.Shape shape;
    private final int mostTokens;
    private final Observer observer;
    private final Arena arena = Arena.ofShared();
    private final List<Layer> layers = new ArrayList<>();
    private final RowPlan classifier;
    private final DecodePlan attention;
    private final PageTable table;
    private final DenseMatrix features;
    private final DenseMatrix normed;
    private final DenseMatrix query;
    private final DenseMatrix key;
    private final DenseMatrix value;
    private final DenseMatrix attended;
    private final DenseMatrix added;
    private final DenseMatrix logits;
    /** Of the position's angles, one for each pair of a head's features. */
    private final double[] cosines;
    private final double[] sines;
    private int position;
    private long readNeurons;
    private long writtenTokens;

    /**
     * Plans.
     *
     * @param skipping of each layer's MLP
     * @param mostTokens of a text, at most the model's context
     * @param backend of all plans
     * @param team of all plans; stays open as long as this
     * @param observer or null
     */
    public LlamaDecoder(LlamaModel model, List<? extends Skipping> skipping, int mostTokens, Backend backend,
            Workers team, Observer observer) {
        this.model = model;
        this.mostTokens = mostTokens;
        this.observer = observer;
        shape = model.shape();
        MlpOptions options = MlpOptions.defaults().backend(backend).workers(team);
        int pages = Math.ceilDiv(mostTokens, PAGE);
        table = new PageTable(1, pages);
        for (int page = 0; page < pages; page++) {
            table.setPage(0, page, page);
        }
        attention = Attention.decode(DType.F32, AttentionOptions.defaults().backend(backend).workers(team));
        for (int l = 0; l < shape.layers(); l++) {
            LlamaModel.Layer from = model.layers().get(l);
            layers.add(new Layer(rows(from.query(), options), rows(from.key(), options), rows(from.value(), options),
                rows(from.output(), options), Mlp.plan(from.mlp(), skipping.get(l), options),
                PagedCache.allocate(arena, DType.F32, pages, shape.kvHeads(), PAGE, shape.headDim())));
        }
        classifier = rows(model.classifier(), options);
        features = row(shape.dim());
        normed = row(shape.dim());
        query = row(shape.dim());
        key = row(shape.kvDim());
        value = row(shape.kvDim());
        attended = row(shape.dim());
        added = row(shape.dim());
        logits = row(shape.vocabulary());
        cosines = new double[shape.headDim() / 2];
        sines = new double[cosines.length];
    }

    /** All of the rows, always. */
    private static RowPlan rows(RowMatrix matrix, MlpOptions options) {
        return Mlp.rows(matrix, matrix.rows(), options);
    }

    private DenseMatrix row(int cols) {
        return DenseMatrix.allocate(arena, DType.F32, 1, cols);
    }

    /** Writes a text from its beginning: until the model ends it, or it has as many tokens as fit. */
    public List<Integer> write() {
        position = 0;
        readNeurons = 0;
        List<Integer> tokens = new ArrayList<>();
        int token = LlamaTokenizer.BEGIN;
        while (position < mostTokens) {
            token = next(token);
            if (token == LlamaTokenizer.BEGIN) {
                break;
            }
            tokens.add(token);
        }
        writtenTokens = position;
        return tokens;
    }

    /** Reads the token at the next position; returns the likeliest one to follow. */
    int next(int token) {
        MemorySegment.copy(model.embedding().data(), (long) Float.BYTES * shape.dim() * token, features.data(), 0,
            (long) Float.BYTES * shape.dim());
        table.setLength(0, position + 1);
        turn();
        for (int l = 0; l < layers.size(); l++) {
            attend(layers.get(l), model.layers().get(l).attentionNorm());
            normalise(model.layers().get(l).mlpNorm());
            if (observer != null) {
                observer.input(l, position, normed);
            }
            readNeurons += layers.get(l).mlp.run(normed, added);
            add();
        }
        normalise(model.norm());
        classifier.project(normed, null, logits);
        position++;
        return likeliest();
    }

    private void attend(Layer layer, float[] norm) {
        normalise(norm);
        layer.query.project(normed, null, query);
        layer.key.project(normed, null, key);
        layer.value.project(normed, null, value);
        rotate(query);
        rotate(key);
        layer.cache.store(table, 0, position, heads(key, shape.kvHeads()), heads(value, shape.kvHeads()));
        attention.run(heads(query, shape.heads()), layer.cache, table, KeySelection.all(),
            heads(attended, shape.heads()), null);
        layer.output.project(attended, null, added);
        add();
    }

    private AttentionTensor heads(DenseMatrix row, int count) {
        return AttentionTensor.rowMajor(row.data(), 1, count, 1, shape.headDim());
    }

    private void normalise(float[] weights) {
        double squares = 0;
        for (int i = 0; i < weights.length; i++) {
            double x = features.data().getAtIndex(F32, i);
            squares += x * x;
        }
        double scale = 1 / Math.sqrt(squares / weights.length + NORM_EPSILON);
        for (int i = 0; i < weights.length; i++) {
            normed.data().setAtIndex(F32, i, (float) (weights[i] * (scale * features.data().getAtIndex(F32, i))));
        }
    }

    /** A pair turns with the position, the slower the farther behind it is. */
    private void turn() {
        for (int pair = 0; pair < cosines.length; pair++) {
            double angle = position * Math.pow(ROTATION_BASE, -(double) pair / cosines.length);
            cosines[pair] = Math.cos(angle);
            sines[pair] = Math.sin(angle);
        }
    }

    /** Multiplies pairs of neighbours, as complex numbers, by those of the position. */
    private void rotate(DenseMatrix row) {
        for (int i = 0; i < row.cols(); i += 2) {
            int pair = i / 2 % cosines.length;
            float real = row.data().getAtIndex(F32, i);
            float imaginary = row.data().getAtIndex(F32, i + 1);
            row.data().setAtIndex(F32, i, (float) (real * cosines[pair] - imaginary * sines[pair]));
            row.data().setAtIndex(F32, i + 1, (float) (real * sines[pair] + imaginary * cosines[pair]));
        }
    }

    private void add() {
        for (int i = 0; i < shape.dim(); i++) {
            features.data().setAtIndex(F32, i,
                features.data().getAtIndex(F32, i) + added.data().getAtIndex(F32, i));
        }
    }

    private int likeliest() {
        int best = 0;
        for (int i = 1; i < shape.vocabulary(); i++) {
            if (logits.data().getAtIndex(F32, i) > logits.data().getAtIndex(F32, best)) {
                best = i;
            }
        }
        return best;
    }

    /** The scores of the tokens that may follow the last one read. */
    DenseMatrix logits() {
        return logits;
    }

    /** The share of neurons whose rows of the down projection the last text has read. */
    public double activeShare() {
        return (double) readNeurons / ((double) writtenTokens * shape.layers() * shape.hidden());
    }

    /** The kernels of the MLPs. */
    public String kernel() {
        return layers.getFirst().mlp.explain().kernel();
    }

    /** Frees plans and memory. */
    @Override
    public void close() {
        layers.forEach(layer -> {
            layer.query.close();
            layer.key.close();
            layer.value.close();
            layer.output.close();
            layer.mlp.close();
        });
        classifier.close();
        attention.close();
        arena.close();
    }
}
