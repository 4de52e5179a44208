package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.FunctionDescriptor;
import java.util.List;

/** OpenBLAS: dense products. */
public final class OpenBlas implements PeerLibrary {

    private Cblas cblas;

    /** Called by the service loader. */
    public OpenBlas() {}

    @Override
    public List<String> names() {
        return List.of("openblas-dense");
    }

    @Override
    public void load(int threads) {
        NativeFunctions library = NativeFunctions.load("openblas", "libopenblas.so.0");
        try {
            library.find("openblas_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT)).invokeExact(threads);
            int used = (int) library.find("openblas_get_num_threads", FunctionDescriptor.of(JAVA_INT)).invokeExact();
            PeerException.requireThreads(threads, used);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
        cblas = new Cblas(library);
    }

    @Override
    public List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        return cblas.variants(problem);
    }
}
