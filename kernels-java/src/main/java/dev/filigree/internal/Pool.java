package dev.filigree.internal;

import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Keeps a bounded number of idle objects. Lock-free; taking and giving allocate nothing. When the pool is full or
 * drained, an object given to it is closed instead of kept.
 */
public final class Pool<T extends AutoCloseable> {

    /** Callers at one time that find a warm object; more still work, with objects of their own. */
    private static final int SLOTS = 64;

    private final AtomicReferenceArray<T> idle = new AtomicReferenceArray<>(SLOTS);
    private volatile boolean drained;

    /** An idle object, or null when there is none. */
    public T take() {
        for (int i = 0; i < SLOTS; i++) {
            if (idle.get(i) != null) {
                T taken = idle.getAndSet(i, null);
                if (taken != null) {
                    return taken;
                }
            }
        }
        return null;
    }

    /** Gives an object that the caller no longer uses. */
    public void give(T object) {
        for (int i = 0; i < SLOTS && !drained; i++) {
            if (idle.get(i) == null && idle.compareAndSet(i, null, object)) {
                if (drained) {
                    drain();
                }
                return;
            }
        }
        close(object);
    }

    /** Closes what is idle now and what is given from now on. */
    public void drain() {
        drained = true;
        for (T object = take(); object != null; object = take()) {
            close(object);
        }
    }

    private static void close(AutoCloseable object) {
        try {
            object.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException("a pooled object failed to close", e);
        }
    }
}
