package dev.filigree.bench.onnx;

/**
 * A dense f32 matrix, row-major.
 *
 * @param name where it comes from
 * @param rows of it
 * @param cols of it
 * @param data {@code rows * cols} elements, not copied
 */
public record WeightMatrix(String name, int rows, int cols, float[] data) {

    /** Checks the length. */
    public WeightMatrix {
        if (data.length != (long) rows * cols) {
            throw new IllegalArgumentException(
                name + ": " + rows + " x " + cols + " needs another length than " + data.length);
        }
    }

    WeightMatrix transposed() {
        float[] transposed = new float[data.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                transposed[c * rows + r] = data[r * cols + c];
            }
        }
        return new WeightMatrix(name, cols, rows, transposed);
    }

    /** The same elements under another name. */
    public WeightMatrix named(String newName) {
        return new WeightMatrix(newName, rows, cols, data);
    }

    @Override
    public String toString() {
        return name + " [" + rows + " x " + cols + "]";
    }
}
