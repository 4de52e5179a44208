package dev.filigree.docs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the README shows is compiled, run and provoked. */
class ReadmeTest {

    private final Path repository = Path.of(System.getProperty("filigree.repository"));
    private final String readme = read(repository.resolve("README.md"));

    @TempDir
    private Path folder;

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new AssertionError("the README is missing", e);
        }
    }

    private Path compileExample() throws IOException {
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL).matcher(readme);
        assertThat(block.find()).isTrue();
        Path source = folder.resolve("Example.java");
        Files.writeString(source, block.group(1));
        int status = ToolProvider.getSystemJavaCompiler().run(null, null, null, "-Xlint:all", "-Werror", "-cp",
            System.getProperty("java.class.path"), "-d", folder.toString(), source.toString());
        assertThat(status).as("the README's example compiles without a warning").isZero();
        return folder;
    }

    private String runExample(String... flags) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(flags));
        command.addAll(List.of("-cp", System.getProperty("java.class.path") + File.pathSeparator + compileExample(),
            "Example"));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    @Test
    void theExampleRuns() throws Exception {
        String output = runExample("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED");
        assertThat(output).contains("1.0\n").contains("spmm on ");
    }

    @Test
    void theExampleRunsWithoutAnyFlagAndSaysWhatItMisses() throws Exception {
        String output = runExample();
        assertThat(output).contains("1.0\n")
            .contains(quoted("module jdk.incubator.vector is not in this JVM's module graph"))
            .contains("--add-modules jdk.incubator.vector");
    }

    @Test
    void deniedNativeAccessLeavesTheScalarBackendAndSaysWhy() throws Exception {
        String output = runExample("--add-modules", "jdk.incubator.vector", "--illegal-native-access=deny");
        assertThat(output).contains("1.0\n").contains("spmm on scalar")
            .contains(quoted("vector: native access is denied to Filigree's Java kernels"))
            .contains("--enable-native-access=ALL-UNNAMED");
    }

    /** The README quotes this text. */
    private String quoted(String text) {
        assertThat(readme).contains(text);
        return text;
    }
}
