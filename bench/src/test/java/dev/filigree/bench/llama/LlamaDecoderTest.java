package dev.filigree.bench.llama;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.HostBackends;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LlamaDecoderTest {

    @TempDir
    private Path folder;

    private LlamaModel model(TinyLlama tiny) throws IOException {
        return LlamaModel.of(LlamaCheckpoint.map(TinyLlama.write(folder, "tiny.bin", tiny.checkpoint())));
    }

    private static LlamaDecoder decoder(LlamaModel model, Skipping skipping, Backend backend, Workers team) {
        List<Skipping> all = Collections.nCopies(model.shape().layers(), skipping);
        return new LlamaDecoder(model, all, model.shape().context(), backend, team, null);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void scoresAreThoseOfTheDefinition(boolean shared) throws IOException {
        TinyLlama tiny = TinyLlama.random(shared, 5);
        LlamaModel model = model(tiny);
        // As many as the context: two pages of the cache.
        List<Integer> tokens = List.of(1, 7, 40, 0, 3, 3, 12, 39, 8, 1, 20, 21, 22, 30, 5, 6, 9, 17, 2);
        assertThat(tokens).hasSize(model.shape().context());
        double[][] wanted = tiny.logits(tokens);
        for (Backend backend : HostBackends.available()) {
            try (Workers team = Workers.of(1);
                    LlamaDecoder decoder = decoder(model, new Skipping.None(), backend, team)) {
                for (int at = 0; at < tokens.size(); at++) {
                    int next = decoder.next(tokens.get(at));
                    int best = 0;
                    for (int i = 0; i < wanted[at].length; i++) {
                        best = wanted[at][i] > wanted[at][best] ? i : best;
                        assertThat(decoder.logits().get(0, i)).as("%s, token %d, score %d", backend, at, i)
                            .isCloseTo((float) wanted[at][i], within(1e-4f));
                    }
                    assertThat(next).isEqualTo(best);
                }
            }
        }
    }

    @Test
    void writesTheLikeliestTokensAgainAndAgain() throws IOException {
        TinyLlama tiny = TinyLlama.random(false, 6);
        try (Workers team = Workers.of(2);
                LlamaDecoder decoder =
                    decoder(model(tiny), new Skipping.None(), HostBackends.available().getLast(), team)) {
            assertThat(decoder.write()).isEqualTo(tiny.greedy());
            assertThat(decoder.write()).isEqualTo(tiny.greedy());
            assertThat(decoder.activeShare()).isEqualTo(1);
        }
    }

    @Test
    void skippingReadsFewerNeurons() throws IOException {
        TinyLlama tiny = TinyLlama.random(false, 7);
        try (Workers team = Workers.of(1);
                LlamaDecoder decoder =
                    decoder(model(tiny), new Skipping.Gate(0.5f), HostBackends.available().getLast(), team)) {
            decoder.write();
            assertThat(decoder.activeShare()).isBetween(0.05, 0.95);
        }
    }
}
