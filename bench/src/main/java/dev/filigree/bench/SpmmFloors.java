package dev.filigree.bench;

import dev.filigree.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** The floors of SpMM; one thread where nothing else is said. */
final class SpmmFloors {

    private static final String SPARSE = "mkl-sparse";
    private static final String DENSE = "mkl-dense";
    private static final String VECTOR = SpmmContender.name(Backend.VECTOR);
    private static final String NEEDS_DATA = "needs --data";

    /** N, the least speed-up over the sparse peer, and the goal. */
    private record Step(int n, double least, double goal) {}

    private static final List<Step> TRANSFORMER = List.of(new Step(256, 1.4, 1.9), new Step(128, 1.3, 1.8),
        new Step(32, 1.15, 1.6), new Step(8, 1.2, 2), new Step(1, 1.3, 2));

    /** Sparsity that files write as 0.7 is a little less when rounded to whole nonzeros. */
    private static final double FROM_SPARSITY = 0.695;
    private static final double TO_SPARSITY = 0.955;
    /** N from which a dense product is near the machine's limit, so that a share of the saved work means something. */
    private static final int WIDE = 128;
    private static final int IMAGE_PIXELS = 576;
    /** Packed row by row, and in turns. */
    private static final List<Integer> PACKINGS = List.of(128, 1);

    private SpmmFloors() {}

    /** @param data a folder of published matrices, if there is one */
    static List<Floor> floors(Optional<Path> data) throws IOException {
        List<Floor> floors = new ArrayList<>();
        transformer(floors, data);
        floors.add(resNet(data));
        floors.add(graphs(data));
        floors.add(mediaPipe(data));
        floors.add(densePath());
        floors.add(threads());
        floors.add(Floor.of("spmm-growth", "time per nonzero, best over worst, 1e5 to 1e8 nonzeros, N = 128", 0.5, 0.5,
            SpmmScalingCases.growing(), FloorMeasures::evennessPerNonzero));
        return floors;
    }

    private static void transformer(List<Floor> floors, Optional<Path> data) throws IOException {
        List<SpmmFileCase> files = new ArrayList<>();
        for (Path file : files(data, "sparse/dlmc/transformer", ".smtx")) {
            files.add(new SpmmFileCase(file, 0, List.of()));
        }
        List<FloorCase> all = new ArrayList<>();
        List<FloorCase> wide = new ArrayList<>();
        for (Step step : TRANSFORMER) {
            boolean isWide = step.n >= WIDE;
            List<FloorCase> cases = new ArrayList<>();
            for (SpmmFileCase file : files) {
                SpmmFileCase theCase =
                    new SpmmFileCase(file.file(), step.n, isWide ? List.of(SPARSE, DENSE, VECTOR) : List.of(SPARSE));
                cases.add(theCase);
                if (isWide) {
                    all.add(theCase);
                }
                double sparsity = isWide ? file.sparsity() : 0;
                if (sparsity >= FROM_SPARSITY && sparsity <= TO_SPARSITY) {
                    wide.add(theCase);
                }
            }
            floors.add(ofData(data, Floor.of("spmm-transformer-n" + step.n,
                "DLMC Transformer patterns, N = " + step.n + ", over " + SPARSE + ", geomean", step.least, step.goal,
                cases, FloorMeasures.geomeanOver(SPARSE))));
        }
        floors.add(ofData(data, Floor.of("spmm-transformer-dense", "the same, 70 to 95 %, N = 128 and 256, over "
            + DENSE + " times (1 - s), geomean", 0.43, 0.55, wide, FloorMeasures.shareOfSavedWork(DENSE))));
        String vector = "the Vector API's kernel over the AVX-512 kernel, all of them, N = 128 and 256, ";
        floors.add(ofData(data, Floor.of("spmm-vector", vector + "geomean", 0.55, 0.8, all,
            times -> 1 / FloorMeasures.geomeanOver(VECTOR).applyAsDouble(times)).whereAvx512()));
        floors.add(ofData(data, Floor.of("spmm-vector-least", vector + "least", 0.4, 0.55, all,
            FloorMeasures.leastOf(VECTOR)).whereAvx512()));
        List<FloorCase> packing = new ArrayList<>();
        for (int n : PACKINGS) {
            files.forEach(file -> packing.add(new SpmmPackingCase(file.file(), n)));
        }
        floors.add(ofData(data, Floor.of("spmm-packing", SpmmPackingCase.LIMIT_NANOS + " ns over packing a nonzero of "
            + "them for N = 1 and 128, the packer compiled, least", 1, 1, packing,
            FloorMeasures.leastOver(SpmmPackingCase.LIMIT))));
    }

