package dev.filigree.bench.measure;

import dev.filigree.spi.Backends;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The loops behind {@link Ceilings}; apart, because they link against a module that may be absent. */
final class VectorLoops {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

    private VectorLoops() {}

    /** Independent chains of multiply-adds: enough to hide a latency of 5 cycles on 2 units. */
    static final class MultiplyAdd implements Ceilings.Loop {

        private static final int STEPS = 2_000;
        private static final int CHAINS = 12;

        private float sink;

        @Override
        public long once() {
            sink += chains(sink);
            return 2L * STEPS * CHAINS * SPECIES.length();
        }

        private static float chains(float start) {
            FloatVector x = FloatVector.broadcast(SPECIES, 0.5f);
            FloatVector y = FloatVector.broadcast(SPECIES, 0.25f);
            // Chains that began alike would be one to the compiler.
            FloatVector a = FloatVector.broadcast(SPECIES, start);
            FloatVector b = a.add(1);
            FloatVector c = a.add(2);
            FloatVector d = a.add(3);
            FloatVector e = a.add(4);
            FloatVector f = a.add(5);
            FloatVector g = a.add(6);
            FloatVector h = a.add(7);
            FloatVector i = a.add(8);
            FloatVector j = a.add(9);
            FloatVector k = a.add(10);
            FloatVector l = a.add(11);
            for (int step = 0; step < STEPS; step++) {
                a = a.fma(x, y);
                b = b.fma(x, y);
                c = c.fma(x, y);
                d = d.fma(x, y);
                e = e.fma(x, y);
                f = f.fma(x, y);
                g = g.fma(x, y);
                h = h.fma(x, y);
                i = i.fma(x, y);
                j = j.fma(x, y);
                k = k.fma(x, y);
                l = l.fma(x, y);
            }
            return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i).add(j).add(k).add(l).lane(0);
        }
    }

    /**
     * Reading memory in four streams, which keeps more of it on its way than one. It lies on huge pages, as what is
     * compared with it.
     */
    static final class Reading implements Ceilings.Loop {

        private static final int STREAMS = 4;
        /** A call reads so much, the next call what follows; divisible by the vectors of all streams. */
        private static final long CALL_BYTES = 256 << 10;

        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory;
        private long next;
        private float sink;

        Reading(long bytes) {
            memory = Backends.memory(arena).allocate(Math.ceilDiv(bytes, CALL_BYTES) * CALL_BYTES, 64);
            memory.fill((byte) 1); // Untouched pages would all be one page of zeros.
        }

        @Override
        public long once() {
            sink += sum(memory, next, CALL_BYTES / STREAMS);
            next = (next + CALL_BYTES) % memory.byteSize();
            return CALL_BYTES;
        }

        private static float sum(MemorySegment memory, long from, long stream) {
            FloatVector a = FloatVector.zero(SPECIES);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            FloatVector e = a;
            FloatVector f = a;
            FloatVector g = a;
            FloatVector h = a;
            int vector = SPECIES.vectorByteSize();
            for (long i = from; i < from + stream; i += 2L * vector) {
                a = a.add(load(memory, i));
                b = b.add(load(memory, i + vector));
                c = c.add(load(memory, i + stream));
                d = d.add(load(memory, i + stream + vector));
                e = e.add(load(memory, i + 2 * stream));
                f = f.add(load(memory, i + 2 * stream + vector));
                g = g.add(load(memory, i + 3 * stream));
                h = h.add(load(memory, i + 3 * stream + vector));
            }
            return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).lane(0);
        }

        private static FloatVector load(MemorySegment memory, long at) {
            return FloatVector.fromMemorySegment(SPECIES, memory, at, ByteOrder.nativeOrder());
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
