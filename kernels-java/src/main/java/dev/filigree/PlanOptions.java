package dev.filigree;

import java.util.Objects;
import java.util.Optional;

/**
 * What a plan for the product of a sparse and a dense matrix is asked for. Immutable: each method returns changed
 * options.
 *
 * @param <O> the options of one operation
 */
public abstract class PlanOptions<O extends PlanOptions<O>> {

    /** The options themselves, as one value that a changed copy takes over whole. */
    protected record Values(Layout layout, Activation activation, float[] bias, Backend backend, Workers workers) {
        /** Feature-major, no bias, no activation, the fastest backend, the process's team. */
        public static final Values DEFAULTS = new Values(Layout.FEATURE_MAJOR, Activation.NONE, null, null, null);
    }

    private final Values values;

    /** For the options of one operation. */
    protected PlanOptions(Values values) {
        this.values = values;
    }

    /** The options that all such plans have. */
    protected final Values values() {
        return values;
    }

    /** What {@link #toString} says of the options that one operation alone has. */
    protected String details() {
        return "";
    }

    /** Options like these with other values. */
    protected abstract O with(Values newValues);

    /** The same options with another layout of the dense operands. */
    public final O layout(Layout layout) {
        Objects.requireNonNull(layout, "layout");
        return with(new Values(layout, values.activation, values.bias, values.backend, values.workers));
    }

    /** The same options with a function applied to each element of the result. */
    public final O activation(Activation activation) {
        Objects.requireNonNull(activation, "activation");
        return with(new Values(values.layout, activation, values.bias, values.backend, values.workers));
    }

    /**
     * The same options with a value added to each element of a row of A * B (a column of X * A^T).
     *
     * @param bias one value a row of A; copied
     */
    public final O bias(float[] bias) {
        Objects.requireNonNull(bias, "bias");
        return with(new Values(values.layout, values.activation, bias.clone(), values.backend, values.workers));
    }

    /** The same options, for one backend and no other: planning fails where it cannot be used. */
    public final O backend(Backend backend) {
        Objects.requireNonNull(backend, "backend");
        return with(new Values(values.layout, values.activation, values.bias, backend, values.workers));
    }

    /** The same options, to run on a given team, which must stay open as long as the plan. */
    public final O workers(Workers workers) {
        Objects.requireNonNull(workers, "workers");
        return with(new Values(values.layout, values.activation, values.bias, values.backend, workers));
    }

    /** How the dense operands lie in memory. */
    public final Layout layout() {
        return values.layout;
    }

    /** The function applied to each element of the result. */
    public final Activation activation() {
        return values.activation;
    }

    /** A copy of the bias, if there is one. */
    public final Optional<float[]> bias() {
        return Optional.ofNullable(values.bias).map(float[]::clone);
    }

    /** The backend demanded, if any. */
    public final Optional<Backend> backend() {
        return Optional.ofNullable(values.backend);
    }

    /** The team that runs the plan. */
    public final Workers workers() {
        return values.workers == null ? Workers.shared() : values.workers;
    }

    @Override
    public String toString() {
        return getClass().getSimpleName() + "[" + values.layout + ", activation " + values.activation
            + (values.bias == null ? "" : ", bias")
            + (values.backend == null ? "" : ", backend " + values.backend.id()) + details() + "]";
    }
}
