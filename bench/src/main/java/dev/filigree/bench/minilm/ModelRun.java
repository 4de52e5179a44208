package dev.filigree.bench.minilm;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import dev.filigree.bench.onnx.OnnxOutputs;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Runs a BERT in ONNX Runtime; apart, because its classes may fail to link. */
final class ModelRun {

    private ModelRun() {}

    /**
     * What some inner values of a model become for sentences; the tokens of one sentence follow those of the other.
     *
     * @param names of values of the shape {@code [batch, sequence, features]}
     * @param sentences ids of their tokens
     * @throws IllegalStateException if ONNX Runtime refuses
     */
    static Map<String, Tokens> values(byte[] model, Set<String> names, List<long[]> sentences) {
        Map<String, List<float[]>> parts = new LinkedHashMap<>();
        Map<String, Integer> features = new HashMap<>();
        names.forEach(name -> parts.put(name, new ArrayList<>()));
        OrtEnvironment environment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
        // Closed before anything is measured: the session's threads wait by spinning.
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions();
                OrtSession session = environment.createSession(OnnxOutputs.add(model, names), options)) {
            for (long[] ids : sentences) {
                try (OnnxTensor tokens = tensor(environment, ids);
                        OnnxTensor mask = tensor(environment, filled(ids.length, 1));
                        OnnxTensor types = tensor(environment, filled(ids.length, 0));
                        OrtSession.Result result = session.run(inputs(tokens, mask, types), names)) {
                    for (String name : names) {
                        OnnxTensor value = (OnnxTensor) result.get(name).orElseThrow();
                        long[] shape = value.getInfo().getShape();
                        if (shape.length != 3 || shape[0] != 1 || shape[1] != ids.length) {
                            throw new IllegalStateException(name + " has the shape " + Arrays.toString(shape)
                                + " for " + ids.length + " tokens");
                        }
                        features.put(name, (int) shape[2]);
                        FloatBuffer floats = value.getFloatBuffer();
                        float[] part = new float[floats.remaining()];
                        floats.get(part);
                        parts.get(name).add(part);
                    }
                }
            }
        } catch (OrtException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
        Map<String, Tokens> values = new HashMap<>();
        parts.forEach((name, list) -> values.put(name, joined(list, features.get(name))));
        return values;
    }

    private static Map<String, OnnxTensorLike> inputs(OnnxTensor tokens, OnnxTensor mask, OnnxTensor types) {
        return Map.of("input_ids", tokens, "attention_mask", mask, "token_type_ids", types);
    }

    private static OnnxTensor tensor(OrtEnvironment environment, long[] row) throws OrtException {
        return OnnxTensor.createTensor(environment, LongBuffer.wrap(row), new long[] {1, row.length});
    }

    private static long[] filled(int length, long value) {
        long[] row = new long[length];
        Arrays.fill(row, value);
        return row;
    }

    private static Tokens joined(List<float[]> parts, int features) {
        float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return new Tokens(all.length / features, features, all);
    }
}
