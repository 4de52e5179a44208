package dev.filigree.bench.onnx;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;

/** Makes inner values of a model outputs of it. */
public final class OnnxOutputs {

    private static final int MODEL_GRAPH = 7;
    private static final int GRAPH_OUTPUT = 12;
    private static final int VALUE_NAME = 1;

    private OnnxOutputs() {}

    /**
     * The model with more outputs. Messages that are written one after the other merge: an embedded message that
     * comes again adds to the lists of the first. So the model stays as it is, and a graph of nothing but outputs
     * follows it.
     *
     * @param model a serialized ModelProto
     * @param values the names of values that nodes of the graph compute
     */
    public static byte[] add(byte[] model, Collection<String> values) {
        ByteArrayOutputStream graph = new ByteArrayOutputStream();
        ByteArrayOutputStream extended = new ByteArrayOutputStream(model.length + 4096);
        try {
            CodedOutputStream graphFields = CodedOutputStream.newInstance(graph);
            for (String value : values) {
                ByteArrayOutputStream valueInfo = new ByteArrayOutputStream();
                CodedOutputStream valueFields = CodedOutputStream.newInstance(valueInfo);
                valueFields.writeString(VALUE_NAME, value);
                valueFields.flush();
                graphFields.writeByteArray(GRAPH_OUTPUT, valueInfo.toByteArray());
            }
            graphFields.flush();
            extended.write(model);
            CodedOutputStream modelFields = CodedOutputStream.newInstance(extended);
            modelFields.writeByteArray(MODEL_GRAPH, graph.toByteArray());
            modelFields.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // An array takes whatever is written.
        }
        return extended.toByteArray();
    }
}
