package dev.filigree.bench;

import dev.filigree.attention.PagedCache;
import dev.filigree.bench.measure.WorkingSets;
import dev.filigree.suite.attention.DecodeCase;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** Caches of a decode that together exceed the processor's several times; all contenders read the same. */
final class DecodeCaches implements AutoCloseable {

    private final Arena arena = Arena.ofShared();
    private final DecodeProblem problem;
    private final List<DecodeCase.Operands> caches = new ArrayList<>();

    /** @param lastLevelCache of the processor, in bytes */
    DecodeCaches(DecodeProblem problem, long lastLevelCache) {
        this.problem = problem;
        int count = WorkingSets.count(true, problem.cacheBytes(), lastLevelCache);
        caches.add(problem.dense().operands(arena));
        while (caches.size() < count) {
            caches.add(copy(caches.getFirst()));
        }
    }

    /** The same numbers in other memory. */
    private DecodeCase.Operands copy(DecodeCase.Operands first) {
        PagedCache from = first.cache();
        PagedCache to = PagedCache.allocate(
            arena, from.dtype(), from.pages(), from.kvHeads(), from.pageRows(), from.dim());
        to.keys().data().copyFrom(from.keys().data());
        to.values().data().copyFrom(from.values().data());
        return new DecodeCase.Operands(first.q(), to, first.table(), first.selection(), first.out(), first.lse());
    }

    DecodeProblem problem() {
        return problem;
    }

    int count() {
        return caches.size();
    }

    DecodeCase.Operands get(int index) {
        return caches.get(index);
    }

    @Override
    public void close() {
        arena.close();
    }
}
