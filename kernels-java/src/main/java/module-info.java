/**
 * Filigree's API, sparse formats, planner, and the kernels that need nothing but the JDK.
 *
 * <p>Works without the incubating Vector API (the scalar kernels run, and a warning says so) and without
 * native code. Faster backends come from other modules through
 * {@link dev.filigree.spi.KernelProvider}.
 */
@SuppressWarnings("module") // the qualified export names a module that is built later
module dev.filigree.kernels {
    requires static jdk.incubator.vector;
    requires static jdk.jfr;

    exports dev.filigree;
    exports dev.filigree.attention;
    exports dev.filigree.format;
    exports dev.filigree.mlp;
    exports dev.filigree.nm;
    exports dev.filigree.prune;
    exports dev.filigree.spmm;
    exports dev.filigree.spi;
    exports dev.filigree.internal to dev.filigree.bindings;

    uses dev.filigree.spi.KernelProvider;
}
