package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.attention.DecodePlan;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.Timing;
import dev.filigree.suite.attention.DecodeCase;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One of Filigree's backends on a decode over selected keys, or over all of them. */
final class DecodeContender implements Contender {

    /** A case, and its operands with this contender's outputs. */
    private record Turn(DecodeCase test, DecodeCase.Operands operands) {}

    private final Arena arena = Arena.ofShared();
    private final String name;
    private final DecodePlan plan;
    private final List<Turn> turns = new ArrayList<>();
    private final double planMillis;
    private int next;
    private int last;

    private DecodeContender(String name, DecodeCaches caches, boolean dense, Backend backend, Workers team) {
        this.name = name;
        DecodeProblem problem = caches.problem();
        long start = System.nanoTime();
        plan = Attention.decode(
            problem.dtype(), problem.dense().options().backend(backend).workers(team));
        planMillis = (System.nanoTime() - start) / 1e6;
        AttentionTensor out = AttentionTensor.allocate(arena, 1, problem.heads(), 1, problem.dim());
        out.data().fill((byte) 0xff);
        DenseMatrix lse = DenseMatrix.allocate(arena, DType.F32, problem.heads(), 1);
        for (int i = 0; i < caches.count(); i++) {
            DecodeCase.Operands cache = caches.get(i);
            for (DecodeCase test : dense ? List.of(problem.dense()) : problem.sparse()) {
                turns.add(new Turn(test, new DecodeCase.Operands(cache.q(), cache.cache(), cache.table(),
                    DecodeProblem.selection(test), out, lse)));
            }
        }
    }

    /** A backend over the selected keys. */
    static DecodeContender open(DecodeCaches caches, Backend backend, Workers team) {
        return new DecodeContender(ContenderResult.OURS + backend.id(), caches, false, backend, team);
    }

    /** A backend over all keys. */
    static DecodeContender dense(DecodeCaches caches, Backend backend, Workers team) {
        return new DecodeContender("filigree/dense", caches, true, backend, team);
    }

    @Override
    public int workingSets() {
        return turns.size();
    }

    /** Checks what the last run wrote. */
    ContenderResult judge(Outcome outcome) {
        if (outcome instanceof Outcome.Failed(String error)) {
            return new ContenderResult.Failure(name, error, true);
        }
        Timing timing = ((Outcome.Timed) outcome).timing();
        Turn turn = turns.get(last);
        Optional<String> mismatch = turn.test.mismatch(turn.operands);
        if (mismatch.isPresent()) {
            return new ContenderResult.Failure(name, "wrong result: " + mismatch.get(), true);
        }
        double nanos = timing.medianMillis() * 1e6;
        int group = turn.test.heads() / turn.test.kvHeads();
        double flops = 4.0 * DecodeProblem.selected(turn.test) * group * turn.test.dim();
        return new ContenderResult.Figures(name, kernel(), timing, flops / nanos, residentBytes() / nanos,
            turn.test.relativeError(turn.operands), planMillis, packedBytes(), residentBytes(), Optional.empty());
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return plan.kernel();
    }

    @Override
    public void run() {
        last = next;
        next = next + 1 == turns.size() ? 0 : next + 1;
        turns.get(last).operands.run(plan);
    }

    @Override
    public double packMillis() {
        return planMillis;
    }

    @Override
    public long packedBytes() {
        return 0;
    }

    /** The selected keys and values. */
    @Override
    public long residentBytes() {
        DecodeCase test = turns.getFirst().test;
        return 2 * DecodeProblem.selected(test) * test.dim() * test.dtype().bytes();
    }

    @Override
    public void close() {
        plan.close();
        arena.close();
    }
}
