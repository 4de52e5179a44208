package dev.filigree.bench.onnx;

import java.util.List;
import java.util.Map;

/**
 * The parts of an ONNX graph that tell what its weights are.
 *
 * @param nodes in the order of the file, which is an order of execution
 * @param matrices the two-dimensional f32 initializers by name
 */
record OnnxGraph(List<Node> nodes, Map<String, WeightMatrix> matrices) {

    OnnxGraph {
        nodes = List.copyOf(nodes);
        matrices = Map.copyOf(matrices);
    }

    /**
     * One operation.
     *
     * @param name may be empty
     * @param type {@code MatMul}, {@code Gemm}, {@code Transpose}, ...
     * @param inputs names of values
     * @param outputs names of values
     * @param ints the integer attributes
     */
    record Node(String name, String type, List<String> inputs, List<String> outputs, Map<String, Long> ints) {
        Node {
            inputs = List.copyOf(inputs);
            outputs = List.copyOf(outputs);
            ints = Map.copyOf(ints);
        }
    }
}
