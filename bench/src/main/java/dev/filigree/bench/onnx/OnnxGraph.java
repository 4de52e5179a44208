package dev.filigree.bench.onnx;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The parts of an ONNX graph that tell what its weights are.
 *
 * @param nodes in the order of the file, which is an order of execution
 * @param matrices the two-dimensional f32 initializers by name
 */
public record OnnxGraph(List<Node> nodes, Map<String, WeightMatrix> matrices) {

    /** Copies both. */
    public OnnxGraph {
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
    public record Node(String name, String type, List<String> inputs, List<String> outputs, Map<String, Long> ints) {
        /** Copies the lists. */
        public Node {
            inputs = List.copyOf(inputs);
            outputs = List.copyOf(outputs);
            ints = Map.copyOf(ints);
        }
    }

    /**
     * A product of an activation with constant weights.
     *
     * @param weights as {@code [out, in]}, whatever the file has
     * @param input the name of the activation, {@code [.., in]}
     * @param output the name of the product, {@code [.., out]}
     */
    public record Product(WeightMatrix weights, String input, String output) {}

    /**
     * The products with constant matrices, in order of execution. Names of weights are not used: exporters call them
     * by what they were before and after folding a transposition.
     */
    public List<Product> products() {
        Map<String, String> transposed = new HashMap<>();
        for (Node node : nodes) {
            // Of a matrix there is but one transposition, whatever the permutation is written as.
            if (node.type.equals("Transpose") && matrices.containsKey(node.inputs.getFirst())) {
                transposed.put(node.outputs.getFirst(), node.inputs.getFirst());
            }
        }
        List<Product> products = new ArrayList<>();
        for (Node node : nodes) {
            boolean gemm = node.type.equals("Gemm");
            if ((gemm || node.type.equals("MatMul")) && node.inputs.size() >= 2) {
                String operand = node.inputs.get(1);
                WeightMatrix matrix = matrices.get(transposed.getOrDefault(operand, operand));
                if (matrix != null) {
                    boolean flipped =
                        transposed.containsKey(operand) != (gemm && node.ints.getOrDefault("transB", 0L) != 0);
                    // x * W takes W as [in, out].
                    products.add(new Product(flipped ? matrix : matrix.transposed(), node.inputs.getFirst(),
                        node.outputs.getFirst()));
                }
            }
        }
        return products;
    }
}
