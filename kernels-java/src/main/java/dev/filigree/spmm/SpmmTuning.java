package dev.filigree.spmm;

import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What {@link Spmm#tune} has measured on a machine, kept in a text file: for each problem, how its matrix is best
 * packed. Plans whose {@linkplain SpmmOptions#tuning options} name it and that find their problem in it need no
 * estimates.
 *
 * <p>A line is {@code problem = choice}, such as {@code vector 2048x512/104858 n128 feature-major t2 = tile 192}, or
 * {@code ... = dense}. Lines that begin with {@code #} and blank lines are skipped. Results do not depend on the
 * choice beyond what {@link FallbackDense} says. Thread-safe.
 */
public final class SpmmTuning {

    private static final Pattern LINE = Pattern.compile(
        "(\\S+ \\d+x\\d+/\\d+ n\\d+ \\S+ t\\d+) = (?:tile (\\d{1,9})|(dense))");

    /**
     * How a matrix is packed.
     *
     * @param tileRows columns of A in a block, at least 1; 0 when dense
     * @param dense whether the dense form runs
     */
    record Choice(int tileRows, boolean dense) {

        static final Choice DENSE = new Choice(0, true);

        static Choice tile(int rows) {
            return new Choice(rows, false);
        }

        @Override
        public String toString() {
            return dense ? "dense" : "tile " + tileRows;
        }
    }

    private final Path file;
    private final Map<String, Choice> choices = new TreeMap<>();

    private SpmmTuning(Path file) {
        this.file = file;
    }

    /**
     * Reads a file, or begins an empty one that the first {@link Spmm#tune} writes.
     *
     * @throws IOException if the file exists and cannot be read, or a line of it is not one of ours; names the line
     */
    public static SpmmTuning open(Path file) throws IOException {
        SpmmTuning tuning = new SpmmTuning(Objects.requireNonNull(file, "file"));
        List<String> lines;
        try {
            lines = Files.readAllLines(file, StandardCharsets.UTF_8);
        } catch (NoSuchFileException e) {
            return tuning;
        } catch (MalformedInputException e) {
            throw new IOException(file + " is not a text file", e);
        }
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i).strip();
            if (line.isEmpty() || line.startsWith("#")) {
                continue;
            }
            Matcher matcher = LINE.matcher(line);
            if (!matcher.matches()) {
                throw new IOException(file + ", line " + (i + 1) + ": not 'problem = choice': " + abbreviated(line));
            }
            Choice choice = matcher.group(3) != null
                ? Choice.DENSE : Choice.tile(Integer.parseInt(matcher.group(2)));
            if (!choice.dense && choice.tileRows == 0) {
                throw new IOException(file + ", line " + (i + 1) + ": a tile has at least 1 row");
            }
            tuning.choices.put(matcher.group(1), choice);
        }
        return tuning;
    }

    private static String abbreviated(String line) {
        return line.length() <= 60 ? line : line.substring(0, 60) + "...";
    }

    /** How many problems are in it. */
    public synchronized int size() {
        return choices.size();
    }

    synchronized Optional<Choice> find(String problem) {
        return Optional.ofNullable(choices.get(problem));
    }

    /** Adds a choice and writes the file, whole or not at all. */
    synchronized void put(String problem, Choice choice) throws IOException {
        Map<String, Choice> all = new TreeMap<>(choices);
        all.put(problem, choice);
        List<String> lines = new ArrayList<>();
        lines.add("# Filigree: measured on this machine, of no use on another.");
        all.forEach((key, value) -> lines.add(key + " = " + value));
        Path folder = file.toAbsolutePath().getParent();
        Path temporary = Files.createTempFile(folder, file.getFileName().toString(), ".tmp");
        try {
            Files.write(temporary, lines, StandardCharsets.UTF_8);
            try {
                Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            Files.deleteIfExists(temporary);
        }
        choices.put(problem, choice);
    }

    @Override
    public String toString() {
        return "SpmmTuning[" + file + ", " + size() + " problems]";
    }
}
