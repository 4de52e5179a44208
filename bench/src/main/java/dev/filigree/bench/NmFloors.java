package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.format.NmPattern;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The floors of N:M sparse GEMM; one thread. */
final class NmFloors {

    private static final String MKL = "mkl-dense";
    private static final String ONEDNN = "onednn-dense";
    private static final String VECTOR = SpmmContender.name(Backend.VECTOR);
    private static final NmPattern HALF = NmPattern.of(2, 4);
    private static final NmPattern QUARTER = NmPattern.of(1, 4);
    private static final NmPattern EIGHTH = NmPattern.of(1, 8);
    private static final NmPattern ALL = NmPattern.of(1, 1);
    private static final int SIZE = 4096;
    private static final int LONG = 14336;
    private static final int PROMPT = 256;
    /** Of a decode step's floor, what more than one token has to reach. */
    private static final double SEVERAL = 0.8;

    private NmFloors() {}

    /** @param data unused: the weights are random */
    static List<Floor> floors(Optional<Path> data) {
        List<Floor> floors = new ArrayList<>();
        prefill(floors, "2to4", HALF, 1.3, 1.7);
        prefill(floors, "1to4", QUARTER, 2.3, 3.2);
        prefill(floors, "1to8", EIGHTH, 4, 6);
        decode(floors, "nm-decode-f32-2to4", HALF, DType.F32, MKL, 1.5, 1.75);
        decode(floors, "nm-decode-bf16-2to4", HALF, DType.BF16, ONEDNN, 1.4, 1.65);
        decode(floors, "nm-decode-bf16-1to8", EIGHTH, DType.BF16, ONEDNN, 3.5, 5);
        floors.add(shared("nm-vector-bf16-2to8", NmPattern.of(2, 8).withVector(32), 2, 3));
        floors.add(shared("nm-vector-bf16-2to4", HALF.withVector(32), 1.3, 1.7));
        floors.add(Floor.of("nm-dense-bf16", "our own dense path in bf16, T = 32 to 512, over " + ONEDNN + ", least",
            0.9, 1, IntStream.of(32, 64, 128, 256, 512).mapToObj(
                tokens -> (FloorCase) new NmFloorCase(SIZE, SIZE, ALL, tokens, DType.BF16, List.of(ONEDNN))).toList(),
            FloorMeasures.leastOver(ONEDNN)));
        floors.add(Floor.of("nm-dense-bf16-stream", "the same, T = 1: bytes a second over what reading memory reaches",
            0.9, 1, List.of(new NmStreamCase(SIZE, LONG)), FloorMeasures.leastOver(NmStreamCase.READING)));
        List<FloorCase> packing = new ArrayList<>();
        for (DType dtype : DType.values()) {
            for (NmPattern pattern : List.of(HALF, QUARTER, EIGHTH, HALF.withVector(32))) {
                packing.add(new NmPackingCase(SIZE, LONG, pattern, dtype));
            }
        }
        floors.add(Floor.of("nm-packing", "1.5 s over pruning and packing " + SIZE + " x " + LONG + ", least", 1, 1,
            packing, FloorMeasures.leastOver(NmPackingCase.LIMIT)));
        floors.add(Floor.of("nm-packed-bytes", "the format's arithmetic over the packed bytes, least", 1 / 1.02, 1,
            packing, times -> times.stream().mapToDouble(t -> t.millis().get(NmPackingCase.FORMAT_BYTES)
                / t.millis().get(NmPackingCase.PACKED_BYTES)).min().orElseThrow()));
        floors.add(vector());
        return floors;
    }

    private static void prefill(List<Floor> floors, String name, NmPattern pattern, double least, double goal) {
        floors.add(Floor.of("nm-prefill-" + name, pattern + " in f32, " + SIZE + " x " + SIZE + " and " + SIZE + " x "
            + LONG + ", T = " + PROMPT + ", over " + MKL + ", least", least, goal, List.of(
                new NmFloorCase(SIZE, SIZE, pattern, PROMPT, DType.F32, List.of(MKL)),
                new NmFloorCase(SIZE, LONG, pattern, PROMPT, DType.F32, List.of(MKL))),
            FloorMeasures.leastOver(MKL)));
    }

    /** From memory, as the weights of a decode step lie there. */
    private static void decode(List<Floor> floors, String id, NmPattern pattern, DType dtype, String peer,
            double least, double goal) {
        for (int tokens : new int[] {1, 4, 8}) {
            double share = tokens == 1 ? 1 : SEVERAL;
            floors.add(Floor.of(id + "-t" + tokens, pattern + " in " + dtype.id() + ", " + SIZE + " x " + SIZE
                + " from memory, T = " + tokens + ", over " + peer, share * least, share * goal,
                List.of(new NmFloorCase(SIZE, SIZE, pattern, tokens, dtype, List.of(peer))),
                FloorMeasures.leastOver(peer)));
        }
    }

    /** Of AMX tiles on both sides where there are some, else of vdpbf16ps on both. */
    private static Floor shared(String id, NmPattern pattern, double least, double goal) {
        Floor floor = Floor.of(id, pattern + " in bf16, " + SIZE + " x " + SIZE + ", T = 128 and 256, over " + ONEDNN
            + ", least", least, goal, IntStream.of(128, 256).mapToObj(tokens ->
                (FloorCase) new NmFloorCase(SIZE, SIZE, pattern, tokens, DType.BF16, List.of(ONEDNN))).toList(),
            FloorMeasures.leastOver(ONEDNN));
        String missing = Backend.AVX512.shortfalls().stream().map(Refusal::reason)
            .collect(Collectors.joining("; "));
        return floor.noted(missing);
    }

    private static Floor vector() {
        List<FloorCase> cases = new ArrayList<>();
        for (NmPattern pattern : List.of(HALF, QUARTER, EIGHTH)) {
            for (int tokens : new int[] {1, 8, PROMPT}) {
                cases.add(new NmFloorCase(SIZE, SIZE, pattern, tokens, DType.F32, List.of(VECTOR)));
            }
        }
        return Floor.of("nm-vector-api", "the Vector API's kernel over the AVX-512 kernel, f32, T = 1, 8 and "
            + PROMPT + ", least", 0.55, 0.8, cases, FloorMeasures.leastOf(VECTOR)).whereAvx512();
    }
}
