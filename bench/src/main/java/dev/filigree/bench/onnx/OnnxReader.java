package dev.filigree.bench.onnx;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the nodes and the two-dimensional f32 initializers of an ONNX model. Field numbers are those of
 * {@code onnx.proto}, which are fixed for good; all other fields are skipped.
 */
public final class OnnxReader {

    private static final int MODEL_GRAPH = 7;

    private static final int GRAPH_NODE = 1;
    private static final int GRAPH_INITIALIZER = 5;

    private static final int NODE_INPUT = 1;
    private static final int NODE_OUTPUT = 2;
    private static final int NODE_NAME = 3;
    private static final int NODE_OP_TYPE = 4;
    private static final int NODE_ATTRIBUTE = 5;

    private static final int ATTRIBUTE_NAME = 1;
    private static final int ATTRIBUTE_INT = 3;

    private static final int TENSOR_DIMS = 1;
    private static final int TENSOR_DATA_TYPE = 2;
    private static final int TENSOR_FLOAT_DATA = 4;
    private static final int TENSOR_NAME = 8;
    private static final int TENSOR_RAW_DATA = 9;

    private static final int DATA_TYPE_FLOAT = 1;

    private final String source;
    private final CodedInputStream in;
    private final List<OnnxGraph.Node> nodes = new ArrayList<>();
    private final Map<String, WeightMatrix> matrices = new HashMap<>();
    private boolean graphSeen;

    private OnnxReader(String source, InputStream stream) {
        this.source = source;
        in = CodedInputStream.newInstance(stream);
    }

    /**
     * Reads a model to its end.
     *
     * @param source what messages call it
     * @throws OnnxFormatException if it is malformed or has no graph
     * @throws IOException if the stream cannot be read
     */
    public static OnnxGraph read(String source, InputStream stream) throws IOException {
        OnnxReader reader = new OnnxReader(source, stream);
        try {
            reader.message(reader::modelField);
        } catch (InvalidProtocolBufferException e) {
            throw new OnnxFormatException(source, "not an ONNX model, or cut short, at byte "
                + reader.in.getTotalBytesRead() + ": " + e.getMessage().split("\\. ")[0], e);
        }
        if (!reader.graphSeen) {
            throw new OnnxFormatException(source, "not an ONNX model: it holds no graph");
        }
        return new OnnxGraph(reader.nodes, reader.matrices);
    }

    /** Reads one field, or returns false to have it skipped. */
    @FunctionalInterface
    private interface FieldReader {
        boolean read(int field, int wireType) throws IOException;
    }

