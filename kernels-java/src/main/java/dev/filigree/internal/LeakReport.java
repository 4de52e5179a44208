package dev.filigree.internal;

import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Reports objects that became unreachable without having been closed. It frees nothing: native memory is given
 * back by {@code close()} alone, at a time that the program chooses.
 */
public final class LeakReport {

    private static final System.Logger LOG = System.getLogger("dev.filigree");
    private static final Cleaner CLEANER = Cleaner.create();

    private final AtomicBoolean closed;
    private final Cleaner.Cleanable cleanable;

    private LeakReport(Object owner, String what) {
        AtomicBoolean flag = new AtomicBoolean();
        closed = flag;
        // The action must not hold the owner, or the owner would never become unreachable.
        cleanable = CLEANER.register(owner, () -> {
            if (!flag.get()) {
                LOG.log(System.Logger.Level.WARNING, "never closed, its native memory is lost: {0}", what);
            }
        });
    }

    /**
     * Watches an object.
     *
     * @param owner what must be closed
     * @param what how the report names it
     */
    public static LeakReport watch(Object owner, String what) {
        return new LeakReport(owner, what);
    }

    /** The owner was closed: nothing to report. */
    public void closed() {
        closed.set(true);
        cleanable.clean();
    }
}
