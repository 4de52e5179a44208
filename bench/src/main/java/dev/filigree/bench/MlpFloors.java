package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.bench.MlpFloorCase.Other;
import dev.filigree.bench.MlpProblem.Skip;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The floors of contextual sparsity. */
final class MlpFloors {

    private MlpFloors() {}

    /** No floor needs data. */
    static List<Floor> floors(Optional<Path> data) {
        List<Floor> floors = new ArrayList<>();
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            String prefix = "mlp-" + dtype.id() + "-";
            floors.add(over(prefix + "list-10", new MlpFloorCase(dtype, 1, Skip.LIST, 0.1, Other.PEER), 6, 8.5));
            floors.add(over(prefix + "list-30", new MlpFloorCase(dtype, 1, Skip.LIST, 0.3, Other.PEER), 2.4, 2.9));
            floors.add(over(prefix + "predictor-10", new MlpFloorCase(dtype, 1, Skip.PREDICTOR, 0.1, Other.PEER), 4.2,
                5.5));
            floors.add(over(prefix + "gate-10", new MlpFloorCase(dtype, 1, Skip.GATE, 0.1, Other.PEER), 2, 2.4));
            floors.add(over(prefix + "input-50", new MlpFloorCase(dtype, 1, Skip.INPUT, 0.5, Other.PEER), 1.6, 1.85));
            for (int tokens : new int[] {4, 8}) {
                floors.add(over(prefix + "tokens-" + tokens,
                    new MlpFloorCase(dtype, tokens, Skip.LIST, 0.1, Other.PEER), 1, 1.5));
            }
        }
        // Of our own kernels, how many times faster the others are than those.
        MlpFloorCase vector = new MlpFloorCase(DType.F32, 1, Skip.LIST, 0.1, Other.VECTOR);
        floors.add(Floor.of("mlp-vector", "the Vector API's kernels over the AVX-512 kernels, " + vector.label(), 0.55,
            0.8, List.of(vector), FloorMeasures.leastOf(MlpFloorCase.OTHER)).whereAvx512());
        floors.add(over("mlp-dense-path", new MlpFloorCase(DType.F32, 1, Skip.LIST, 1, Other.READING), 0.9, 1));
        return floors;
    }

    private static Floor over(String id, MlpFloorCase theCase, double least, double goal) {
        return Floor.of(id, theCase.label(), least, goal, List.of(theCase),
            FloorMeasures.leastOver(MlpFloorCase.OTHER));
    }
}
