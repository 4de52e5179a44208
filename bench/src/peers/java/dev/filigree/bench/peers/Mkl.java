package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.FunctionDescriptor;
import java.util.ArrayList;
import java.util.List;

/** Intel's Math Kernel Library: dense products, and the inspector-executor routines of its sparse BLAS. */
public final class Mkl implements PeerLibrary {

    /** Of the redistributable layers only these come with the artifact; on one thread it starts no other. */
    private static final int INTEL_THREADING = 0;

    private Cblas cblas;
    private MklPacked packed;
    private MklSparse sparse;

    /** Called by the service loader. */
    public Mkl() {}

    @Override
    public List<String> names() {
        return List.of("mkl-dense", "mkl-sparse");
    }

    @Override
    public void load(int threads) {
        NativeFunctions library = NativeFunctions.load("mkl", "libmkl_rt.so.3");
        try {
            int layer = (int) library.find("MKL_Set_Threading_Layer", FunctionDescriptor.of(JAVA_INT, JAVA_INT))
                .invokeExact(INTEL_THREADING);
            library.find("MKL_Set_Num_Threads", FunctionDescriptor.ofVoid(JAVA_INT)).invokeExact(threads);
            int used = (int) library.find("MKL_Get_Max_Threads", FunctionDescriptor.of(JAVA_INT)).invokeExact();
            if (layer != INTEL_THREADING) {
                throw new PeerException("it chose threading layer " + layer);
            }
            PeerException.requireThreads(threads, used);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
        cblas = new Cblas(library);
        packed = new MklPacked(library);
        sparse = new MklSparse(library);
    }

    @Override
    public List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        if (name.equals("mkl-sparse")) {
            return sparse.variants(problem);
        }
        List<PeerVariant> variants = new ArrayList<>(cblas.variants(problem));
        variants.add(packed.variant(problem));
        return variants;
    }
}
