package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class HugePagesTest {

    private static final long MIB = 1 << 20;

    @Test
    void theCollectorIsAskedWhenTheLimitIsPassedAndWhenThatDoubles() {
        Tools.assumeNatives();
        AtomicInteger asked = new AtomicInteger();
        HugePages pages = new HugePages(16 * MIB, asked::incrementAndGet);
        try (Arena arena = Arena.ofShared()) {
            pages.of(arena).allocate(16 * MIB, 64);
            pages.of(arena).allocate(MIB, 64);
            assertThat(asked).hasValue(0);
            pages.of(arena).allocate(4 * MIB, 64);
            assertThat(asked).hasValue(1);
            pages.of(arena).allocate(20 * MIB, 64);
            assertThat(asked).hasValue(1);
            pages.of(arena).allocate(2 * MIB, 64);
            assertThat(asked).hasValue(2);
        }
        for (int i = 0; i < 100; i++) {
            try (Arena arena = Arena.ofShared()) {
                pages.of(arena).allocate(4 * MIB, 64);
            }
        }
        assertThat(asked).hasValue(2);
        try (Arena arena = Arena.ofShared()) {
            pages.of(arena).allocate(20 * MIB, 64);
            assertThat(asked).hasValue(3);
        }
    }

    @Test
    void theCollectorFreesWhatNobodyReaches() throws InterruptedException {
        Tools.assumeNatives();
        AtomicInteger asked = new AtomicInteger();
        HugePages pages = new HugePages(64 * MIB, asked::incrementAndGet);
        for (int i = 0; i < 20; i++) {
            pages.of(Arena.ofAuto()).allocate(8 * MIB, 64);
        }
        assertThat(asked).hasPositiveValue();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (pages.mappedBytes() > 0 && System.nanoTime() < deadline) {
            System.gc();
            Thread.sleep(10);
        }
        assertThat(pages.mappedBytes()).isZero();
    }
}
