package dev.filigree;

import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;

/**
 * A team of threads that share the work items of one run at a time.
 *
 * <p>The thread that calls {@link #run} is a member, so a team of one has no thread of its own. While a run is in
 * progress, another caller, or a call from inside the run, does all of its own items itself: nothing waits for the
 * team, so nothing deadlocks. Members wait actively for about 20 microseconds after a run, then park; a run waits
 * for those that joined it, not for those that woke up too late.
 *
 * <p>Thread-safe. Warm runs allocate nothing.
 */
public final class Workers implements AutoCloseable {

    /** Computes work items {@code [begin, end)}; called from several threads at once, on disjoint ranges. */
    @FunctionalInterface
    public interface Task {

        /**
         * Computes a range of items.
         *
         * @param begin the first item
         * @param end one past the last item
         * @param scratch native memory for this call alone, 64-byte aligned, undefined content
         */
        void run(long begin, long end, MemorySegment scratch);
    }

    /** Largest team; beyond it the split of the work (64 ranges and more) leaves members idle. */
    public static final int MAX_THREADS = 1024;

    /** Long enough to bridge the gap between two layers of a model, short enough not to steal a core. */
    private static final long SPIN_NANOS = 20_000;
    /** Ranges a member takes, on average: more evens out unequal items, fewer keeps a range's tiles in cache. */
    private static final int RANGES_PER_MEMBER = 4;

    private static final VarHandle NEXT;
    private static final VarHandle JOINED;
    private static final VarHandle OWNER;

