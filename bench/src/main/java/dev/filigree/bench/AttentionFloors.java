package dev.filigree.bench;

import dev.filigree.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** The floors of block-sparse attention: 8 heads, blocks of 64, one thread. */
final class AttentionFloors {

    private static final int[] DIMS = {64, 128};

    private AttentionFloors() {}

    /** No floor needs data. */
    static List<Floor> floors(Optional<Path> data) {
        List<Floor> floors = new ArrayList<>();
        for (int dim : DIMS) {
            AttentionFloorCase full = new AttentionFloorCase(dim, false, DType.F32);
            AttentionFloorCase causal = new AttentionFloorCase(dim, true, DType.F32);
            Floor dense = dense(full);
            floors.add(dense);
            floors.add(dense(causal));
            for (int percent : AttentionFloorCase.PERCENTS) {
                floors.add(share(full, percent, 0.8, 0.9).on(dense));
            }
            floors.add(Floor.of("attention-f32-" + dim + "-sparse", causal.label() + ", "
                + AttentionFloorCase.CAUSAL_PERCENT + " % of blocks over ort-sparse-attention", 10, 18,
                List.of(causal),
                ratio("ort-sparse-attention", AttentionFloorCase.sparse(AttentionFloorCase.CAUSAL_PERCENT))));
            floors.add(Floor.of("attention-f32-" + dim + "-vector",
                full.label() + ", the Vector API's kernel over the AVX-512 kernel, all blocks", 0.5, 0.8,
                List.of(full), ratio(AttentionFloorCase.DENSE, AttentionFloorCase.VECTOR)));
            AttentionFloorCase half = new AttentionFloorCase(dim, false, DType.BF16);
            Floor denseHalf = Floor.of("attention-bf16-" + dim + "-dense", half.label()
                + ", all blocks, over torch-sdpa", 2, 4, List.of(half), ratio("torch-sdpa", AttentionFloorCase.DENSE));
            floors.add(denseHalf);
            for (int percent : AttentionFloorCase.PERCENTS) {
                floors.add(share(half, percent, 0.7, 0.85).on(denseHalf));
            }
        }
        for (DType dtype : DType.values()) {
            DecodeFloorCase decode = new DecodeFloorCase(dtype);
            Floor stream = Floor.of("attention-decode-" + dtype.id() + "-stream", decode.label()
                + ", all blocks: bytes a second over what reading memory reaches", 0.8, 1, List.of(decode),
                ratio(DecodeFloorCase.READING, DecodeFloorCase.DENSE));
            floors.add(stream);
            floors.add(Floor.of("attention-decode-" + dtype.id() + "-10", decode.label()
                + ", 10 % of blocks over all of them", 7, 9, List.of(decode),
                ratio(DecodeFloorCase.DENSE, DecodeFloorCase.SPARSE)).on(stream));
        }
        return floors;
    }

    private static Floor dense(AttentionFloorCase theCase) {
        return Floor.of("attention-f32-" + theCase.dim() + (theCase.causal() ? "-causal" : "-dense"), theCase.label()
            + ", all blocks, over the better of torch-sdpa and ort-attention", 1.3, 1.7, List.of(theCase), times -> {
                FloorCase.Times t = times.getFirst();
                return Math.min(t.of("torch-sdpa"), t.of("ort-attention")) / t.of(AttentionFloorCase.DENSE);
            });
    }

    /** What is left of the work that a share of the blocks saves. */
    private static Floor share(AttentionFloorCase theCase, int percent, double least, double goal) {
        String id = "attention-" + theCase.dtype().id() + "-" + theCase.dim() + "-" + percent;
        return Floor.of(id, theCase.label() + ", " + percent
            + " % of blocks: speed over our dense path, times the density", least, goal, List.of(theCase),
            times -> times.getFirst().of(AttentionFloorCase.DENSE)
                / times.getFirst().of(AttentionFloorCase.sparse(percent)) * percent / 100);
    }

    /** How many times faster the second is than the first. */
    private static ToDoubleFunction<List<FloorCase.Times>> ratio(String of, String over) {
        return times -> times.getFirst().of(of) / times.getFirst().of(over);
    }
}
