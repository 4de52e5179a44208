package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.spi.Backends;
import java.util.List;
import org.junit.jupiter.api.Test;

class InfoCommandTest {

    @Test
    void jsonHoldsEveryBackendAndKernel() {
        CommandLineRun run = CommandLineRun.of("info", "--json");
        assertThat(run.code()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject info = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(info.keySet()).containsExactly("machine", "jvm", "backends", "cuda_kernels", "native_library", "kernels");
        assertThat(info.get("machine").getAsJsonObject().get("cores").getAsInt()).isPositive();
        assertThat(info.get("jvm").getAsJsonObject().get("species_bits").getAsInt()).isPositive();
        List<JsonElement> backends = info.get("backends").getAsJsonArray().asList();
        assertThat(backends).hasSameSizeAs(Backend.values());
        for (JsonElement backend : backends) {
            if (!backend.getAsJsonObject().get("available").getAsBoolean()) {
                assertThat(backend.getAsJsonObject().get("reason").getAsString()).isNotBlank();
                assertThat(backend.getAsJsonObject().get("cure").getAsString()).isNotBlank();
            }
        }
        // What one that is there cannot do: on most machines, AMX.
        JsonElement avx512 = backends.get(Backend.AVX512.ordinal());
        assertThat(avx512.getAsJsonObject().get("shortfalls").getAsJsonArray().asList())
            .extracting(missing -> missing.getAsJsonObject().get("reason").getAsString())
            .isEqualTo(Backend.AVX512.shortfalls().stream().map(Refusal::reason).toList());
        assertThat(info.get("kernels").getAsJsonArray()).hasSize(Backends.kernels().size());
    }

    @Test
    void textNamesBackendsAndKernels() {
        String out = CommandLineRun.of("info").out();
        assertThat(out).contains("scalar", "vector", "avx512", "cuda", "machine", "jvm");
        Backends.kernels().forEach(kernel -> assertThat(out).contains(kernel.id()));
    }

    @Test
    void sizesUseTheLargestUnitTheyFill() {
        assertThat(InfoCommand.bytes(0)).isEqualTo("unknown");
        assertThat(InfoCommand.bytes(512)).isEqualTo("512 B");
        assertThat(InfoCommand.bytes(1536)).isEqualTo("1.5 KiB");
        assertThat(InfoCommand.bytes(32 << 20)).isEqualTo("32 MiB");
        assertThat(InfoCommand.bytes(Long.MAX_VALUE)).endsWith(" TiB");
    }
}
