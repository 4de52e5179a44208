package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Workers;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
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

    private static void write(MemorySegment scratch, long value) {
        scratch.set(ValueLayout.JAVA_LONG, 0, value);
        assertThat(scratch.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(value);
    }
}
