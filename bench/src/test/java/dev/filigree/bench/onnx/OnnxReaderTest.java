package dev.filigree.bench.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class OnnxReaderTest {

    @FunctionalInterface
    private interface Fields {
        void write(CodedOutputStream out) throws IOException;
    }

    private static byte[] message(Fields fields) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        fields.write(out);
        out.flush();
        return bytes.toByteArray();
    }

    private static void embed(CodedOutputStream out, int field, byte[] message) throws IOException {
        out.writeBytes(field, ByteString.copyFrom(message));
    }

    private static byte[] tensor(String name, long rows, long cols, float... data) throws IOException {
        ByteBuffer raw = ByteBuffer.allocate(4 * data.length).order(ByteOrder.LITTLE_ENDIAN);
        raw.asFloatBuffer().put(data);
        return message(out -> {
            out.writeInt64(1, rows);
            out.writeInt64(1, cols);
            out.writeInt32(2, 1);
            out.writeString(8, name);
            out.writeByteArray(9, raw.array());
        });
    }

    private static byte[] model(byte[]... tensors) throws IOException {
        byte[] graph = message(out -> {
            embed(out, 1, message(node -> {
                node.writeString(1, "x");
                node.writeString(1, "w");
                node.writeString(2, "y");
                node.writeString(3, "product");
                node.writeString(4, "Gemm");
                embed(node, 5, message(attribute -> {
                    attribute.writeString(1, "transB");
                    attribute.writeInt64(3, 1);
                }));
                embed(node, 5, message(attribute -> {
                    attribute.writeString(1, "alpha");
                    attribute.writeFloat(2, 1f);
                }));
            }));
            out.writeString(2, "graph");
            for (byte[] tensor : tensors) {
                embed(out, 5, tensor);
            }
        });
        return message(out -> {
            out.writeInt64(1, 8);
            out.writeString(2, "a producer");
            embed(out, 7, graph);
        });
    }

    private static OnnxGraph read(byte[] bytes) throws IOException {
        return OnnxReader.read("test.onnx", new ByteArrayInputStream(bytes));
    }

    @Test
    void readsNodesAndMatrices() throws IOException {
        OnnxGraph graph = read(model(tensor("w", 2, 3, 1, 2, 3, 4, 5, 6)));
        assertThat(graph.nodes()).hasSize(1);
        OnnxGraph.Node node = graph.nodes().getFirst();
        assertThat(node.type()).isEqualTo("Gemm");
        assertThat(node.name()).isEqualTo("product");
        assertThat(node.inputs()).containsExactly("x", "w");
        assertThat(node.outputs()).containsExactly("y");
        assertThat(node.ints()).containsOnlyKeys("transB").containsValue(1L);
        assertThat(graph.matrices().get("w").data()).containsExactly(1, 2, 3, 4, 5, 6);
    }

    @Test
    void skipsWhatIsNotAnF32Matrix() throws IOException {
        byte[] vector = message(out -> {
            out.writeInt64(1, 2);
            out.writeInt32(2, 1);
            out.writeString(8, "bias");
            out.writeByteArray(9, new byte[8]);
        });
        byte[] ints = message(out -> {
            out.writeInt64(1, 1);
            out.writeInt64(1, 1);
            out.writeInt32(2, 7);
            out.writeString(8, "index");
            out.writeByteArray(9, new byte[8]);
        });
        assertThat(read(model(vector, ints)).matrices()).isEmpty();
    }

    @Test
    void acceptsPackedDimsAndFloatData() throws IOException {
        byte[] packed = message(out -> {
            embed(out, 1, new byte[] {1, 2});
            out.writeInt32(2, 1);
            embed(out, 4, ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putFloat(3f).putFloat(4f).array());
            out.writeString(8, "w");
        });
        assertThat(read(model(packed)).matrices().get("w").data()).containsExactly(3, 4);
    }

    @Test
    void malformedBytesAreNamed() throws IOException {
        byte[] model = model(tensor("w", 2, 3, 1, 2, 3, 4, 5, 6));
        assertThatThrownBy(() -> read(Arrays.copyOf(model, model.length - 3)))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("test.onnx: not an ONNX model, or cut short");
        assertThatThrownBy(() -> read("this is not an ONNX file".getBytes(StandardCharsets.UTF_8)))
            .isInstanceOf(OnnxFormatException.class).hasMessageStartingWith("test.onnx: not an ONNX model");
        assertThatThrownBy(() -> read(new byte[0]))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("no graph");
        for (long[] shape : new long[][] {{2, 2}, {-2, -3}, {1L << 40, 1}, {1L << 30, 1L << 30}}) {
            byte[] wrong = model(tensor("w", shape[0], shape[1], 1, 2, 3, 4, 5, 6));
            assertThatThrownBy(() -> read(wrong))
                .isInstanceOf(OnnxFormatException.class).hasMessageContaining("initializer w [" + shape[0]);
        }
    }

    /** Whatever the bytes: a graph or a clear refusal, never another exception. */
    @Test
    void noiseNeverEscapes() throws IOException {
        byte[] model = model(tensor("w", 2, 3, 1, 2, 3, 4, 5, 6));
        Random random = new Random(1);
        for (int i = 0; i < 3000; i++) {
            byte[] noisy = model.clone();
            for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
                noisy[random.nextInt(noisy.length)] = (byte) random.nextInt();
            }
            assertThatCode(() -> {
                try {
                    read(noisy);
                } catch (OnnxFormatException e) {
                    assertThat(e).hasMessageStartingWith("test.onnx: ");
                }
            }).doesNotThrowAnyException();
        }
    }
}
