package dev.filigree.bench.peer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.Layout;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The protocol, without a process. */
class PeerServerTest {

    private static final SpmmPeerProblem.Shape SHAPE =
        new SpmmPeerProblem.Shape(2, 3, 3, 2, Layout.FEATURE_MAJOR, Activation.RELU, DType.F32);

    @TempDir
    private Path folder;

    private static List<String> serve(String... commands) throws IOException {
        ByteArrayOutputStream answers = new ByteArrayOutputStream();
        String lines = String.join("\n", commands).replace(' ', '\t') + "\n";
        new PeerServer(List.of(new FakePeers()), 1)
            .serve(new ByteArrayInputStream(lines.getBytes(StandardCharsets.UTF_8)), answers);
        return answers.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private Path shared() throws IOException {
        Path file = folder.resolve("shared");
        try (Arena arena = Arena.ofConfined(); FileChannel channel = FileChannel.open(file,
                StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            SpmmPeerProblem problem = SHAPE.over(
                channel.map(FileChannel.MapMode.READ_WRITE, 0, SHAPE.sharedBytes(), arena));
            for (int r = 0; r <= 2; r++) {
                problem.offsets().setAtIndex(ValueLayout.JAVA_LONG, r, List.of(0L, 2L, 3L).get(r));
            }
            for (int p = 0; p < 3; p++) {
                problem.columns().setAtIndex(ValueLayout.JAVA_INT, p, List.of(0, 2, 1).get(p));
                problem.values().setAtIndex(ValueLayout.JAVA_FLOAT, p, List.of(2f, 3f, -1f).get(p));
            }
            for (int i = 0; i < 6; i++) {
                problem.input().setAtIndex(ValueLayout.JAVA_FLOAT, i, i + 1f);
            }
        }
        return file;
    }

    @Test
    void opensRunsShowsAndCloses() throws IOException {
        Path file = shared();
        List<String> answers = serve("open 7 fake-right " + file + " 0 " + String.join(" ", SHAPE.words()), "run 7 3",
            "output 7", "close 7", "run 7 1");
        assertThat(answers).hasSize(5).allSatisfy(answer -> assertThat(answer).startsWith(PeerServer.MARK));
        assertThat(answers.get(0)).matches(".ok\t[0-9.E-]+\t36\t1\tfake-right \\+ activation pass");
        assertThat(answers.get(1)).matches(".ok\t[0-9]+");
        assertThat(answers.get(2)).isEqualTo(PeerServer.MARK + "ok");
        assertThat(answers.get(3)).isEqualTo(PeerServer.MARK + "ok");
        assertThat(answers.get(4)).isEqualTo(PeerServer.MARK + "error\tnothing is open as 7");
        try (Arena arena = Arena.ofConfined(); FileChannel channel = FileChannel.open(file)) {
            SpmmPeerProblem problem = SHAPE.over(
                channel.map(FileChannel.MapMode.READ_ONLY, 0, SHAPE.sharedBytes(), arena));
            assertThat(problem.output().toArray(ValueLayout.JAVA_FLOAT)).containsExactly(17, 22, 0, 0);
        }
    }

    @Test
    void takesTheFastestWayThatWorks() throws IOException {
        String open = "open 1 fake-choosy " + shared() + " 0 " + String.join(" ", SHAPE.words());
        int before = FakePeers.hopelessRuns;
        assertThat(serve(open)).singleElement().asString().endsWith("quick + activation pass");
        assertThat(FakePeers.hopelessRuns - before).as("runs of a variant that is far too slow").isEqualTo(1);
    }

    @Test
    void rotatesCopiesThatExceedTheCache() throws IOException {
        String open = " " + shared() + " 1000 " + String.join(" ", SHAPE.words());
        // 36 bytes of matrix, 24 of input, 16 of output: 4 * 1000 / 76 + 1 sets.
        assertThat(serve("open 1 fake-right" + open)).singleElement().asString().contains("\t53\t");
        assertThat(serve("open 1 fake-hoarding" + open)).singleElement().asString().contains("error\t")
            .contains("too many to rotate");
    }

    @Test
    void aRefusalIsOneLine() throws IOException {
        String open = " " + shared() + " 0 " + String.join(" ", SHAPE.words());
        assertThat(serve("open 1 fake-refusing" + open, "open 2 nobody-sparse" + open, "dance 1")).containsExactly(
            PeerServer.MARK + "error\tfake-refusing: not this one",
            PeerServer.MARK + "error\tnot part of this build; ./filigree ... --peers builds it in",
            PeerServer.MARK + "error\tno such command: dance");
    }
}
