package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.bench.measure.Ceilings;
import dev.filigree.format.NmPattern;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Our own dense path in bf16 on one token, one thread, beside the time that reading its weights would take at the
 * measured bandwidth of memory.
 *
 * @param rows of the weight
 * @param cols of the weight
 */
record NmStreamCase(int rows, int cols) implements FloorCase {

    /** What the time is compared with. */
    static final String READING = "reading";

    @Override
    public String label() {
        return rows + " x " + cols + " dense bf16 T=1";
    }

    @Override
    public Times measure(Context context) {
        Machine machine = Machine.here();
        Optional<Ceilings> ceilings = Ceilings.measure(1, machine.l2Bytes(), machine.lastLevelCacheBytes());
        if (ceilings.isEmpty()) {
            return Times.failed(label(), "without the Vector API the bandwidth is not measured");
        }
        Times times =
            new NmFloorCase(rows, cols, NmPattern.of(1, 1), 1, DType.BF16, List.of()).measure(context);
        Map<String, Double> millis = new HashMap<>(times.millis());
        millis.put(READING, (double) DType.BF16.bytes() * rows * cols / ceilings.get().memoryGbps() / 1e6);
        return new Times(label(), millis, times.sparsity(), times.nnz(), times.error(), times.wrong());
    }
}