    private void message(FieldReader fields) throws IOException {
        for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
            if (!fields.read(WireFormat.getTagFieldNumber(tag), WireFormat.getTagWireType(tag))) {
                in.skipField(tag);
            }
        }
    }

    private void embedded(FieldReader fields) throws IOException {
        int outer = in.pushLimit(in.readRawVarint32());
        message(fields);
        in.checkLastTagWas(0);
        if (in.getBytesUntilLimit() > 0) {
            throw new InvalidProtocolBufferException("a message ends before its length");
        }
        in.popLimit(outer);
    }

    private static boolean isBytes(int wireType) {
        return wireType == WireFormat.WIRETYPE_LENGTH_DELIMITED;
    }

    private static boolean isVarint(int wireType) {
        return wireType == WireFormat.WIRETYPE_VARINT;
    }

    private boolean modelField(int field, int wireType) throws IOException {
        if (field == MODEL_GRAPH && isBytes(wireType)) {
            graphSeen = true;
            embedded(this::graphField);
            return true;
        }
        return false;
    }

    private boolean graphField(int field, int wireType) throws IOException {
        if (field == GRAPH_NODE && isBytes(wireType)) {
            NodeFields node = new NodeFields();
            embedded(node::read);
            nodes.add(new OnnxGraph.Node(node.name, node.type, node.inputs, node.outputs, node.ints));
            return true;
        }
        if (field == GRAPH_INITIALIZER && isBytes(wireType)) {
            TensorFields tensor = new TensorFields();
            embedded(tensor::read);
            if (tensor.mayBeMatrix() && tensor.dims.size() == 2 && tensor.dataType == DATA_TYPE_FLOAT) {
                matrices.put(tensor.name, tensor.matrix());
            }
            return true;
        }
        return false;
    }

    private final class NodeFields {
        private String name = "";
        private String type = "";
        private final List<String> inputs = new ArrayList<>();
        private final List<String> outputs = new ArrayList<>();
        private final Map<String, Long> ints = new HashMap<>();

        boolean read(int field, int wireType) throws IOException {
            if (!isBytes(wireType)) {
                return false;
            }
            switch (field) {
                case NODE_INPUT -> inputs.add(in.readStringRequireUtf8());
                case NODE_OUTPUT -> outputs.add(in.readStringRequireUtf8());
                case NODE_NAME -> name = in.readStringRequireUtf8();
                case NODE_OP_TYPE -> type = in.readStringRequireUtf8();
                case NODE_ATTRIBUTE -> {
                    AttributeFields attribute = new AttributeFields();
                    embedded(attribute::read);
                    if (attribute.value != null) {
                        ints.put(attribute.name, attribute.value);
                    }
                }
                default -> {
                    return false;
                }
            }
            return true;
        }
    }

    private final class AttributeFields {
        private String name = "";
        private Long value;

        boolean read(int field, int wireType) throws IOException {
            if (field == ATTRIBUTE_NAME && isBytes(wireType)) {
                name = in.readStringRequireUtf8();
                return true;
            }
            if (field == ATTRIBUTE_INT && isVarint(wireType)) {
                value = in.readInt64();
                return true;
            }
            return false;
        }
    }

    private final class TensorFields {
        private String name = "";
        private final List<Long> dims = new ArrayList<>();
        private int dataType;
        private ByteBuffer data;

        boolean read(int field, int wireType) throws IOException {
            switch (field) {
                case TENSOR_DIMS -> readDims(wireType);
                case TENSOR_NAME -> name = in.readStringRequireUtf8();
                case TENSOR_DATA_TYPE -> dataType = in.readEnum();
                case TENSOR_RAW_DATA, TENSOR_FLOAT_DATA -> {
                    // Dimensions and type come first in every writer's order: what they rule out is not copied.
                    if (!isBytes(wireType) || !mayBeMatrix()) {
                        return false;
                    }
                    // Packed floats and raw data are the same little-endian bytes.
                    data = ByteBuffer.wrap(in.readByteArray());
                }
                default -> {
                    return false;
                }
            }
            return true;
        }

        private boolean mayBeMatrix() {
            return (dims.isEmpty() || dims.size() == 2) && (dataType == 0 || dataType == DATA_TYPE_FLOAT);
        }

        private void readDims(int wireType) throws IOException {
            if (!isBytes(wireType)) {
                dims.add(in.readInt64());
                return;
            }
            int outer = in.pushLimit(in.readRawVarint32());
            while (in.getBytesUntilLimit() > 0) {
                dims.add(in.readInt64());
            }
            in.popLimit(outer);
        }

        WeightMatrix matrix() {
            long rows = dims.get(0);
            long cols = dims.get(1);
            String shape = "initializer " + name + " [" + rows + ", " + cols + "]";
            if (rows < 0 || cols < 0 || rows > Integer.MAX_VALUE || cols > Integer.MAX_VALUE) {
                throw new OnnxFormatException(source, shape + " has dimensions out of range");
            }
            if (data == null) {
                throw new OnnxFormatException(source, shape + " keeps its data outside the file");
            }
            if (data.remaining() % Float.BYTES != 0 || data.remaining() / Float.BYTES != rows * cols) {
                throw new OnnxFormatException(source, shape + " has " + data.remaining() + " bytes of data, not "
                    + Float.BYTES + " for each of " + rows * cols + " elements");
            }
            FloatBuffer floats = data.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
            float[] elements = new float[floats.remaining()];
            floats.get(elements);
            return new WeightMatrix(name, (int) rows, (int) cols, elements);
        }
    }
}
