package dev.filigree.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import jdk.incubator.vector.FloatVector;

/**
 * The JVM that runs this.
 *
 * @param version of the runtime
 * @param vendor of the runtime
 * @param vectorModule whether the incubating Vector API is in the module graph
 * @param speciesBits the vector width that the JVM prefers for float; 0 without the module
 * @param nativeLibrary the native library of kernels that is mapped into this process, if one is
 */
record Runtimes(String version, String vendor, boolean vectorModule, int speciesBits,
        Optional<String> nativeLibrary) {

    static Runtimes here() {
        boolean vector = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        return new Runtimes(System.getProperty("java.vm.name") + " " + Runtime.version(),
            System.getProperty("java.vendor"), vector, vector ? Species.bits() : 0,
            mappedLibrary(Path.of("/proc/self/maps")));
    }

    /** What the process has really mapped, which needs no agreement with whoever loads it. */
    static Optional<String> mappedLibrary(Path maps) {
        try (var lines = Files.lines(maps)) {
            return lines.filter(line -> line.contains("filigree") && line.contains(".so"))
                .map(line -> line.substring(line.indexOf('/')))
                .findFirst();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Apart, because it links against a module that may be absent. */
    private static final class Species {
        static int bits() {
            return FloatVector.SPECIES_PREFERRED.vectorBitSize();
        }
    }
}