    static {
        try {
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            NEXT = lookup.findVarHandle(Workers.class, "nextRange", long.class);
            JOINED = lookup.findVarHandle(Workers.class, "joined", int.class);
            OWNER = lookup.findVarHandle(Workers.class, "owner", Thread.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private static final class Shared {
        static final Workers TEAM = new Workers(
            Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors()), false);
    }

    private final Member[] members;
    private final boolean closeable;
    private final Pool<Scratch> callerScratch = new Pool<>();

    /** The thread whose run has the team; null when it is free. Holding it guards the plain fields below. */
    private volatile Thread owner;
    /** No run may start. */
    private volatile boolean closed;
    /** Nor is one in progress: members end. */
    private volatile boolean ending;

    private Task task;
    private long items;
    private long grain;
    private long ranges;
    private long scratchBytes;
    private Throwable failure;
    private volatile long nextRange;
    /** Whether members may join the run; publishes the plain fields. */
    private volatile boolean open;
    /** Members inside the run, or looking whether it is open. */
    private volatile int joined;
    /** Raised when a run starts, to be noticed by waiting members. */
    private volatile long epoch;

    private Workers(int threads, boolean closeable) {
        this.closeable = closeable;
        members = new Member[threads - 1];
        for (int i = 0; i < members.length; i++) {
            members[i] = new Member(i + 1);
        }
        try {
            for (Member member : members) {
                member.thread.start();
            }
        } catch (Throwable t) {
            // The operating system grants no more threads: those that run must not wait forever.
            endMembers();
            throw t;
        }
    }

    /**
     * Starts a team.
     *
     * @param threads how many threads work on a run, the caller included; 1 to {@value #MAX_THREADS}
     * @throws IllegalArgumentException if {@code threads} is out of range
     */
    public static Workers of(int threads) {
        if (threads < 1 || threads > MAX_THREADS) {
            throw new IllegalArgumentException("threads = " + threads + " is not in 1.." + MAX_THREADS);
        }
        return new Workers(threads, true);
    }

    /** The team of the process: one thread a processor, started on first use, never closed. */
    public static Workers shared() {
        return Shared.TEAM;
    }

    /** How many threads work on a run, the caller included. */
    public int threads() {
        return members.length + 1;
    }

    /**
     * Runs a task over items {@code [0, count)} and returns when all are done.
     *
     * @param count how many items
     * @param scratchBytes scratch that each call of the task needs
     * @param task what to do; when it throws, no further ranges are started, and the first failure is thrown here
     *     after every member has stopped
     * @throws IllegalArgumentException if a number is negative
     * @throws IllegalStateException if the team is closed
     * @throws OutOfMemoryError if there is no memory for the scratch
     */
    public void run(long count, long scratchBytes, Task task) {
        check(count, scratchBytes, task);
        Thread caller = Thread.currentThread();
        if (closed || members.length == 0 || count <= 1 || !OWNER.compareAndSet(this, null, caller)) {
            runUnshared(count, scratchBytes, task);
            return;
        }
        Throwable thrown;
        try {
            if (closed) {
                throw new IllegalStateException("the worker team is closed");
            }
            thrown = runTogether(count, scratchBytes, task);
        } finally {
            owner = null;
        }
        if (thrown != null) {
            Workers.<RuntimeException>rethrow(thrown);
        }
    }

    /**
     * Runs a task over items {@code [0, count)} in one call on the calling thread, for work too small to share.
     *
     * @param count how many items
     * @param scratchBytes scratch that the call needs
     * @param task what to do
     * @throws IllegalArgumentException if a number is negative
     * @throws IllegalStateException if the team is closed
     * @throws OutOfMemoryError if there is no memory for the scratch
     */
    public void runAlone(long count, long scratchBytes, Task task) {
        check(count, scratchBytes, task);
        runUnshared(count, scratchBytes, task);
    }

    private static void check(long count, long scratchBytes, Task task) {
        Objects.requireNonNull(task, "task");
        if (count < 0) {
            throw new IllegalArgumentException("count = " + count + " is negative");
        }
        if (scratchBytes < 0) {
            throw new IllegalArgumentException("scratchBytes = " + scratchBytes + " is negative");
        }
    }

    private void runUnshared(long count, long scratchBytes, Task task) {
        if (closed) {
            throw new IllegalStateException("the worker team is closed");
        }
        if (count == 0) {
            return;
        }
        Scratch scratch = takeScratch();
        try {
            task.run(0, count, scratch.atLeast(scratchBytes));
        } finally {
            callerScratch.give(scratch);
        }
    }

    private Throwable runTogether(long count, long bytes, Task work) {
        Scratch scratch = takeScratch();
        try {
            task = work;
            items = count;
            scratchBytes = bytes;
            grain = Math.max(1, count / ((long) RANGES_PER_MEMBER * threads()));
            ranges = Math.ceilDiv(count, grain);
            failure = null;
            nextRange = 0;
            try {
                open = true;
                epoch++; // only the owner writes it
                wakeMembers();
                claimRanges(scratch);
            } finally {
                open = false;
                try {
                    awaitMembers();
                } finally {
                    // Not even an overflow of the stack may leave a member with memory that the caller goes on to
                    // free: this loop calls nothing.
                    while (joined != 0) {
                        continue;
                    }
                }
            }
            return failure;
        } finally {
            task = null;
            failure = null;
            callerScratch.give(scratch);
        }
    }

    private void wakeMembers() {
        for (Member member : members) {
            if (member.parked) {
                LockSupport.unpark(member.thread);
            }
        }
    }

    /** Counted ranges rather than items: a counter of items could overflow. */
    private void claimRanges(Scratch scratch) {
        try {
            MemorySegment block = scratch.atLeast(scratchBytes);
            while (true) {
                long range = (long) NEXT.getAndAdd(this, 1L);
                if (range >= ranges) {
                    return;
                }
                long begin = range * grain;
                task.run(begin, begin + Math.min(grain, items - begin), block);
            }
        } catch (Throwable t) {
            synchronized (this) {
                if (failure == null) {
                    failure = t;
                }
            }
            nextRange = ranges;
        }
    }

    private void awaitMembers() {
        long deadline = System.nanoTime() + SPIN_NANOS;
        boolean interrupted = false;
        while (joined != 0) {
            if (System.nanoTime() < deadline) {
                Thread.onSpinWait();
            } else {
                // A member unparks the owner when it is the last; the time limit covers a lost race cheaply.
                LockSupport.parkNanos(this, 1_000_000);
                interrupted |= Thread.interrupted();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private Scratch takeScratch() {
        Scratch idle = callerScratch.take();
        return idle == null ? new Scratch() : idle;
    }

    /**
     * Waits for the run that has the team, then ends the team's threads; a caller that does its items alone finishes
     * by itself. A second call does nothing.
     *
     * @throws UnsupportedOperationException on the {@linkplain #shared() shared team}, which lives with the process
     * @throws IllegalStateException if called from inside one of the team's own runs
     */
    @Override
    public void close() {
        if (!closeable) {
            throw new UnsupportedOperationException("the shared worker team lives as long as the process");
        }
        Thread self = Thread.currentThread();
        if (owner == self || isMember(self)) {
            throw new IllegalStateException("a run cannot close its own worker team");
        }
        closed = true;
        boolean interrupted = false;
        while (!OWNER.compareAndSet(this, null, self)) {
            LockSupport.parkNanos(this, 100_000);
            interrupted |= Thread.interrupted();
        }
        try {
            endMembers();
            for (Member member : members) {
                while (member.thread.isAlive()) {
                    try {
                        member.thread.join();
                    } catch (InterruptedException e) {
                        interrupted = true;
                    }
                }
            }
            callerScratch.drain();
        } finally {
            owner = null;
        }
        if (interrupted) {
            self.interrupt();
        }
    }

    private void endMembers() {
        ending = true;
        for (Member member : members) {
            LockSupport.unpark(member.thread);
        }
    }

    private boolean isMember(Thread thread) {
        for (Member member : members) {
            if (member.thread == thread) {
                return true;
            }
        }
        return false;
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void rethrow(Throwable thrown) throws T {
        throw (T) thrown;
    }

    @Override
    public String toString() {
        return "Workers[" + threads() + (closed ? ", closed]" : "]");
    }

    private final class Member implements Runnable {
        private final Thread thread;
        private volatile boolean parked;

        Member(int index) {
            // Whoever happens to start the team must not be kept alive, or be visible, through its threads.
            thread = new Thread(null, this, "filigree-worker-" + index, 0, false);
            thread.setContextClassLoader(ClassLoader.getSystemClassLoader());
            thread.setDaemon(true);
        }

        @Override
        public void run() {
            try (Scratch scratch = new Scratch()) {
                long seen = 0;
                while (awaitEpochAfter(seen)) {
                    seen = epoch;
                    JOINED.getAndAdd(Workers.this, 1);
                    Thread waiting = owner;
                    // Joins, then looks; the owner shuts, then counts: so one of the two sees the other.
                    if (open) {
                        claimRanges(scratch);
                    }
                    if ((int) JOINED.getAndAdd(Workers.this, -1) == 1 && !open) {
                        LockSupport.unpark(waiting);
                    }
                }
            }
        }

        /** False when the team ends. */
        private boolean awaitEpochAfter(long seen) {
            long deadline = System.nanoTime() + SPIN_NANOS;
            while (epoch == seen) {
                if (ending) {
                    return false;
                }
                if (System.nanoTime() < deadline) {
                    Thread.onSpinWait();
                } else {
                    parked = true;
                    if (epoch == seen && !ending) {
                        LockSupport.park(Workers.this);
                    }
                    parked = false;
                    // The JVM interrupts a thread whose memory is closed under it; parking would not work again.
                    Thread.interrupted();
                }
            }
            return true;
        }
    }
}
