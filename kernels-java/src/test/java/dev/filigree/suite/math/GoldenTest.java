package dev.filigree.suite.math;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The golden file ties Java to C++: both must give its bits. A row is an input and the outputs of every
 * function, as the hexadecimal bits of floats; a NaN stands for any NaN. The last row has a hash of each
 * function over four million inputs, for differences too rare for the rows.
 *
 * <p>{@code main} prints the file anew. A change of a single bit is a change of every backend's results.
 */
class GoldenTest {

    private static final String FILE = "activation-golden.csv";
    private static final MathFunction[] FUNCTIONS = MathFunction.values();

    private static List<String> lines() throws IOException {
        try (InputStream in = GoldenTest.class.getResourceAsStream(FILE)) {
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII).lines().toList();
        }
    }

    private static List<float[]> rows() throws IOException {
        List<String> lines = lines();
        assertThat(lines.getFirst()).isEqualTo(header());
        List<float[]> rows = new ArrayList<>();
        for (String line : lines.subList(1, lines.size() - 1)) {
            String[] cells = line.split(",");
            assertThat(cells).as(line).hasSize(FUNCTIONS.length + 1);
            float[] row = new float[cells.length];
            for (int i = 0; i < cells.length; i++) {
                row[i] = Float.intBitsToFloat(Integer.parseUnsignedInt(cells[i], 16));
            }
            rows.add(row);
        }
        return rows;
    }

    private static String header() {
        return "x," + Arrays.stream(FUNCTIONS).map(MathFunction::id).collect(Collectors.joining(","));
    }

    @Test
    void scalar() throws IOException {
        List<float[]> rows = rows();
        assertThat(rows).hasSizeGreaterThan(300);
        for (float[] row : rows) {
            for (MathFunction function : FUNCTIONS) {
                compare(function, row[0], function.scalar(row[0]), row[function.ordinal() + 1]);
            }
        }
    }

    @Test
    void vector() throws IOException {
        assumeTrue(ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent(), "no Vector API");
        List<float[]> rows = rows();
        float[] in = new float[rows.size()];
        for (int i = 0; i < in.length; i++) {
            in[i] = rows.get(i)[0];
        }
        for (MathFunction function : FUNCTIONS) {
            float[] out = VectorFunctions.apply(function, in);
            for (int i = 0; i < in.length; i++) {
                compare(function, in[i], out[i], rows.get(i)[function.ordinal() + 1]);
            }
        }
    }

    @Test
    void sweep() throws IOException {
        assumeFalse(Samples.interpreted(), "takes minutes in the interpreter");
        assertThat(lines().getLast()).isEqualTo(sweepRow());
    }

    private static String sweepRow() {
        return "sweep," + Arrays.stream(FUNCTIONS).map(f -> "%016x".formatted(hash(f)))
                .collect(Collectors.joining(","));
    }

    /**
     * FNV-1a over whole results: all bit patterns by a stride, then three ranges where the functions bend.
     */
    private static long hash(MathFunction function) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < 1 << 20; i++) {
            hash = hash(hash, function.scalar(Float.intBitsToFloat(i * 4093)));
        }
        for (int i = -(1 << 19); i < 1 << 19; i++) {
            hash = hash(hash, function.scalar(i * 0x1.7p-13f));
            hash = hash(hash, function.scalar(i * 0x1.1p-16f));
            hash = hash(hash, function.scalar(i * 0x1.5p-20f));
        }
        return hash;
    }

    private static long hash(long hash, float value) {
        return (hash ^ Integer.toUnsignedLong(Float.floatToIntBits(value))) * 0x100000001b3L;
    }

    private static void compare(MathFunction function, float x, float actual, float expected) {
        assertThat(Samples.same(actual, expected))
                .as(() -> Samples.describe(function, x, actual, expected)).isTrue();
    }

    /** Prints the golden file. */
    public static void main(String[] args) {
        Set<Integer> inputs = new TreeSet<>(Integer::compareUnsigned);
        for (float x : Samples.edges()) {
            inputs.add(Float.floatToRawIntBits(x));
        }
        inputs.remove(Float.floatToRawIntBits(Float.NaN));
        SplittableRandom random = new SplittableRandom(25);
        for (int i = 0; i < 60; i++) {
            inputs.add(Float.floatToRawIntBits((float) random.nextDouble(-90, 90)));
            inputs.add(Float.floatToRawIntBits((float) random.nextDouble(-6, 6)));
            inputs.add(Float.floatToRawIntBits((float) random.nextDouble(-1, 1)));
        }
        StringBuilder out = new StringBuilder(header()).append('\n');
        for (int bits : inputs) {
            float x = Float.intBitsToFloat(bits);
            if (Float.isNaN(x)) {
                continue;
            }
            out.append("%08x".formatted(bits));
            for (MathFunction function : FUNCTIONS) {
                out.append(",%08x".formatted(Float.floatToIntBits(function.scalar(x))));
            }
            out.append('\n');
        }
        System.out.println(out.append(sweepRow()));
    }
}
