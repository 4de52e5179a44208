package dev.filigree.bench.peer;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.bench.measure.WorkingSets;
import dev.filigree.internal.vector.VectorMath;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** One problem of a helper process: what is packed, and operands, for each working set. */
final class ServedProblem implements AutoCloseable {

    private static final int TRIALS = 3;
    /** Copies that are mostly padding could exhaust the memory. */
    private static final int MOST_PADDING = 2;
    private static final long TRIAL_NANOS = 20_000_000;
    /** A run that takes so long is timed once. */
    private static final long LONG_NANOS = 2_000_000_000;
    /** How many times slower than another variant one may be when cold, and still turn out faster. */
    private static final int HOPELESS = 8;

    private final Arena shared;
    private final PeerProblem problem;
    private Candidate chosen;

    private ServedProblem(Arena shared, PeerProblem problem) {
        this.shared = shared;
        this.problem = problem;
    }

    /** Packs a problem in every way that the library has for it, and keeps the fastest. */
    static ServedProblem open(PeerLibrary library, String name, Path file, long cache, PeerProblem.Shape shape)
            throws IOException {
        if (shape.dtype() == DType.BF16 && !library.takesBf16(name)) {
            throw new PeerException("it takes no bf16");
        }
        Arena shared = Arena.ofConfined();
        ServedProblem served = null;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment memory =
                channel.map(FileChannel.MapMode.READ_WRITE, 0, shape.sharedBytes(), shared);
            PeerProblem problem = shape.over(memory);
            served = new ServedProblem(shared, problem);
            served.choose(switch (problem) {
                case SpmmPeerProblem spmm -> library.spmm(name, spmm);
                case AttentionPeerProblem attention -> library.attention(name, attention);
            }, cache);
            return served;
        } finally {
            if (served == null || served.chosen == null) {
                shared.close();
            }
        }
    }

    private void choose(List<PeerVariant> variants, long cache) {
        double best = Double.POSITIVE_INFINITY;
        List<String> refusals = new ArrayList<>();
        for (PeerVariant variant : variants) {
            Candidate candidate = new Candidate(problem, variant);
            boolean kept = false;
            try {
                candidate.pack(cache);
                double nanos = variants.size() == 1 ? 0 : candidate.trial(best);
                if (nanos < best) {
                    best = nanos;
                    if (chosen != null) {
                        chosen.close();
                    }
                    chosen = candidate;
                    kept = true;
                }
            } catch (PeerException e) {
                refusals.add(variant.kernel() + ": " + e.getMessage());
            } finally {
                if (!kept) {
                    candidate.close();
                }
            }
        }
        if (chosen == null) {
            throw new PeerException(String.join("; ", refusals));
        }
    }

    /** A variant, packed. */
    private static final class Candidate implements AutoCloseable {

        private final Arena arena = Arena.ofConfined();
        private final List<PackedPeer> packed = new ArrayList<>();
        private final List<PackedPeer.Bound> bound = new ArrayList<>();
        private final List<Double> packMillis = new ArrayList<>();
        private final PeerProblem problem;
        private final PeerVariant variant;
        private final boolean activates;
        private int next;

        Candidate(PeerProblem problem, PeerVariant variant) {
            this.problem = problem;
            this.variant = variant;
            activates = problem.shape().activation() != Activation.NONE && !variant.fusesActivation();
        }

        void pack(long cache) {
            packOne();
            long bytes = packed.getFirst().packedBytes() + problem.shape().inputBytes()
                + problem.shape().outputBytes();
            int sets = WorkingSets.count(cache > 0, bytes, cache);
            long allocated = packed.getFirst().allocatedBytes();
            if (sets > 1 && allocated > MOST_PADDING * packed.getFirst().packedBytes()) {
                throw new PeerException("a packed copy takes " + allocated + " bytes, too many to rotate copies");
            }
            while (packed.size() < sets) {
                packOne();
            }
            for (PackedPeer matrix : packed) {
                bound.add(matrix.bind(PeerProblem.copy(problem.input(), arena), arena));
            }
        }

        private void packOne() {
            long start = System.nanoTime();
            packed.add(variant.pack(arena));
            packMillis.add((System.nanoTime() - start) / 1e6);
        }

        /**
         * The time of a run, in nanoseconds: the least of a few means, after one that does not count. But that one is
         * all that is measured of a variant that is hopeless beside {@code other}, the best so far, or takes seconds: a
         * library's reference code takes minutes.
         */
        double trial(double other) {
            double best = Double.POSITIVE_INFINITY;
            for (int i = 0; i <= TRIALS; i++) {
                long nanos = 0;
                int runs = 0;
                while (nanos < TRIAL_NANOS) {
                    nanos += run(1);
                    runs++;
                }
                double mean = (double) nanos / runs;
                if (i == 0 && (mean > HOPELESS * other || mean > LONG_NANOS)) {
                    return mean;
                }
                best = i == 0 ? best : Math.min(best, mean);
            }
            return best;
        }

        long run(int count) {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                PackedPeer.Bound set = bound.get(next);
                set.run();
                if (activates) {
                    VectorMath.activate(problem.shape().activation().code(), set.output(), 0,
                        problem.shape().outputBytes() / Float.BYTES);
                }
                next = next + 1 == bound.size() ? 0 : next + 1;
            }
            return System.nanoTime() - start;
        }

        @Override
        public void close() {
            packed.forEach(PackedPeer::close);
            arena.close();
        }
    }

    String describe() {
        // The first packing is cold.
        double millis = Statistics.median(chosen.packMillis.stream().skip(chosen.packMillis.size() > 1 ? 1 : 0)
            .mapToDouble(x -> x).toArray());
        String kernel = (chosen.variant.kernel() + " " + chosen.packed.getFirst().detail()).strip()
            + (chosen.activates ? " + activation pass" : "");
        return millis + "\t" + chosen.packed.getFirst().packedBytes() + "\t" + chosen.packed.size() + "\t" + kernel;
    }

    /** Runs on the next sets in turn; the time in nanoseconds. */
    long run(int count) {
        if (count > 1) {
            // The process has slept while others had their turn: the first run pays for the waking.
            chosen.run(1);
        }
        return chosen.run(count);
    }

    void showOutput() {
        MemorySegment.copy(chosen.bound.getFirst().output(), 0, problem.output(), 0,
            problem.shape().outputBytes());
    }

    @Override
    public void close() {
        chosen.close();
        shared.close();
    }
}
