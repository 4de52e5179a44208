package dev.filigree.bench.onnx;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;

/**
 * A model that is a single operator.
 *
 * @param domain of its operator set; empty for ONNX's own
 * @param version of that operator set
 * @param type of the operator
 * @param attributes by name: Long or Float
 * @param inputs in the operator's order
 * @param outputs in the operator's order
 */
public record OnnxOperator(String domain, int version, String type, Map<String, Number> attributes,
        List<Value> inputs, List<Value> outputs) {

    /** Of elements, as TensorProto numbers them. */
    public static final int FLOAT = 1;
    /** 32 bits. */
    public static final int INT32 = 6;

    /** Old enough for every runtime that knows the operators. */
    private static final int IR_VERSION = 10;
    /** ONNX's own operator set, which a model imports whether it uses it or not. */
    private static final int ONNX_VERSION = 21;

    /**
     * An input or output.
     *
     * @param name of it
     * @param type of its elements
     * @param shape its sizes
     */
    public record Value(String name, int type, long... shape) {}

    /** Writes fields of a message. */
    @FunctionalInterface
    private interface Fields {
        void write(CodedOutputStream to) throws IOException;
    }

    private static byte[] message(Fields fields) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            CodedOutputStream out = CodedOutputStream.newInstance(bytes);
            fields.write(out);
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // An array takes whatever is written.
        }
        return bytes.toByteArray();
    }

    /** A serialized ModelProto. */
    public byte[] model() {
        return message(model -> {
            model.writeInt64(1, IR_VERSION);
            model.writeByteArray(7, graph());
            model.writeByteArray(8, operatorSet("", domain.isEmpty() ? version : ONNX_VERSION));
            if (!domain.isEmpty()) {
                model.writeByteArray(8, operatorSet(domain, version));
            }
        });
    }

    private static byte[] operatorSet(String domain, int version) {
        return message(set -> {
            set.writeString(1, domain);
            set.writeInt64(2, version);
        });
    }

    private byte[] graph() {
        return message(graph -> {
            graph.writeByteArray(1, node());
            graph.writeString(2, type);
            for (Value input : inputs) {
                graph.writeByteArray(11, valueInfo(input));
            }
            for (Value output : outputs) {
                graph.writeByteArray(12, valueInfo(output));
            }
        });
    }

    private byte[] node() {
        return message(node -> {
            for (Value input : inputs) {
                node.writeString(1, input.name);
            }
            for (Value output : outputs) {
                node.writeString(2, output.name);
            }
            node.writeString(4, type);
            for (Map.Entry<String, Number> attribute : attributes.entrySet()) {
                node.writeByteArray(5, attribute(attribute.getKey(), attribute.getValue()));
            }
            node.writeString(7, domain);
        });
    }

    private static byte[] attribute(String name, Number value) {
        return message(attribute -> {
            attribute.writeString(1, name);
            if (value instanceof Float real) {
                attribute.writeFloat(2, real);
                attribute.writeInt32(20, 1);
            } else {
                attribute.writeInt64(3, value.longValue());
                attribute.writeInt32(20, 2);
            }
        });
    }

    private static byte[] valueInfo(Value value) {
        byte[] shape = message(dimensions -> {
            for (long size : value.shape) {
                dimensions.writeByteArray(1, message(dimension -> dimension.writeInt64(1, size)));
            }
        });
        byte[] tensor = message(type -> {
            type.writeInt32(1, value.type);
            type.writeByteArray(2, shape);
        });
        return message(info -> {
            info.writeString(1, value.name);
            info.writeByteArray(2, message(type -> type.writeByteArray(1, tensor)));
        });
    }
}
