package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.bench.llama.LlamaDecoder;
import dev.filigree.bench.llama.LlamaModel;
import dev.filigree.bench.measure.Contender;
import dev.filigree.mlp.Skipping;
import java.util.List;

/** A model that writes its text on one backend; a run is the whole text. */
final class GenerationContender implements Contender {

    private final String name;
    private final LlamaModel model;
    private final LlamaDecoder decoder;
    private final double packMillis;
    private List<Integer> tokens;

    GenerationContender(
            String name, LlamaModel model, List<? extends Skipping> skipping, int mostTokens, Backend backend, Workers team) {
        this.name = name;
        this.model = model;
        long start = System.nanoTime();
        decoder = new LlamaDecoder(model, skipping, mostTokens, backend, team, null);
        packMillis = (System.nanoTime() - start) / 1e6;
    }

    /** What the last run wrote. */
    List<Integer> tokens() {
        return tokens;
    }

    /** The share of neurons that its MLPs have read. */
    double activeShare() {
        return decoder.activeShare();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return decoder.kernel();
    }

    @Override
    public void run() {
        List<Integer> before = tokens;
        tokens = decoder.write();
        if (before != null && !before.equals(tokens)) {
            throw new IllegalStateException("two runs wrote different texts");
        }
    }

    @Override
    public double packMillis() {
        return packMillis;
    }

    @Override
    public long packedBytes() {
        return model.bytes();
    }

    @Override
    public long residentBytes() {
        return model.bytes();
    }

    @Override
    public void close() {
        decoder.close();
    }
}
