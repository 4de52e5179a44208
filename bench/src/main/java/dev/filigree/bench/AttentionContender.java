package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.bench.measure.Contender;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.attention.AttentionCase;
import dev.filigree.suite.attention.AttentionRun;
import java.lang.foreign.Arena;

/** One of Filigree's backends on an attention, or its dense path: the same kernel with every block listed. */
final class AttentionContender implements Contender {

    private final Arena arena = Arena.ofShared();
    private final String name;
    private final AttentionPlan plan;
    private final AttentionTensor q;
    private final AttentionTensor k;
    private final AttentionTensor v;
    private final AttentionRun outputs;
    private final double packMillis;
    private final long tensorBytes;

    private AttentionContender(String name, AttentionCase problem, Backend backend, Workers team) {
        this.name = name;
        long start = System.nanoTime();
        plan = Attention.plan(problem.mask(), problem.options().backend(backend).workers(team));
        packMillis = (System.nanoTime() - start) / 1e6;
        q = problem.queries(arena);
        k = problem.keys(arena);
        v = problem.values(arena);
        outputs = new AttentionRun(problem.output(arena), problem.lse(arena));
        tensorBytes = q.data().byteSize() + 2 * k.data().byteSize() + outputs.out().data().byteSize();
    }

    /** A backend on a problem. */
    static AttentionContender open(AttentionCase problem, Backend backend, Workers team) {
        return new AttentionContender(ContenderResult.OURS + backend.id(), problem, backend, team);
    }

    /** All scores of a problem, or all up to the query where it is causal. */
    static AttentionEntrant dense(AttentionCase problem, Backend backend, Workers team) {
        AttentionCase dense = denseProblem(problem);
        return new AttentionEntrant(new AttentionContender("filigree/dense", dense, backend, team), dense);
    }

    static AttentionCase denseProblem(AttentionCase problem) {
        BlockGrid grid = problem.mask().grid();
        return new AttentionCase(problem.seed(), BlockMasks.dense(BlockGrid.square(grid.keys(), 64)), problem.batch(),
            problem.heads(), problem.kvHeads(), problem.dim(), problem.options(), null, problem.axes(),
            problem.place());
    }

    AttentionRun outputs() {
        return outputs;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return plan.explain().kernel();
    }

    @Override
    public void run() {
        plan.run(q, k, v, null, outputs.out(), outputs.lse());
    }

    @Override
    public double packMillis() {
        return packMillis;
    }

    @Override
    public long packedBytes() {
        return plan.explain().packedBytes();
    }

    @Override
    public long residentBytes() {
        return packedBytes() + tensorBytes;
    }

    @Override
    public void close() {
        plan.close();
        arena.close();
    }
}
