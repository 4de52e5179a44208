package dev.filigree.bench.peer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** A library with every habit that a library can have. */
public final class FakePeers implements PeerLibrary {

    static final List<String> NAMES = List.of("fake-right", "fake-wrong", "fake-noisy", "fake-crashing",
        "fake-refusing", "fake-choosy", "fake-hoarding", "fake-sparse");

    /** Of the variant that nobody would wait for. */
    static int hopelessRuns;

    /** Called by the service loader. */
    public FakePeers() {}

    @Override
    public List<String> names() {
        return NAMES;
    }

    @Override
    public void load(int threads) {
        PeerException.requireThreads(threads, threads);
    }

    @Override
    public List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        PeerVariant plain = new Variant(name, problem, 0);
        return name.equals("fake-choosy") ? List.of(new Variant("fake-refusing", problem, 0),
            new Variant("slow", problem, 2_000_000), new Variant("quick", problem, 0),
            new Variant("hopeless", problem, 30_000_000)) : List.of(plain);
    }

    @Override
    public List<PeerVariant> attention(String name, AttentionPeerProblem problem) {
        if (name.equals("fake-refusing")) {
            throw new PeerException("not this mask");
        }
        return List.of(new PeerVariant() {
            @Override
            public String kernel() {
                return name;
            }

            @Override
            public PackedPeer pack(Arena arena) {
                return new FakeAttention(problem, name.equals("fake-wrong"));
            }
        });
    }

    private record Variant(String kernel, SpmmPeerProblem problem, long delayNanos) implements PeerVariant {

        @Override
        public PackedPeer pack(Arena arena) {
            if (kernel.equals("fake-refusing")) {
                throw new PeerException("not\nthis one");
            }
            return new PackedPeer() {
                @Override
                public long packedBytes() {
                    return 12 * problem.shape().nnz();
                }

                @Override
                public long allocatedBytes() {
                    return kernel.equals("fake-hoarding") ? 1L << 30 : packedBytes();
                }

                @Override
                public Bound bind(MemorySegment input, Arena arena) {
                    MemorySegment output = problem.newOutput(arena);
                    return new Bound() {
                        @Override
                        public void run() {
                            Variant.this.run(input, output);
                        }

                        @Override
                        public MemorySegment output() {
                            return output;
                        }
                    };
                }
            };
        }

        private void run(MemorySegment input, MemorySegment output) {
            if (kernel.equals("hopeless")) {
                hopelessRuns++;
            }
            if (kernel.equals("fake-crashing")) {
                System.err.println("the reason why");
                Runtime.getRuntime().halt(3);
            }
            if (kernel.equals("fake-noisy")) {
                System.out.print("a line\nand half a one");
                System.out.flush();
            }
            long start = System.nanoTime();
            while (System.nanoTime() - start < delayNanos) {
                Thread.onSpinWait();
            }
            SpmmPeerProblem.Shape s = problem.shape();
            for (int r = 0; r < s.rows(); r++) {
                for (int j = 0; j < s.n(); j++) {
                    output.setAtIndex(ValueLayout.JAVA_FLOAT,
                        s.tokenMajor() ? (long) j * s.rows() + r : (long) r * s.n() + j, element(r, j, input));
                }
            }
            if (kernel.equals("fake-wrong")) {
                output.setAtIndex(ValueLayout.JAVA_FLOAT, 1, 1000f);
            }
        }

        private float element(int row, int column, MemorySegment input) {
            SpmmPeerProblem.Shape s = problem.shape();
            double sum = 0;
            long end = problem.offsets().getAtIndex(ValueLayout.JAVA_LONG, row + 1L);
            for (long p = problem.offsets().getAtIndex(ValueLayout.JAVA_LONG, row); p < end; p++) {
                int k = problem.columns().getAtIndex(ValueLayout.JAVA_INT, p);
                sum += (double) problem.values().getAtIndex(ValueLayout.JAVA_FLOAT, p)
                    * input.getAtIndex(ValueLayout.JAVA_FLOAT,
                        s.tokenMajor() ? (long) column * s.cols() + k : (long) k * s.n() + column);
            }
            return (float) sum;
        }
    }
}
