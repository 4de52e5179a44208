package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Programs that tests start. A test that needs one which is not installed is skipped and says so. */
final class Tools {

    private static final int TIMEOUT_SECONDS = 120;

    private Tools() {}

    /** What a program printed, on both streams, and how it ended. */
    record Result(int exit, String output) {}

    /** A running program and the file that it prints to. */
    record Running(Process process, Path output) {

        Result await() throws IOException, InterruptedException {
            boolean ended = process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS);
            if (!ended) {
                process.destroyForcibly();
            }
            String text = Files.readString(output);
            Files.delete(output);
            assertThat(ended).as("ended in time; printed " + text).isTrue();
            return new Result(process.exitValue(), text);
        }
    }

    static void assumeInstalled(String program) {
        boolean installed = Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
        assumeTrue(installed, program + " is not installed");
    }

    static void assumeNatives() {
        assumeTrue(NativeLibrary.cpu() instanceof NativeLibrary.Loaded, () -> NativeLibrary.cpu().toString());
    }

    static Running start(List<String> command) throws IOException {
        Path output = Files.createTempFile("filigree-test", ".txt");
        return new Running(
            new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start(), output);
    }

    static Result run(String... command) throws IOException, InterruptedException {
        return start(List.of(command)).await();
    }

    /** Starts this JVM's java with the given arguments. */
    static Running java(String... arguments) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        // Children are short: the client compiler and the serial collector start fastest.
        List<String> command = new ArrayList<>(List.of(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"));
        command.addAll(List.of(arguments));
        return start(command);
    }

    /** Compiles a shared library from C source. */
    static Path library(Path folder, String fileName, String source) throws IOException, InterruptedException {
        assumeInstalled("cc");
        Path code = Files.writeString(folder.resolve(fileName + ".c"), source, StandardCharsets.UTF_8);
        Path library = folder.resolve(fileName);
        Result result = run("cc", "-shared", "-fPIC", "-o", library.toString(), code.toString());
        assertThat(result.exit()).as(result.output()).isZero();
        return library;
    }

    /** A library that says it speaks an ABI and does nothing else. */
    static Path libraryOfAbi(Path folder, String fileName, int abi) throws IOException, InterruptedException {
        return library(folder, fileName, "int filigree_abi_version(void) { return " + abi + "; }\n");
    }
}
