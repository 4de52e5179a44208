package dev.filigree.bench.peer;

import dev.filigree.DenseMatrix;
import dev.filigree.bench.measure.CheckedContender;
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

/** A peer's SpMM in its helper process. */
public final class PeerSpmm implements CheckedContender {

    /** Writes the parts of a problem that the process is to read. */
    @FunctionalInterface
    public interface Filler {
        /** Fills all but the output. */
        void fill(SpmmPeerProblem problem);
    }

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
    private SpmmPeerProblem problem;
    private Opened opened;

    private PeerSpmm(PeerProcess process, String id, String name, Path file) {
        this.process = process;
        this.id = id;
        this.name = name;
        this.file = file;
    }

    static PeerSpmm open(PeerProcess process, String id, String name, Path file, SpmmPeerProblem.Shape shape,
            Filler filler, long cache) throws IOException {
        PeerSpmm peer = new PeerSpmm(process, id, name, file);
        try {
            peer.share(shape);
            filler.fill(peer.problem);
            List<String> command = new ArrayList<>(
                List.of("open", id, name, file.toString(), Long.toString(cache)));
            command.addAll(shape.words());
            peer.opened = Opened.parse(process.ask(command.toArray(String[]::new)));
            return peer;
        } finally {
            if (peer.opened == null) {
                peer.release();
            }
        }
    }

    private void share(SpmmPeerProblem.Shape shape) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
            MemorySegment memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, shape.sharedBytes(), arena);
            problem = SpmmPeerProblem.over(shape, memory);
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return opened.kernel;
    }

    @Override
    public void run() {
        process.ask("run", id, "1");
    }

    /** By the clock of the process, since a command and its answer take longer than some runs. */
    @Override
    public long time(int count, LongSupplier nanoClock) {
        return Long.parseLong(process.ask("run", id, Integer.toString(count)).getFirst());
    }

    @Override
    public DenseMatrix output() {
        process.ask("output", id);
        SpmmPeerProblem.Shape shape = problem.shape();
        return DenseMatrix.of(problem.output(), shape.dtype(), shape.tokenMajor() ? shape.n() : shape.rows(),
            shape.tokenMajor() ? shape.rows() : shape.n());
    }

    @Override
    public int workingSets() {
        return opened.sets;
    }

    @Override
    public double packMillis() {
        return opened.packMillis;
    }

    @Override
    public long packedBytes() {
        return opened.packedBytes;
    }

    @Override
    public long residentBytes() {
        return opened.packedBytes + problem.shape().inputBytes() + problem.shape().outputBytes();
    }

    @Override
    public void close() {
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
