package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Refusal;
import dev.filigree.internal.MaxIsa;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProcessorFeaturesTest {

    private static final int AVX2 = Filigree.FILIGREE_AVX2_FMA();
    private static final int AVX512 = AVX2 | Filigree.FILIGREE_AVX512();
    private static final int AMX = AVX512 | Filigree.FILIGREE_AMX_BF16();

    private static String reason(int cpuid, int usable, MaxIsa cap) {
        return new ProcessorFeatures(cpuid, usable, 0).refusal(cap).map(r -> r.reason()).orElse("");
    }

    @Test
    void theProcessorComesBeforeTheSystemAndTheSystemBeforeTheCap() {
        assertThat(reason(AVX2, AVX2, MaxIsa.BASELINE))
            .isEqualTo("the processor has no AVX-512 (F, BW, DQ, VL)");
        assertThat(reason(AMX, AVX2, MaxIsa.BASELINE)).contains("turned it off");
        assertThat(reason(AMX, AMX, MaxIsa.AVX2)).isEqualTo("-Dfiligree.maxIsa=avx2 rules AVX-512 out");
        assertThat(reason(AMX, AMX, MaxIsa.BASELINE))
            .isEqualTo("-Dfiligree.maxIsa=baseline rules AVX-512 out");
        assertThat(reason(AVX512, AVX512, MaxIsa.AVX512)).isEmpty();
        assertThat(reason(AVX512, AVX512, MaxIsa.AMX)).isEmpty();
    }

    @Test
    void kernelsAreAllowedByWhatTheyRequire() {
        ProcessorFeatures all = new ProcessorFeatures(AMX, AMX, 0);
        assertThat(all.allows(AVX512, MaxIsa.AVX512)).isTrue();
        assertThat(all.allows(AMX, MaxIsa.AVX512)).isFalse();
        assertThat(all.allows(AMX, MaxIsa.AMX)).isTrue();
        assertThat(new ProcessorFeatures(AMX, AVX512, 0).allows(AMX, MaxIsa.AMX)).isFalse();
    }

    private static List<String> shortfalls(int cpuid, int usable, int permission, MaxIsa cap) {
        return new ProcessorFeatures(cpuid, usable, permission).shortfalls(cap).stream().map(Refusal::reason).toList();
    }

    @Test
    void whatIsMissingBesideTheBackendIsTold() {
        int bf16 = AVX512 | Filigree.FILIGREE_AVX512_BF16();
        int all = bf16 | Filigree.FILIGREE_AMX_BF16();
        assertThat(shortfalls(AVX512, AVX512, 0, MaxIsa.AMX)).hasSize(2)
            .anyMatch(text -> text.startsWith("the processor has no AVX512_BF16"))
            .anyMatch(text -> text.startsWith("the processor has no AMX"));
        assertThat(shortfalls(all, bf16, 0, MaxIsa.AMX)).singleElement().asString().contains("turned it off");
        assertThat(shortfalls(all, all, 0, MaxIsa.AVX512)).singleElement().asString()
            .startsWith("-Dfiligree.maxIsa=avx512 rules AMX out");
        assertThat(shortfalls(all, all, -1, MaxIsa.AMX)).singleElement().asString()
            .startsWith("the operating system refused AMX tiles (error 1)");
        assertThat(shortfalls(all, all, 0, MaxIsa.AMX)).isEmpty();
        assertThat(shortfalls(all, all, 1, MaxIsa.AMX)).isEmpty();
    }

    @Test
    void theLibraryAgreesWithTheOperatingSystem() throws IOException {
        Tools.assumeNatives();
        List<String> flags = Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
            .filter(line -> line.startsWith("flags")).findFirst()
            .map(line -> List.of(line.split("\\s+"))).orElseThrow();
        int usable = ProcessorFeatures.read().usable();
        assertThat((usable & Filigree.FILIGREE_AVX2_FMA()) != 0)
            .isEqualTo(flags.containsAll(List.of("avx2", "fma")));
        assertThat((usable & Filigree.FILIGREE_AVX512()) != 0)
            .isEqualTo(flags.containsAll(List.of("avx512f", "avx512bw", "avx512dq", "avx512vl")));
        assertThat((usable & Filigree.FILIGREE_AMX_BF16()) != 0)
            .isEqualTo(flags.containsAll(List.of("amx_tile", "amx_bf16")));
    }
}
