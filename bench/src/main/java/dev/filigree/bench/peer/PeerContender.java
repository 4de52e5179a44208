package dev.filigree.bench.peer;

import dev.filigree.bench.measure.Contender;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/** A peer's problem in its helper process. */
abstract class PeerContender implements Contender {

    /** The parts of the answer to {@code open}. */
    private record Opened(double packMillis, long packedBytes, int sets, String kernel) {
        static Opened parse(List<String> words) {
            return new Opened(Double.parseDouble(words.get(0)), Long.parseLong(words.get(1)),
                Integer.parseInt(words.get(2)), words.get(3));
        }
    }

    private final Arena arena = Arena.ofShared();
    private final PeerProcess process;
    private final String id;
    private final String name;
    private final Path file;
    private Opened opened;

    /**
     * A peer that is not open yet.
     *
     * @param id that the process is to know it by
     * @param file to share its problem in
     */
    PeerContender(PeerProcess process, String id, String name, Path file) {
        this.process = process;
        this.id = id;
        this.name = name;
        this.file = file;
    }

    /**
     * Shares a problem, and has the process pack it.
     *
     * @param filler writes the operands
     * @param cache as of {@link PeerPool#open}
     * @throws PeerException if the peer cannot run here
     */
    final void open(PeerProblem.Shape shape, Runnable filler, long cache) throws IOException {
        try {
            share(shape);
            filler.run();
            List<String> command = new ArrayList<>(
                List.of("open", id, name, file.toString(), Long.toString(cache)));
            command.addAll(shape.words());
            opened = Opened.parse(process.ask(command.toArray(String[]::new)));
        } finally {
            if (opened == null) {
                release();
            }
        }
    }

    private void share(PeerProblem.Shape shape) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
            shared(channel.map(FileChannel.MapMode.READ_WRITE, 0, shape.sharedBytes(), arena));
        }
    }

    /** Told of the memory that is shared, before it is filled. */
    abstract void shared(MemorySegment memory);

    /** What is computed. */
    abstract PeerProblem problem();

    /** Copies what runs on the first working set wrote to the output of the problem. */
    final void showOutput() {
        process.ask("output", id);
    }

    @Override
    public final String name() {
        return name;
    }

    @Override
    public final String kernel() {
        return opened.kernel;
    }

    @Override
    public final void run() {
        process.ask("run", id, "1");
    }

    /** By the clock of the process, since a command and its answer take longer than some runs. */
    @Override
    public final long time(int count, LongSupplier nanoClock) {
        return Long.parseLong(process.ask("run", id, Integer.toString(count)).getFirst());
    }

    /** How many copies of its operands runs take in turn. */
    public final int workingSets() {
        return opened.sets;
    }

    @Override
    public final double packMillis() {
        return opened.packMillis;
    }

    @Override
    public final long packedBytes() {
        return opened.packedBytes;
    }

    @Override
    public final long residentBytes() {
        return opened.packedBytes + problem().shape().inputBytes() + problem().shape().outputBytes();
    }

    @Override
    public final void close() {
        try {
            if (process.isAlive()) {
                process.ask("close", id);
            }
        } catch (PeerException e) {
            // The process died of it, and took with it what was to be closed.
        } finally {
            release();
        }
    }

    private void release() {
        arena.close();
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
