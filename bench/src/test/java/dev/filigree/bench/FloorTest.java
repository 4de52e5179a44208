package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class FloorTest {

    private static FloorCase.Times times(double ours, double peer, double sparsity, long nnz) {
        return new FloorCase.Times("case", Map.of("ours", ours, "peer", peer), sparsity, nnz, Optional.empty(), false);
    }

    /** A case that takes what it says. */
    private record Fixed(String label, double ours, double peer, String error) implements FloorCase {
        @Override
        public Times measure(Context context) {
            return new Times(label, error == null ? Map.of("ours", ours, "peer", peer) : Map.of(), 0.9, 10,
                Optional.ofNullable(error), "wrong".equals(error));
        }
    }

    private static Floor floor(double least, FloorCase... cases) {
        return Floor.of("id", "what", least, 2, List.of(cases), FloorMeasures.geomeanOver("peer"));
    }

    @Test
    void measuresFollowFromTimes() {
        List<FloorCase.Times> all = List.of(times(1, 2, 0.5, 100), times(2, 16, 0.9, 1000));
        assertThat(FloorMeasures.geomeanOver("peer").applyAsDouble(all)).isCloseTo(4, within(1e-12));
        assertThat(FloorMeasures.totalOver("peer").applyAsDouble(all)).isCloseTo(6, within(1e-12));
        assertThat(FloorMeasures.leastOver("peer").applyAsDouble(all)).isEqualTo(2);
        // 2 * (1 - 0.5) and 8 * (1 - 0.9).
        assertThat(FloorMeasures.shareOfSavedWork("peer").applyAsDouble(all))
            .isCloseTo(Math.sqrt(0.8), within(1e-12));
        // 10 and 2 thousandths a nonzero.
        assertThat(FloorMeasures.evennessPerNonzero(all)).isCloseTo(0.2, within(1e-12));
    }

    @Test
    void aFloorIsMetMissedOrNotMeasured() {
        List<FloorCase.Times> twice = List.of(times(1, 2, 0, 1));
        FloorCase any = new Fixed("a", 1, 2, null);
        assertThat(floor(2, any).judge(twice).verdict()).isEqualTo(Floor.Verdict.MET);
        assertThat(floor(2.01, any).judge(twice).verdict()).isEqualTo(Floor.Verdict.MISSED);
        Floor.Outcome missing = floor(1, any).missing("no way").judge(List.of());
        assertThat(missing.verdict()).isEqualTo(Floor.Verdict.NOT_MEASURED);
        assertThat(missing.why()).isEqualTo("no way");
    }

    @Test
    void casesWithoutFiguresAreLeftOutAndSaidSo() {
        FloorCase.Times failed = FloorCase.Times.failed("b", "no library");
        Floor floor = floor(1, new Fixed("a", 1, 2, null), new Fixed("b", 1, 1, "no library"));
        Floor.Outcome some = floor.judge(List.of(times(1, 2, 0, 1), failed));
        assertThat(some.measure()).isEqualTo(2);
        assertThat(some.used()).isEqualTo(1);
        assertThat(some.why()).contains("1 of 2 cases failed").contains("b: no library");
        Floor.Outcome none = floor.judge(List.of(failed, failed));
        assertThat(none.verdict()).isEqualTo(Floor.Verdict.NOT_MEASURED);
        assertThat(none.why()).isEqualTo("b: no library");
    }

    @Test
    void aRatioToAPathOfOursNeedsThatPathsFloor() {
        FloorCase any = new Fixed("a", 2, 4, null);
        List<FloorCase.Times> twice = List.of(times(2, 4, 0, 1));
        assertThat(floor(2, any).on(floor(2, any)).judge(twice).verdict()).isEqualTo(Floor.Verdict.MET);
        Floor.Outcome missed = floor(2, any).on(floor(3, any)).judge(twice);
        assertThat(missed.verdict()).isEqualTo(Floor.Verdict.MISSED);
        assertThat(missed.measure()).isEqualTo(2);
        assertThat(missed.why()).isEqualTo("id is not met");
    }

    @Test
    void aContenderThatIsAbsentLeavesItsFloorsUnmeasured() {
        FloorCase.Times alone = new FloorCase.Times("a", Map.of("ours", 1.0), 0, 0, Optional.empty(), false,
            Map.of("peer", "not part of this build"));
        Floor floor = Floor.of("id", "what", 1, 2, List.of(new Fixed("a", 1, 1, null)),
            times -> times.getFirst().of("peer") / times.getFirst().of("ours"));
        Floor.Outcome outcome = floor.judge(List.of(alone));
        assertThat(outcome.verdict()).isEqualTo(Floor.Verdict.NOT_MEASURED);
        assertThat(outcome.why()).isEqualTo("peer: not part of this build");
    }

    @Test
    void floorsOfAttentionShareTheirCases() {
        List<Floor> floors = AttentionFloors.floors(Optional.empty());
        assertThat(floors).extracting(Floor::id).doesNotHaveDuplicates().contains("attention-f32-64-dense",
            "attention-f32-128-causal", "attention-f32-64-5", "attention-f32-128-sparse", "attention-f32-64-vector",
            "attention-bf16-128-dense", "attention-bf16-64-10", "attention-decode-f32-stream",
            "attention-decode-bf16-10");
        assertThat(floors.stream().flatMap(floor -> floor.cases().stream()).distinct()).hasSize(8);
    }

    private static CommandLineRun command(Floor floor, String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = new CommandLine(new BenchFloorsCommand(Map.of("fake", data -> List.of(floor))))
            .setOut(new PrintWriter(out)).setErr(new PrintWriter(err)).execute(arguments);
        return new CommandLineRun(code, out.toString(), err.toString());
    }

    @Test
    void commandPrintsEveryFloor() {
        Floor floor = floor(1.5, new Fixed("a", 1, 2, null), new Fixed("b", 2, 4, null));
        assertThat(command(floor, "--family", "fake").out()).containsPattern("id +2.00 +1.50 +2.00 +met +2 +what");
        JsonObject json = JsonParser.parseString(command(floor, "--family", "fake", "--json").out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("floors");
        JsonObject result = json.getAsJsonArray("results").get(0).getAsJsonObject();
        assertThat(result.keySet())
            .containsExactly("name", "what", "ratio", "floor", "goal", "verdict", "cases", "times");
        assertThat(result.get("ratio").getAsDouble()).isEqualTo(2);
        assertThat(result.get("verdict").getAsString()).isEqualTo("met");
        assertThat(result.getAsJsonArray("times")).extracting(Object::toString).containsExactly(
            "{\"case\":\"a\",\"median_ms\":{\"ours\":1.0,\"peer\":2.0}}",
            "{\"case\":\"b\",\"median_ms\":{\"ours\":2.0,\"peer\":4.0}}");
    }

    @Test
    void commandMeasuresTheFloorsThatAreNamed() {
        Floor floor = floor(1, new Fixed("a", 1, 2, null));
        assertThat(command(floor, "--family", "fake", "--only", floor.id()).out()).contains("met");
        CommandLineRun unknown = command(floor, "--family", "fake", "--only", "nothing");
        assertThat(unknown.code()).isEqualTo(Main.BAD_INPUT);
        assertThat(unknown.err()).contains("'--only': 'nothing' is not one of " + floor.id());
    }

    @Test
    void aMissedFloorIsNoErrorAndAWrongResultIs() {
        assertThat(command(floor(3, new Fixed("a", 1, 2, null)), "--family", "fake").code()).isEqualTo(Main.OK);
        CommandLineRun wrong = command(floor(1, new Fixed("a", 1, 2, "wrong")), "--family", "fake");
        assertThat(wrong.code()).isEqualTo(Main.FAILED);
        assertThat(wrong.out()).contains("not measured: a: wrong");
    }

    @Test
    void floorsOfSpmmNeedTheirData() throws IOException {
        List<Floor> floors = SpmmFloors.floors(Optional.empty());
        assertThat(floors).extracting(Floor::id).doesNotHaveDuplicates().contains("spmm-transformer-n1",
            "spmm-transformer-dense", "spmm-resnet", "spmm-matrix-market", "spmm-mediapipe", "spmm-dense-path",
            "spmm-two-threads", "spmm-growth", "spmm-vector", "spmm-vector-least", "spmm-packing");
        assertThat(floors).filteredOn(floor -> floor.missing().equals(Optional.of("needs --data"))).hasSize(12);
    }

    @Test
    void floorsOfSpmmFindTheirData(@TempDir Path data) throws IOException {
        String pattern = "4, 4, 4\n0 1 2 3 4\n0 1 2 3\n";
        write(data.resolve("sparse/dlmc/transformer/a/b.smtx"), pattern);
        write(data.resolve("sparse/dlmc/rn50/a/layer.smtx"), pattern);
        write(data.resolve("sparse/dlmc/rn50/a/nameless.smtx"), pattern);
        write(data.resolve("sparse/dlmc/rn50_batchsizes.txt"), "layer,49\n");
        write(data.resolve("sparse/mtx/good.mtx"), "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 1.0\n");
        write(data.resolve("sparse/mtx/bad.mtx"), "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1.0\n");
        Map<String, Floor> floors = new HashMap<>();
        SpmmFloors.floors(Optional.of(data)).forEach(floor -> floors.put(floor.id(), floor));
        assertThat(floors.get("spmm-transformer-n8").cases()).extracting(FloorCase::label)
            .containsExactly("b.smtx N=8");
        // 75 % sparse: N = 128 and 256.
        assertThat(floors.get("spmm-transformer-dense").cases()).hasSize(2)
            .isSubsetOf(Stream.of("128", "256")
                .flatMap(n -> floors.get("spmm-transformer-n" + n).cases().stream()).toList());
        assertThat(floors.get("spmm-resnet").cases()).extracting(FloorCase::label).containsExactly("layer.smtx N=49");
        assertThat(floors.get("spmm-resnet").note()).contains("nameless.smtx");
        assertThat(floors.get("spmm-matrix-market").cases()).hasSize(2);
        assertThat(floors.get("spmm-matrix-market").note()).contains("bad.mtx:3");
        assertThat(floors.get("spmm-mediapipe").missing()).isPresent();
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }
}
