package dev.filigree.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;

/**
 * Knows the calls inside an object that can be closed: close waits for them, and nobody enters afterwards. Once as
 * many calls as ever have met inside, entering allocates nothing and takes no lock.
 */
public final class Gate {

    /** One call's stay; reused by later calls. */
    public static final class Visit {
        /**
         * Set to false to leave. A field, because leaving must not fail: a method would need stack, and a caller that
         * has run out of it would never have left.
         */
        public volatile boolean inside;

        private Visit() {}
    }

    private static final long WAIT_NANOS = 50_000;
    private static final VarHandle INSIDE;
    private static final VarHandle CLOSED;

    static {
        try {
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            INSIDE = lookup.findVarHandle(Visit.class, "inside", boolean.class);
            CLOSED = lookup.findVarHandle(Gate.class, "closed", boolean.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final String what;
    private final Object exclusive = new Object();
    private volatile boolean closed;
    private volatile boolean held;
    private volatile Visit[] visits = {new Visit()};

    /**
     * Creates an open gate.
     *
     * @param what names the object in the message: "the SpMM plan"
     */
    public Gate(String what) {
        this.what = what;
    }

    /**
     * Enters, after whoever is {@linkplain #alone alone} inside; the caller leaves by setting {@link Visit#inside} to
     * false, in a {@code finally}.
     *
     * @throws IllegalStateException if the gate is closed
     */
    public Visit enter() {
        while (true) {
            Visit visit = claim();
            // Asked after entering: whoever closes or holds the gate sees this visit, or this visit sees that.
            if (!closed && !held) {
                return visit;
            }
            visit.inside = false;
            if (closed) {
                throw new IllegalStateException(what + " is closed");
            }
            LockSupport.parkNanos(this, WAIT_NANOS);
        }
    }

    /**
     * Waits until all have left, then acts while nobody else is inside.
     *
     * @throws IllegalStateException if the gate is closed
     */
    public void alone(Runnable action) {
        synchronized (exclusive) {
            if (closed) {
                throw new IllegalStateException(what + " is closed");
            }
            held = true;
            try {
                awaitEmpty();
                action.run();
            } finally {
                held = false;
            }
        }
    }

    private Visit claim() {
        for (Visit visit : visits) {
            if (!visit.inside && INSIDE.compareAndSet(visit, false, true)) {
                return visit;
            }
        }
        return add();
    }

    private synchronized Visit add() {
        Visit visit = new Visit();
        Visit[] more = Arrays.copyOf(visits, visits.length + 1);
        more[visits.length] = visit;
        visit.inside = true;
        visits = more;
        return visit;
    }

    /**
     * Closes the gate and waits until all have left. An interrupt does not cut the wait short; it is kept.
     *
     * @return false if it was closed before; then another caller may still be waiting
     */
    public boolean close() {
        if (!CLOSED.compareAndSet(this, false, true)) {
            return false;
        }
        // Whoever is alone inside leaves first.
        synchronized (exclusive) {
            awaitEmpty();
        }
        return true;
    }

    private void awaitEmpty() {
        boolean interrupted = false;
        for (Visit visit : visits) {
            while (visit.inside) {
                LockSupport.parkNanos(this, WAIT_NANOS);
                interrupted |= Thread.interrupted();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Whether {@link #close()} was called. */
    public boolean isClosed() {
        return closed;
    }
}
