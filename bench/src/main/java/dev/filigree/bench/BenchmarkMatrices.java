package dev.filigree.bench;

import dev.filigree.format.CsrMatrix;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Matrices as JMH parameters name them. */
public final class BenchmarkMatrices {

    private static final Pattern RANDOM = Pattern.compile("(\\d+)x(\\d+)@(0?\\.\\d+|0|1)");
    private static final long SEED = 1;

    private BenchmarkMatrices() {}

    /** Makes {@code ROWSxCOLUMNS@SPARSITY}, or reads a file. */
    public static CsrMatrix parse(String text) {
        Matcher random = RANDOM.matcher(text);
        return random.matches()
            ? RandomMatrices.uniform(Integer.parseInt(random.group(1)), Integer.parseInt(random.group(2)),
                Double.parseDouble(random.group(3)), SEED)
            : MatrixFiles.read(Path.of(text), SEED);
    }
}
