package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Workers;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class WorkersTest {

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 64})
    void everyItemIsDoneOnce(int threads) {
        try (Workers team = Workers.of(threads)) {
            assertThat(team.threads()).isEqualTo(threads);
            for (int count : new int[] {0, 1, 2, 5, 64, 1000}) {
                AtomicIntegerArray done = new AtomicIntegerArray(Math.max(1, count));
                for (int round = 0; round < 20; round++) {
                    team.run(count, 0, (begin, end, scratch) -> {
                        for (long i = begin; i < end; i++) {
                            done.incrementAndGet((int) i);
                        }
                    });
                }
                for (int i = 0; i < count; i++) {
                    assertThat(done.get(i)).isEqualTo(20);
                }
            }
        }
    }

    @Test
    void scratchIsAlignedLargeEnoughAndNotShared() {
        try (Workers team = Workers.of(4)) {
            for (long bytes : new long[] {1, 100, 70_000, 5_000_000, 100}) {
                ConcurrentHashMap<Long, Thread> owners = new ConcurrentHashMap<>();
                team.run(200, bytes, (begin, end, scratch) -> {
                    assertThat(scratch.byteSize()).isGreaterThanOrEqualTo(bytes);
                    assertThat(scratch.address() % 64).isZero();
                    Thread other = owners.putIfAbsent(scratch.address(), Thread.currentThread());
                    assertThat(other == null || other == Thread.currentThread()).isTrue();
                    scratch.set(ValueLayout.JAVA_BYTE, bytes - 1, (byte) 1);
                });
            }
        }
    }

    @Test
    void aFailureReachesTheCallerAfterAllHaveStoppedAndTheTeamLivesOn() {
        try (Workers team = Workers.of(3)) {
            AtomicInteger inside = new AtomicInteger();
            for (int round = 0; round < 50; round++) {
                assertThatThrownBy(() -> team.run(100, 0, (begin, end, scratch) -> {
                    inside.incrementAndGet();
                    try {
                        if (begin >= 30) {
                            throw new IllegalStateException("planted");
                        }
                    } finally {
                        inside.decrementAndGet();
                    }
                })).isInstanceOf(IllegalStateException.class).hasMessage("planted");
                assertThat(inside).hasValue(0);
            }
            AtomicLong items = new AtomicLong();
            team.run(100, 0, (begin, end, scratch) -> items.addAndGet(end - begin));
            assertThat(items).hasValue(100);
        }
    }

    @Test
    void aNestedRunRunsInItsCaller() {
        try (Workers team = Workers.of(2)) {
            AtomicLong items = new AtomicLong();
            team.run(8, 1000, (begin, end, scratch) -> {
                Thread outer = Thread.currentThread();
                for (long i = begin; i < end; i++) {
                    team.run(10, 1000, (b, e, inner) -> {
                        assertThat(Thread.currentThread()).isSameAs(outer);
                        assertThat(inner.address()).isNotEqualTo(scratch.address());
                        items.addAndGet(e - b);
                    });
                }
            });
            assertThat(items).hasValue(80);
        }
    }

    @Test
    void aSecondCallerDoesNotWait() throws Exception {
        try (Workers team = Workers.of(2); ExecutorService other = Executors.newSingleThreadExecutor()) {
            CountDownLatch started = new CountDownLatch(1);
            CountDownLatch release = new CountDownLatch(1);
            Future<?> busy = other.submit(() -> team.run(2, 0, (begin, end, scratch) -> {
                started.countDown();
                try {
                    release.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }));
            started.await();
            AtomicLong items = new AtomicLong();
            team.run(10, 0, (begin, end, scratch) -> items.addAndGet(end - begin));
            assertThat(items).hasValue(10);
            release.countDown();
            busy.get();
        }
    }

    @Test
    void closingWaitsForTheRunAndEndsTheThreads() throws Exception {
        Workers team = Workers.of(3);
        AtomicInteger done = new AtomicInteger();
        CountDownLatch started = new CountDownLatch(1);
        Thread runner = Thread.ofPlatform().start(() -> team.run(12, 0, (begin, end, scratch) -> {
            started.countDown();
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            done.addAndGet((int) (end - begin));
        }));
        started.await();
        team.close();
        assertThat(done).hasValue(12);
        runner.join();
        team.close();
        assertThatThrownBy(() -> team.run(1, 0, (begin, end, scratch) -> {})).hasMessage("the worker team is closed");
        assertThat(team.toString()).contains("closed");
    }

    @Test
    @SuppressWarnings("try") // closing inside is what is tried
    void aRunCannotCloseItsTeam() {
        try (Workers team = Workers.of(2)) {
            assertThatThrownBy(() -> team.run(4, 0, (begin, end, scratch) -> team.close()))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("cannot close its own");
        }
        assertThatThrownBy(() -> Workers.shared().close()).isInstanceOf(UnsupportedOperationException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 1025})
    void impossibleSizesAreRefused(int threads) {
        assertThatThrownBy(() -> Workers.of(threads)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("threads = " + threads);
    }

    @Test
    void manyCallersShareATeamWithoutLosingItems() throws Exception {
        try (Workers team = Workers.of(3); ExecutorService callers = Executors.newFixedThreadPool(6)) {
            AtomicLong items = new AtomicLong();
            Future<?>[] futures = new Future<?>[6];
            for (int i = 0; i < 6; i++) {
                futures[i] = callers.submit(() -> {
                    for (int round = 0; round < 2000; round++) {
                        team.run(17, 64, (begin, end, scratch) -> {
                            write(scratch, begin);
                            items.addAndGet(end - begin);
                        });
                    }
                });
            }
            for (Future<?> future : futures) {
                future.get();
            }
            assertThat(items).hasValue(6L * 2000 * 17);
        }
    }

    @Test
    void closingNeverStrandsARun() throws Exception {
        // The two meet within a microsecond or two, so it takes many tries to see every order.
        for (int round = 0; round < 2000; round++) {
            Workers team = Workers.of(3);
            CountDownLatch ready = new CountDownLatch(1);
            Thread runner = Thread.ofPlatform().start(() -> {
                ready.countDown();
                while (true) {
                    try {
                        team.run(3, 0, (begin, end, scratch) -> {});
                    } catch (IllegalStateException closed) {
                        return;
                    }
                }
            });
            ready.await();
            for (int i = 0; i < round % 200; i++) {
                Thread.onSpinWait();
            }
            team.close();
            assertThat(runner.join(Duration.ofSeconds(20))).as("the run of round %d ended", round).isTrue();
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MAX_VALUE, Long.MAX_VALUE - 1, Long.MAX_VALUE / 8 * 8 + 1, 1L << 62})
    void countsNearTheLargestLongAreSplitWithoutOverflow(long count) {
        try (Workers team = Workers.of(2)) {
            AtomicLong items = new AtomicLong();
            team.run(count, 0, (begin, end, scratch) -> {
                if (begin < 0 || end <= begin || end > count) {
                    throw new IllegalStateException(begin + ".." + end);
                }
                items.addAndGet(end - begin);
            });
            assertThat(items).hasValue(count);
        }
    }

    @Test
    void negativeSizesAreRefusedByName() {
        for (int threads = 1; threads <= 2; threads++) {
            try (Workers team = Workers.of(threads)) {
                assertThatThrownBy(() -> team.run(-1, 0, (begin, end, scratch) -> {}))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage("count = -1 is negative");
                assertThatThrownBy(() -> team.run(2, -7, (begin, end, scratch) -> {}))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage("scratchBytes = -7 is negative");
                assertThatThrownBy(() -> team.runAlone(-1, 0, (begin, end, scratch) -> {}))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage("count = -1 is negative");
                assertThatThrownBy(() -> team.runAlone(1, 0, null)).isInstanceOf(NullPointerException.class)
                    .hasMessage("task");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MAX_VALUE, Long.MAX_VALUE - 100_000, 1L << 55})
    void scratchThatNoMachineHasIsAnErrorAndTheTeamLivesOn(long bytes) {
        try (Workers team = Workers.of(2)) {
            for (long count : new long[] {1, 10}) {
                assertThatThrownBy(() -> team.run(count, bytes, (begin, end, scratch) -> {}))
                    .isInstanceOf(OutOfMemoryError.class).hasMessageContaining("kernel scratch");
            }
            AtomicLong items = new AtomicLong();
            team.run(10, 1000, (begin, end, scratch) -> items.addAndGet(end - begin));
            assertThat(items).hasValue(10);
        }
    }

    @Test
    void anErrorOfAMemberIsThrownToTheCaller() {
        try (Workers team = Workers.of(2)) {
            Thread caller = Thread.currentThread();
            CountDownLatch thrown = new CountDownLatch(1);
            assertThatThrownBy(() -> team.run(2, 0, (begin, end, scratch) -> {
                if (Thread.currentThread() == caller) {
                    // Waits, so that the other item is a member's.
                    awaitQuietly(thrown);
                } else {
                    thrown.countDown();
                    throw new NoClassDefFoundError("planted");
                }
            })).isInstanceOf(NoClassDefFoundError.class).hasMessage("planted");
        }
    }

    @Test
    void anInterruptedCallerFinishesItsRunAndStaysInterrupted() {
        try (Workers team = Workers.of(3)) {
            Thread.currentThread().interrupt();
            AtomicLong items = new AtomicLong();
            team.run(100, 0, (begin, end, scratch) -> {
                LockSupport.parkNanos(100_000);
                items.addAndGet(end - begin);
            });
            assertThat(items).hasValue(100);
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    @Test
    void aCallerWithoutStackLeavesNoMemberBehind() {
        try (Workers team = Workers.of(2)) {
            // Of members alone: the caller may overflow between the two counts.
            AtomicInteger inside = new AtomicInteger();
            Thread caller = Thread.currentThread();
            Workers.Task task = (begin, end, scratch) -> {
                if (Thread.currentThread() == caller) {
                    return;
                }
                inside.incrementAndGet();
                long until = System.nanoTime() + 2_000;
                while (System.nanoTime() < until) {
                    Thread.onSpinWait();
                }
                inside.decrementAndGet();
            };
            for (int round = 0; round < 20; round++) {
                descend(team, task, inside);
            }
            AtomicLong items = new AtomicLong();
            team.run(100, 0, (begin, end, scratch) -> items.addAndGet(end - begin));
            assertThat(items).hasValue(100);
        }
    }

    /** Runs at every depth near the end of the stack. */
    private static void descend(Workers team, Workers.Task task, AtomicInteger inside) {
        try {
            descend(team, task, inside);
        } catch (StackOverflowError e) {
            // Deepest first: try on the way up, and pass the overflow on for the last few hundred frames.
            try {
                team.run(2, 0, task);
            } finally {
                if (inside.get() != 0) {
                    throw new IllegalStateException("a member still works for a run that has ended");
                }
            }
        }
    }

    @Test
    void membersInheritNothingFromWhoeverStartsTheTeam() {
        InheritableThreadLocal<String> mine = new InheritableThreadLocal<>();
        Thread caller = Thread.currentThread();
        ClassLoader before = caller.getContextClassLoader();
        mine.set("secret");
        caller.setContextClassLoader(new ClassLoader(before) {});
        try (Workers team = Workers.of(2)) {
            CountDownLatch seen = new CountDownLatch(1);
            team.run(2, 0, (begin, end, scratch) -> {
                if (Thread.currentThread() == caller) {
                    awaitQuietly(seen);
                    return;
                }
                seen.countDown();
                assertThat(mine.get()).isNull();
                assertThat(Thread.currentThread().getContextClassLoader())
                    .isSameAs(ClassLoader.getSystemClassLoader());
            });
        } finally {
            caller.setContextClassLoader(before);
            mine.remove();
        }
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void write(MemorySegment scratch, long value) {
        scratch.set(ValueLayout.JAVA_LONG, 0, value);
        assertThat(scratch.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(value);
    }
}
