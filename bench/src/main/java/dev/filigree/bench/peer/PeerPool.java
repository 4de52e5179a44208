package dev.filigree.bench.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * The helper processes of a measurement, one a vendor, started when first needed and used for every case. Used by
 * one thread.
 */
public final class PeerPool implements AutoCloseable {

    /** System property: the folder of the vendors' native libraries, as the build unpacks them. */
    public static final String NATIVES = "filigree.peers";

    /** The only one that libraries are unpacked for. */
    public static final String PLATFORM = "linux-x86_64";

    private final Map<String, PeerProcess> processes = new HashMap<>();
    private final int threads;
    private Path folder;
    private int nextId;

    /** @param threads that every peer uses */
    public PeerPool(int threads) {
        this.threads = threads;
    }

    /**
     * Packs an SpMM in the process of the peer's vendor.
     *
     * @param name of the peer
     * @param filler writes matrix and input to shared memory
     * @param cache its working sets exceed so many bytes several times; 0: one set
     * @throws PeerException if the peer cannot run here
     */
    public PeerSpmm open(String name, SpmmPeerProblem.Shape shape, Consumer<SpmmPeerProblem> filler, long cache) {
        return open(name, (process, id, file) -> PeerSpmm.open(process, id, name, file, shape, filler, cache));
    }

    /**
     * Prepares an attention in the process of the peer's vendor.
     *
     * @param name of the peer
     * @param filler writes lists and operands to shared memory
     * @throws PeerException if the peer cannot run here
     */
    public PeerAttention openAttention(
            String name, AttentionPeerProblem.Shape shape, Consumer<AttentionPeerProblem> filler) {
        return open(name, (process, id, file) -> PeerAttention.open(process, id, name, file, shape, filler));
    }

    @FunctionalInterface
    private interface Opening<C> {
        C in(PeerProcess process, String id, Path file) throws IOException;
    }

    private <C> C open(String name, Opening<C> opening) {
        try {
            PeerProcess process = process(name.replaceFirst("-.*", ""));
            String id = Integer.toString(nextId++);
            return opening.in(process, id, folder.resolve("problem-" + id));
        } catch (IOException e) {
            throw new PeerException("its process cannot be started: " + e.getMessage(), e);
        }
    }

    private PeerProcess process(String vendor) throws IOException {
        if (folder == null) {
            folder = Files.createTempDirectory("filigree-peers");
        }
        PeerProcess process = processes.get(vendor);
        if (process == null || !process.isAlive()) {
            if (process != null) {
                process.close();
            }
            process = PeerProcess.start(vendor, threads, folder);
            processes.put(vendor, process);
        }
        return process;
    }

    @Override
    public void close() {
        processes.values().forEach(PeerProcess::close);
        if (folder == null) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : (Iterable<Path>) files.sorted(Comparator.reverseOrder())::iterator) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
