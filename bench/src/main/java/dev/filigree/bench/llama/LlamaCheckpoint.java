package dev.filigree.bench.llama;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The weights of a Llama decoder in the format of llama2.c, version 0: seven int32 (dim, hidden, layers, heads, key
 * heads, vocabulary, context), then float32 matrices, each for all layers; all little-endian. A negative vocabulary
 * says that the classifier is not the embedding and comes last. Mapped, not copied.
 *
 * @param shape the sizes
 * @param embedding vocabulary x dim
 * @param layers in their order
 * @param norm of the last layer's output
 * @param classifier vocabulary x dim
 */
public record LlamaCheckpoint(
        Shape shape, DenseMatrix embedding, List<Layer> layers, float[] norm, DenseMatrix classifier) {

    /**
     * The sizes of a model.
     *
     * @param dim features of a token
     * @param hidden neurons of an MLP
     * @param layers how many
     * @param heads of queries
     * @param kvHeads of keys and values
     * @param vocabulary how many tokens there are
     * @param context the most tokens of a text
     */
    public record Shape(int dim, int hidden, int layers, int heads, int kvHeads, int vocabulary, int context) {

        /** Features of a head. */
        public int headDim() {
            return dim / heads;
        }

        /** Features of a token's keys. */
        public int kvDim() {
            return headDim() * kvHeads;
        }
    }

    /**
     * One layer; a matrix has a row for each output.
     *
     * @param attentionNorm of the attention's input
     * @param query dim x dim
     * @param key kvDim x dim
     * @param value kvDim x dim
     * @param output dim x dim
     * @param mlpNorm of the MLP's input
     * @param gate hidden x dim
     * @param down dim x hidden
     * @param up hidden x dim
     */
    public record Layer(float[] attentionNorm, DenseMatrix query, DenseMatrix key, DenseMatrix value,
            DenseMatrix output, float[] mlpNorm, DenseMatrix gate, DenseMatrix down, DenseMatrix up) {}

    private static final String[] FIELDS = {"dim", "hidden", "layers", "heads", "key heads", "vocabulary", "context"};
    private static final long HEADER_BYTES = (long) Integer.BYTES * FIELDS.length;
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    /** What the attention kernels take. */
    private static final int HEAD_STEP = 8;
    private static final int MOST_HEAD_DIM = 256;

    /** Copies the list. */
    public LlamaCheckpoint {
        layers = List.copyOf(layers);
    }

    /**
     * Maps a file.
     *
     * @throws IllegalArgumentException if it is not a checkpoint that can be used; the message is one line that begins
     *     with its name
     * @throws IOException if the file cannot be read
     */
    public static LlamaCheckpoint map(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size < HEADER_BYTES) {
                throw new IllegalArgumentException(file + ": " + size + " bytes are too short for a checkpoint");
            }
            MemorySegment data = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, Arena.ofAuto());
            return new Reader(file, data).read();
        }
    }

    /** Takes one matrix after the other. */
    private static final class Reader {
        private final Path file;
        private final MemorySegment data;
        private final Shape shape;
        private final boolean shared;
        private long at = HEADER_BYTES;

        Reader(Path file, MemorySegment data) {
            this.file = file;
            this.data = data;
            int[] sizes = new int[FIELDS.length];
            for (int i = 0; i < FIELDS.length; i++) {
                int value = data.get(I32, (long) Integer.BYTES * i);
                sizes[i] = FIELDS[i].equals("vocabulary") ? Math.absExact(value) : value;
                require(sizes[i] > 0, FIELDS[i] + " is " + value);
            }
            shared = data.get(I32, Integer.BYTES * 5L) > 0;
            shape = new Shape(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]);
            require(shape.dim % shape.heads == 0, "dim is " + shape.dim + ", no multiple of " + shape.heads + " heads");
            require(shape.heads % shape.kvHeads == 0,
                shape.heads + " heads are no multiple of " + shape.kvHeads + " key heads");
            int headDim = shape.headDim();
            require(headDim % HEAD_STEP == 0 && headDim <= MOST_HEAD_DIM, "a head has " + headDim
                + " features, not a multiple of " + HEAD_STEP + " up to " + MOST_HEAD_DIM);
        }

        private void require(boolean holds, String otherwise) {
            if (!holds) {
                throw new IllegalArgumentException(file + ": " + otherwise);
            }
        }

        LlamaCheckpoint read() {
            int dim = shape.dim;
            int hidden = shape.hidden;
            DenseMatrix embedding = stacked(1, shape.vocabulary, dim).getFirst();
            List<DenseMatrix> attentionNorms = stacked(shape.layers, 1, dim);
            List<DenseMatrix> queries = stacked(shape.layers, dim, dim);
            List<DenseMatrix> keys = stacked(shape.layers, shape.kvDim(), dim);
            List<DenseMatrix> values = stacked(shape.layers, shape.kvDim(), dim);
            List<DenseMatrix> outputs = stacked(shape.layers, dim, dim);
            List<DenseMatrix> mlpNorms = stacked(shape.layers, 1, dim);
            List<DenseMatrix> gates = stacked(shape.layers, hidden, dim);
            List<DenseMatrix> downs = stacked(shape.layers, dim, hidden);
            List<DenseMatrix> ups = stacked(shape.layers, hidden, dim);
            float[] norm = floats(stacked(1, 1, dim).getFirst());
            // Sines and cosines that nobody uses any more.
            stacked(2, shape.context, shape.headDim() / 2);
            DenseMatrix classifier = shared ? embedding : stacked(1, shape.vocabulary, dim).getFirst();
            require(at == data.byteSize(), data.byteSize() + " bytes, a checkpoint of " + shape + " has " + at);
            List<Layer> layers = IntStream.range(0, shape.layers).mapToObj(l -> new Layer(
                floats(attentionNorms.get(l)), queries.get(l), keys.get(l), values.get(l), outputs.get(l),
                floats(mlpNorms.get(l)), gates.get(l), downs.get(l), ups.get(l))).toList();
            return new LlamaCheckpoint(shape, embedding, layers, norm, classifier);
        }

        /** The next {@code count} matrices. */
        private List<DenseMatrix> stacked(int count, int rows, int cols) {
            long bytes = (long) Float.BYTES * rows * cols;
            List<DenseMatrix> matrices = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                require(bytes <= data.byteSize() - at,
                    data.byteSize() + " bytes are too few for a checkpoint of " + shape);
                matrices.add(DenseMatrix.of(data.asSlice(at, bytes), DType.F32, rows, cols));
                at += bytes;
            }
            return matrices;
        }

        private static float[] floats(DenseMatrix row) {
            return row.data().toArray(ValueLayout.JAVA_FLOAT);
        }
    }
}
