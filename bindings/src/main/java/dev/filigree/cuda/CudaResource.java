package dev.filigree.cuda;

import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;

/**
 * Something of a device that is freed once: calls that use it are waited for, later ones refused, and one that is never
 * closed is reported.
 */
abstract class CudaResource implements AutoCloseable {

    private final CudaDevice device;
    private final String what;
    private final Gate gate;
    private final LeakReport leakReport;

    /**
     * Watches a resource that its subclass is about to make.
     *
     * @param what names it in messages
     */
    CudaResource(CudaDevice device, String what) {
        this.device = device;
        this.what = what + " of " + device;
        gate = new Gate(this.what);
        leakReport = LeakReport.watch(this, this.what);
    }

    /** The subclass could not make it: there is nothing to close. */
    final void notMade() {
        gate.close();
        leakReport.closed();
    }

    /** The device that it belongs to. */
    public final CudaDevice device() {
        return device;
    }

    /**
     * Begins a use with its device current; the caller sets {@link Gate.Visit#inside} to false, in a {@code finally}.
     *
     * @throws IllegalStateException if it is closed
     */
    final Gate.Visit use() {
        Gate.Visit visit = gate.enter();
        try {
            device.makeCurrent();
            return visit;
        } catch (Throwable t) {
            visit.inside = false;
            throw t;
        }
    }

    /** Refuses what belongs to another device. */
    final void requireSameDevice(String name, CudaResource other) {
        if (other.device != device) {
            throw new IllegalArgumentException(name + " belongs to " + other.device + ", expected " + device);
        }
    }

    /** Whether {@link #close()} was called. */
    public final boolean isClosed() {
        return gate.isClosed();
    }

    /** Frees it; nobody uses it any more, and its device is current. */
    abstract void release();

    /** Frees it. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            device.makeCurrent();
            release();
        }
    }

    @Override
    public String toString() {
        return what + (gate.isClosed() ? ", closed" : "");
    }
}
