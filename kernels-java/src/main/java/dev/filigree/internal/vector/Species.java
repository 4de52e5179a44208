package dev.filigree.internal.vector;

import dev.filigree.internal.MaxIsa;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shape of every Vector API kernel: the machine's preferred one, at most 512 bits (the kernels
 * count in 16 logical lanes) and at most what {@link MaxIsa} allows, and at least 128.
 *
 * <p>Integers take the same shape, and no element type takes two: where C2 does not know the class of a vector yet, it
 * goes by the profile of the Vector API's own methods, which all callers share. Two classes there become a branch, and
 * a vector that comes out of either side is boxed.
 *
 * <p>A bad value of {@value MaxIsa#PROPERTY} would surface here as {@link ExceptionInInitializerError}: so
 * {@code Backends} calls {@link MaxIsa#current()} first, and gets the plain {@link IllegalArgumentException}.
 */
public final class Species {

    public static final VectorSpecies<Float> F32 = choose(
            Math.min(FloatVector.SPECIES_PREFERRED.vectorBitSize(), MaxIsa.current().vectorBits()));

    private Species() {
    }

    private static VectorSpecies<Float> choose(int bits) {
        if (bits >= 512) {
            return FloatVector.SPECIES_512;
        }
        return bits >= 256 ? FloatVector.SPECIES_256 : FloatVector.SPECIES_128;
    }
}
