package dev.filigree.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * Counts the calls inside an object that can be closed: close waits for them, and nobody enters afterwards.
 * Entering and leaving allocate nothing and take no lock.
 */
public final class Gate {

    private static final int CLOSED = 1 << 31;
    private static final VarHandle STATE;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(Gate.class, "state", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final String what;
    private volatile int state;

    /**
     * Creates an open gate.
     *
     * @param what names the object in the message: "the SpMM plan"
     */
    public Gate(String what) {
        this.what = what;
    }

    /**
     * Enters; each success needs one {@link #exit()}.
     *
     * @throws IllegalStateException if the gate is closed
     */
    public void enter() {
        int seen;
        do {
            seen = state;
            if (seen < 0) {
                throw new IllegalStateException(what + " is closed");
            }
        } while (!STATE.compareAndSet(this, seen, seen + 1));
    }

    /** Leaves. */
    public void exit() {
        int before = (int) STATE.getAndAdd(this, -1);
        if (before == (CLOSED | 1)) {
            synchronized (this) {
                notifyAll();
            }
        }
    }

    /**
     * Closes the gate and waits until all have left. An interrupt does not cut the wait short; it is kept.
     *
     * @return false if it was closed before; then another caller may still be waiting
     */
    public boolean close() {
        if ((int) STATE.getAndBitwiseOr(this, CLOSED) < 0) {
            return false;
        }
        boolean interrupted = false;
        synchronized (this) {
            while (state != CLOSED) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return true;
    }

    /** Whether {@link #close()} was called. */
    public boolean isClosed() {
        return state < 0;
    }
}
