package dev.filigree.bench.llama;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A random decoder: its files, and what it computes, in double and written out plainly.
 *
 * @param shape the sizes
 * @param shared whether the embedding is the classifier
 * @param weights in the order of the file, matrix after matrix
 */
public record TinyLlama(LlamaCheckpoint.Shape shape, boolean shared, List<float[]> weights) {

    /** Each key head has two query heads; no size is a multiple of the kernels' blocks. */
    public static TinyLlama random(boolean shared, long seed) {
        LlamaCheckpoint.Shape shape = new LlamaCheckpoint.Shape(32, 21, 3, 4, 2, 41, 19);
        SplittableRandom random = new SplittableRandom(seed);
        int dim = shape.dim();
        int layers = shape.layers();
        int[] sizes = {shape.vocabulary() * dim, layers * dim, layers * dim * dim, layers * shape.kvDim() * dim,
            layers * shape.kvDim() * dim, layers * dim * dim, layers * dim, layers * shape.hidden() * dim,
            layers * dim * shape.hidden(), layers * shape.hidden() * dim, dim, shape.context() * shape.headDim(),
            shared ? 0 : shape.vocabulary() * dim};
        List<float[]> weights = new ArrayList<>();
        for (int size : sizes) {
            float[] values = new float[size];
            for (int i = 0; i < size; i++) {
                values[i] = (float) random.nextDouble(-0.6, 0.7);
            }
            weights.add(values);
        }
        return new TinyLlama(shape, shared, weights);
    }

    /** The bytes of a checkpoint. */
    public byte[] checkpoint() {
        int floats = weights.stream().mapToInt(w -> w.length).sum();
        ByteBuffer out = ByteBuffer.allocate(28 + 4 * floats).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(shape.dim()).putInt(shape.hidden()).putInt(shape.layers()).putInt(shape.heads())
            .putInt(shape.kvHeads()).putInt(shared ? shape.vocabulary() : -shape.vocabulary()).putInt(shape.context());
        weights.forEach(values -> {
            for (float value : values) {
                out.putFloat(value);
            }
        });
        return out.array();
    }

    /** The bytes of a tokenizer: token 0 is a line feed as a byte, the others are a space and a letter. */
    public byte[] tokenizer() {
        ByteBuffer out = ByteBuffer.allocate(4 + shape.vocabulary() * 14).order(ByteOrder.LITTLE_ENDIAN).putInt(6);
        for (int token = 0; token < shape.vocabulary(); token++) {
            byte[] piece = (token == 0 ? "<0x0A>" : " " + (char) ('0' + token)).getBytes(StandardCharsets.UTF_8);
            out.putFloat(token).putInt(piece.length).put(piece);
        }
        return Arrays.copyOf(out.array(), out.position());
    }

    /** Writes a file. */
    public static Path write(Path folder, String name, byte[] content) throws IOException {
        return Files.write(folder.resolve(name), content);
    }

    /** The scores after each of some tokens. */
    public double[][] logits(List<Integer> tokens) {
        double[][] results = new double[tokens.size()][];
        double[][][] keys = new double[shape.layers()][tokens.size()][];
        double[][][] values = new double[shape.layers()][tokens.size()][];
        for (int at = 0; at < tokens.size(); at++) {
            double[] x = new double[shape.dim()];
            for (int i = 0; i < x.length; i++) {
                x[i] = weights.get(0)[tokens.get(at) * shape.dim() + i];
            }
            for (int l = 0; l < shape.layers(); l++) {
                double[] normed = norm(x, 1, l);
                double[] query = turned(product(2, l, shape.dim(), normed), at);
                keys[l][at] = turned(product(3, l, shape.kvDim(), normed), at);
                values[l][at] = product(4, l, shape.kvDim(), normed);
                add(x, product(5, l, shape.dim(), attended(query, keys[l], values[l], at)));
                normed = norm(x, 6, l);
                double[] gate = product(7, l, shape.hidden(), normed);
                double[] up = product(9, l, shape.hidden(), normed);
                for (int i = 0; i < gate.length; i++) {
                    gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
                }
                add(x, product(8, l, shape.dim(), gate));
            }
            results[at] = product(shared ? 0 : 12, 0, shape.vocabulary(), norm(x, 10, 0));
        }
        return results;
    }

    /** The tokens that follow the beginning, always the likeliest. */
    public List<Integer> greedy() {
        List<Integer> tokens = new ArrayList<>(List.of(LlamaTokenizer.BEGIN));
        while (tokens.size() <= shape.context()) {
            double[] scores = logits(tokens)[tokens.size() - 1];
            int best = 0;
            for (int i = 1; i < scores.length; i++) {
                best = scores[i] > scores[best] ? i : best;
            }
            if (best == LlamaTokenizer.BEGIN) {
                break;
            }
            tokens.add(best);
        }
        return tokens.subList(1, tokens.size());
    }

    private double[] norm(double[] x, int matrix, int layer) {
        double mean = Arrays.stream(x).map(v -> v * v).sum() / x.length;
        double[] result = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            result[i] = weights.get(matrix)[layer * x.length + i] * x[i] / Math.sqrt(mean + 1e-5);
        }
        return result;
    }

    private double[] product(int matrix, int layer, int rows, double[] x) {
        double[] result = new double[rows];
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < x.length; i++) {
                result[r] += (double) weights.get(matrix)[(layer * rows + r) * x.length + i] * x[i];
            }
        }
        return result;
    }

    private double[] turned(double[] x, int at) {
        double[] result = new double[x.length];
        for (int i = 0; i < x.length; i += 2) {
            double angle = at / Math.pow(10000, i % shape.headDim() / (double) shape.headDim());
            result[i] = x[i] * Math.cos(angle) - x[i + 1] * Math.sin(angle);
            result[i + 1] = x[i] * Math.sin(angle) + x[i + 1] * Math.cos(angle);
        }
        return result;
    }

    private double[] attended(double[] query, double[][] keys, double[][] values, int at) {
        int width = shape.headDim();
        double[] result = new double[query.length];
        for (int head = 0; head < shape.heads(); head++) {
            int from = head * shape.kvHeads() / shape.heads() * width;
            double[] weight = new double[at + 1];
            for (int t = 0; t <= at; t++) {
                for (int i = 0; i < width; i++) {
                    weight[t] += query[head * width + i] * keys[t][from + i] / Math.sqrt(width);
                }
            }
            double sum = Arrays.stream(weight).map(Math::exp).sum();
            for (int t = 0; t <= at; t++) {
                for (int i = 0; i < width; i++) {
                    result[head * width + i] += Math.exp(weight[t]) / sum * values[t][from + i];
                }
            }
        }
        return result;
    }

    private static void add(double[] x, double[] y) {
        for (int i = 0; i < x.length; i++) {
            x[i] += y[i];
        }
    }
}
