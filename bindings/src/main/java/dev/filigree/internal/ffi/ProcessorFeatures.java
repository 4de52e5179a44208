package dev.filigree.internal.ffi;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.internal.MaxIsa;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the processor offers native kernels, as bits of {@code filigree_features}.
 *
 * @param cpuid what the processor has
 * @param usable the part of it whose registers the operating system saves
 * @param amxPermission 1: this process may use AMX tiles; 0: it has not asked; negative: the error of a refusal
 */
record ProcessorFeatures(int cpuid, int usable, int amxPermission) {

    /** Asks the library, which must be loaded. */
    static ProcessorFeatures read() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment features = filigree_features.allocate(arena);
            NativeStatus.check("filigree_get_features", Filigree.filigree_get_features(features));
            return new ProcessorFeatures(
                filigree_features.cpuid(features), filigree_features.usable(features),
                filigree_features.amx_permission(features));
        }
    }

    /** Whether kernels that need these bits can run under a cap. */
    boolean allows(int required, MaxIsa cap) {
        return (required & ~usable) == 0 && needs(required).compareTo(cap) <= 0;
    }

    /** Why no AVX-512 kernel can run under a cap, if none can. */
    Optional<Refusal> refusal(MaxIsa cap) {
        int avx512 = Filigree.FILIGREE_AVX512() | Filigree.FILIGREE_AVX2_FMA();
        if ((avx512 & ~cpuid) != 0) {
            return refuse("the processor has no AVX-512 (F, BW, DQ, VL)",
                "use the vector backend; nothing to install");
        }
        if ((avx512 & ~usable) != 0) {
            return refuse(
                "the processor has AVX-512, but the operating system or the hypervisor turned it off",
                "enable AVX-512 state (XCR0) there, or use the vector backend");
        }
        if (cap.compareTo(MaxIsa.AVX512) < 0) {
            return refuse("-D" + MaxIsa.PROPERTY + "=" + cap.id() + " rules AVX-512 out",
                "raise -D" + MaxIsa.PROPERTY + " to " + MaxIsa.AVX512.id() + ", or leave it out");
        }
        return Optional.empty();
    }

    /** Whether the operating system was asked for AMX tiles, and refused. */
    boolean refusesTiles() {
        return amxPermission < 0;
    }

    /** What the AVX-512 backend cannot do here, under a cap that does not rule it out. */
    List<Refusal> shortfalls(MaxIsa cap) {
        List<Refusal> shortfalls = new ArrayList<>();
        if ((usable & Filigree.FILIGREE_AVX512_BF16()) == 0) {
            shortfalls.add(new Refusal(Backend.AVX512, "the processor has no AVX512_BF16: without N:M products and "
                + "block-sparse attention in bf16", "nothing to install; the vector backend has them"));
        }
        tileRefusal(cap).ifPresent(shortfalls::add);
        return List.copyOf(shortfalls);
    }

    private Optional<Refusal> tileRefusal(MaxIsa cap) {
        int amx = Filigree.FILIGREE_AMX_BF16();
        if ((amx & ~cpuid) != 0) {
            return refuse("the processor has no AMX: without bf16 tiles",
                "nothing to install; AVX-512 does their work");
        }
        if ((amx & ~usable) != 0) {
            return refuse("the processor has AMX, but the operating system or the hypervisor turned it off: without "
                + "bf16 tiles", "enable AMX state (XCR0) there; until then AVX-512 does their work");
        }
        if (cap.compareTo(MaxIsa.AMX) < 0) {
            return refuse("-D" + MaxIsa.PROPERTY + "=" + cap.id() + " rules AMX out: without bf16 tiles",
                "raise -D" + MaxIsa.PROPERTY + " to " + MaxIsa.AMX.id() + ", or leave it out");
        }
        if (refusesTiles()) {
            return refuse("the operating system refused AMX tiles (error " + -amxPermission + "): without bf16 tiles",
                "let the process call arch_prctl (Linux 5.16 or newer, no filter against it)");
        }
        return Optional.empty();
    }

    private static MaxIsa needs(int required) {
        int amx = Filigree.FILIGREE_AMX_BF16() | Filigree.FILIGREE_AMX_INT8();
        return (required & amx) != 0 ? MaxIsa.AMX : MaxIsa.AVX512;
    }

    private static Optional<Refusal> refuse(String reason, String cure) {
        return Optional.of(new Refusal(Backend.AVX512, reason, cure));
    }
}
