package dev.filigree.bench.peer;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** The measuring process's end of a {@link PeerServer}. Used by one thread. */
final class PeerProcess implements AutoCloseable {

    /** Whoever takes longer than this for one command hangs. */
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final int EXIT_MILLIS = 5_000;

    private final Process process;
    private final BufferedReader answers;
    private final BufferedWriter commands;
    private final Path errors;

    private PeerProcess(Process process, Path errors) {
        this.process = process;
        this.errors = errors;
        answers = process.inputReader(StandardCharsets.UTF_8);
        commands = process.outputWriter(StandardCharsets.UTF_8);
    }

    /**
     * Starts a helper with the class path of this process.
     *
     * @param folder of files that the two share
     */
    static PeerProcess start(String vendor, int threads, Path folder) throws IOException {
        List<String> command = new ArrayList<>(List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
            "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xbatch",
            "-XX:+UseSerialGC", "-XX:-UsePerfData"));
        String natives = System.getProperty(PeerPool.NATIVES);
        if (natives != null) {
            command.add("-D" + PeerPool.NATIVES + "=" + natives);
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), PeerServer.class.getName(),
            Integer.toString(threads)));
        Path errors = folder.resolve(vendor + ".err");
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
        environment(builder.environment(), threads, natives == null ? null : new File(natives));
        return new PeerProcess(builder.start(), errors);
    }

    /** Fixed before any library loads, since thread pools read it then. */
    private static void environment(Map<String, String> environment, int threads, File natives) {
        String count = Integer.toString(threads);
        for (String variable : List.of("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")) {
            environment.put(variable, count);
        }
        environment.put("OMP_DYNAMIC", "FALSE");
        environment.put("MKL_DYNAMIC", "FALSE");
        // Threads that spin on after their work would slow whoever is measured next.
        environment.put("KMP_BLOCKTIME", "1");
        environment.put("GOMP_SPINCOUNT", "100000");
        // Libraries of one vendor find each other here.
        File[] folders = natives == null ? null : new File(natives, "org/bytedeco").listFiles(File::isDirectory);
        if (folders != null) {
            environment.put("LD_LIBRARY_PATH", Arrays.stream(folders)
                .map(folder -> new File(folder, PeerPool.PLATFORM).toString())
                .collect(Collectors.joining(File.pathSeparator)));
        }
    }

    /**
     * Sends a command and waits for the answer.
     *
     * @return the words after {@code ok}
     * @throws PeerException if the answer is an error, or there is none
     */
    List<String> ask(String... words) {
        try {
            commands.write(String.join("\t", words));
            commands.newLine();
            commands.flush();
        } catch (IOException e) {
            throw new PeerException(epitaph(), e);
        }
        // A hanging library must not hang the measurement: the end of its process ends the wait.
        CompletableFuture<Void> watchdog = CompletableFuture.runAsync(process::destroyForcibly,
            CompletableFuture.delayedExecutor(PATIENCE.toSeconds(), TimeUnit.SECONDS));
        try {
            String line = answers.readLine();
            while (line != null && !line.contains(PeerServer.MARK)) {
                line = answers.readLine();
            }
            if (line == null) {
                throw new PeerException(epitaph());
            }
            // What a library printed without an end of line comes before the mark.
            List<String> answer = List.of(line.substring(line.indexOf(PeerServer.MARK) + 1).split("\t"));
            if (!answer.getFirst().equals("ok")) {
                throw new PeerException(String.join(" ", answer.subList(1, answer.size())));
            }
            return answer.subList(1, answer.size());
        } catch (IOException e) {
            throw new PeerException(epitaph(), e);
        } finally {
            watchdog.cancel(false);
        }
    }

    /** Whether it can still be asked. */
    boolean isAlive() {
        return process.isAlive();
    }

    private String epitaph() {
        try {
            String code = process.waitFor(EXIT_MILLIS, TimeUnit.MILLISECONDS)
                ? "with code " + process.exitValue() : "without an answer";
            List<String> lines = Files.readString(errors, StandardCharsets.ISO_8859_1).lines()
                .filter(line -> !line.isBlank() && !line.startsWith("WARNING: Using incubator")).toList();
            return "its process ended " + code + (lines.isEmpty() ? "" : ": " + lines.getFirst());
        } catch (IOException e) {
            return "its process ended: " + e;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }

    /** Ends the process and waits until it has ended. */
    @Override
    public void close() {
        try {
            commands.close();
        } catch (IOException e) {
            // It has ended by itself, then.
        }
        try {
            if (!process.waitFor(EXIT_MILLIS, TimeUnit.MILLISECONDS)) {
                process.destroyForcibly().waitFor();
            }
            answers.close();
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