    private static Floor resNet(Optional<Path> data) throws IOException {
        List<FloorCase> cases = new ArrayList<>();
        List<String> left = new ArrayList<>();
        Map<String, Integer> widths = data.isEmpty() ? Map.of()
            : widths(data.get().resolve("sparse/dlmc/rn50_batchsizes.txt"));
        for (Path file : files(data, "sparse/dlmc/rn50", ".smtx")) {
            Integer n = widths.get(stem(file));
            if (n == null) {
                left.add(file.getFileName() + " (no N)");
            } else {
                cases.add(new SpmmFileCase(file, n, List.of(SPARSE)));
            }
        }
        return ofData(data, Floor.of("spmm-resnet", "DLMC ResNet-50 patterns, N of their layers, over " + SPARSE
            + ", geomean", 1.3, 1.8, cases, FloorMeasures.geomeanOver(SPARSE))).noted(leftOut(left));
    }

    private static Floor graphs(Optional<Path> data) throws IOException {
        List<FloorCase> cases = new ArrayList<>();
        List<String> left = new ArrayList<>();
        for (Path file : files(data, "sparse/mtx", ".mtx")) {
            try {
                MatrixFiles.read(file, SpmmFileCase.SEED);
                for (int n : List.of(32, 128)) {
                    cases.add(new SpmmFileCase(file, n, List.of(SPARSE)));
                }
            } catch (InputException e) {
                left.add(e.getMessage().replace(file.getParent() + "/", ""));
            }
        }
        return ofData(data, Floor.of("spmm-matrix-market", "structural and graph matrices, N = 32 and 128, over "
            + SPARSE + ", geomean", 1.2, 2, cases, FloorMeasures.geomeanOver(SPARSE))).noted(leftOut(left));
    }

    private static Floor mediaPipe(Optional<Path> data) throws IOException {
        List<FloorCase> cases = new ArrayList<>();
        for (Path file : files(data, "models/mediapipe/full_range_sparse_mtx", ".mtx")) {
            cases.add(new SpmmFileCase(file, IMAGE_PIXELS, List.of(DENSE)));
        }
        return ofData(data, Floor.of("spmm-mediapipe", "MediaPipe's sparse layers, N = " + IMAGE_PIXELS + ", over "
            + DENSE + ", total time", 1.5, 2.5, cases, FloorMeasures.totalOver(DENSE)));
    }

    private static Floor densePath() {
        List<FloorCase> cases = new ArrayList<>();
        for (int size = 512; size <= 4096; size *= 2) {
            cases.add(new SpmmDenseCase(size, DENSE));
        }
        return Floor.of("spmm-dense-path", "our own dense path, 512 to 4096 cubed, over " + DENSE + ", least", 0.9, 1,
            cases, FloorMeasures.leastOver(DENSE));
    }

    private static Floor threads() {
        Floor floor = Floor.of("spmm-two-threads", "two threads over one, plans of 20 MFLOP and more, least", 1.55, 1.8,
            SpmmScalingCases.twoThreads(), FloorMeasures.leastOver(SpmmScalingCases.ONE_THREAD));
        return Runtime.getRuntime().availableProcessors() > 1 ? floor : floor.missing("this machine has one core");
    }

    private static Floor ofData(Optional<Path> data, Floor floor) {
        return data.isEmpty() ? floor.missing(NEEDS_DATA)
            : floor.cases().isEmpty() ? floor.missing("no files for it in " + data.get()) : floor;
    }

    private static String leftOut(List<String> files) {
        return files.isEmpty() ? "" : "left out: " + String.join(", ", files);
    }

    private static List<Path> files(Optional<Path> data, String folder, String suffix) throws IOException {
        if (data.isEmpty() || !Files.isDirectory(data.get().resolve(folder))) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(data.get().resolve(folder))) {
            return files.filter(file -> file.toString().endsWith(suffix)).sorted().toList();
        }
    }

    /** Lines of a layer's name and its N: the pixels of its output. */
    private static Map<String, Integer> widths(Path file) throws IOException {
        Map<String, Integer> widths = new HashMap<>();
        if (Files.exists(file)) {
            for (String line : Files.readAllLines(file)) {
                String[] parts = line.strip().split(",");
                if (parts.length == 2) {
                    widths.put(parts[0].strip(), Integer.valueOf(parts[1].strip()));
                }
            }
        }
        return widths;
    }

    private static String stem(Path file) {
        return file.getFileName().toString().replaceFirst("\\.[^.]*$", "");
    }
}
