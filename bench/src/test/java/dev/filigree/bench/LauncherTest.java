package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher script, in a tree of its own with a java that tells how it was called. */
class LauncherTest {

    /** Maven runs the tests of a module in its folder. */
    private static final Path SCRIPT = Path.of("../filigree");

    @TempDir
    private Path root;
    private Path jdk;

    @BeforeEach
    void layOut() throws IOException {
        assumeTrue(Files.isExecutable(SCRIPT) && Files.isExecutable(Path.of("/bin/bash")), "no launcher here");
        root = Files.createDirectory(root.resolve("a root"));
        Files.copy(SCRIPT, root.resolve("filigree"));
        executable(root.resolve("filigree"));
        touch(root.resolve("pom.xml"), 1_000);
        touch(root.resolve("bench/target/filigree-bench.jar"), 2_000);
        touch(root.resolve("bench/target/launcher.stamp"), 2_000);
        jdk = root.resolve("a jdk");
        script(jdk.resolve("bin/javac"), "exit 0");
        script(jdk.resolve("bin/java"), """
            echo 'Picked up something' >&2
            echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2
            printf 'no end of line' >&2
            for argument; do printf '[%s]\\n' "$argument"; done
            exit 7
            """);
        Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"99.0.1\"\n");
    }

    private static void executable(Path file) throws IOException {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private static void script(Path file, String body) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, "#!/bin/sh\n" + body + "\n");
        executable(file);
    }

    private static void touch(Path file, long seconds) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, "");
        Files.setLastModifiedTime(file, FileTime.from(seconds, TimeUnit.SECONDS));
    }

    private CommandLineRun launch(String... arguments) throws IOException, InterruptedException {
        // The script's filter of stderr may outlive the script: the pipe into cat ends when both have.
        List<String> command = new ArrayList<>(List.of("bash", "-c",
            "out=$1; shift; \"$@\" 2>&1 > \"$out\" | cat; exit ${PIPESTATUS[0]}", "bash"));
        Path out = Files.createTempFile("out", "");
        command.add(out.toString());
        command.add(root.resolve("filigree").toString());
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).directory(root.getParent().toFile());
        builder.environment().put("JAVA_HOME", jdk.toString());
        builder.environment().put("FILIGREE_JAVA_OPTS", "-Xmx1g -Dx=y");
        // A build would need it; this tree's is up to date, or the test wants to see that it is not.
        builder.environment().put("PATH", root.resolve("bin") + ":" + System.getenv("PATH"));
        Process process = builder.start();
        String err = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = process.waitFor();
        CommandLineRun run = new CommandLineRun(code, Files.readString(out), err);
        Files.delete(out);
        return run;
    }

    @Test
    void passesArgumentsAsTheyAre() throws IOException, InterruptedException {
        CommandLineRun run = launch("bench", "a b", "", "$HOME", "*", "\"q\"", "--matrix=ü.mtx");
        assertThat(run.code()).isEqualTo(7);
        List<String> arguments = run.out().lines().toList();
        assertThat(arguments).endsWith("[dev.filigree.bench.Main]", "[bench]", "[a b]", "[]", "[$HOME]", "[*]",
            "[\"q\"]", "[--matrix=ü.mtx]");
        assertThat(arguments).containsSubsequence("[--add-modules]", "[jdk.incubator.vector]", "[-Xmx1g]", "[-Dx=y]",
            "[-cp]");
    }

    @Test
    void dropsOnlyTheIncubatorNotice() throws IOException, InterruptedException {
        assertThat(launch("info").err()).isEqualTo("Picked up something\nno end of line");
    }

    @Test
    void buildsWhatIsStale() throws IOException, InterruptedException {
        script(root.resolve("bin/mvn"), "echo \"mvn $*\" >> '" + root.resolve("calls") + "'");
        assertThat(launch("info").err()).doesNotContain("building");
        touch(root.resolve("kernels-java/src/main/java/A.java"), 3_000);
        assertThat(launch("info").err()).startsWith("building (first run takes a minute or two)...\n");
        assertThat(launch("info").err()).doesNotContain("building");
        assertThat(Files.readString(root.resolve("calls"), StandardCharsets.UTF_8).lines()).hasSize(1)
            .allSatisfy(call -> assertThat(call).contains("-DskipTests package").contains("a root/pom.xml"));
    }

    @Test
    void buildsPeersOnceTheyAreAskedFor() throws IOException, InterruptedException {
        Path built = root.resolve("bench/target/classes/dev/filigree/bench/peers/Mkl.class");
        script(root.resolve("bin/mvn"), "echo \"mvn $*\" >> '" + root.resolve("calls") + "'\n"
            + "mkdir -p '" + built.getParent() + "' && touch '" + built + "'");
        assertThat(launch("bench", "spmm", "--n", "1").err()).doesNotContain("building").doesNotContain("fetching");
        assertThat(launch("bench", "spmm", "--peers", "mkl").err()).contains("building").contains("fetching");
        assertThat(launch("bench", "floors", "--family", "spmm").err()).doesNotContain("building");
        assertThat(launch("bench", "spmm", "--peers=mkl").err()).doesNotContain("building");
        touch(root.resolve("kernels-java/src/main/java/A.java"), System.currentTimeMillis() / 1000 + 1_000);
        assertThat(launch("info").err()).contains("building").doesNotContain("fetching");
        assertThat(Files.readString(root.resolve("calls"), StandardCharsets.UTF_8).lines()).hasSize(2)
            .allSatisfy(call -> assertThat(call).contains("-Ppeers").contains("-DskipTests package"));
    }

    @Test
    void aFailedBuildShowsItsLog() throws IOException, InterruptedException {
        script(root.resolve("bin/mvn"), "echo 'a compiler error'; exit 1");
        touch(root.resolve("bench/src/A.java"), 3_000);
        CommandLineRun run = launch("info");
        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains("a compiler error").contains("the build failed");
        assertThat(run.out()).isEmpty();
    }
}
