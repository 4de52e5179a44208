package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
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

    @Test
    void smallBlocksSharePagesAndGoBackWithTheirArena() {
        Tools.assumeNatives();
        HugePages pages = new HugePages(64 * MIB, () -> {});
        Arena first = Arena.ofShared();
        try (Arena second = Arena.ofShared()) {
            MemorySegment a = pages.of(first).allocate(1000, 64);
            MemorySegment b = pages.of(second).allocate(100, 64);
            assertThat(pages.mappedBytes()).isEqualTo(8 * MIB);
            assertThat(a.byteSize()).isEqualTo(1000);
            assertThat(b.address() - a.address()).isEqualTo(1024);
            a.fill((byte) 1);
            first.close();
            assertThatThrownBy(() -> a.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
            MemorySegment again = pages.of(second).allocate(1024, 64);
            assertThat(again.address()).isEqualTo(a.address());
            assertThat(again.toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
            assertThat(b.toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
        }
    }

    @Test
    void sharedPagesGoBackWhenTheyAreEmptyButForOne() {
        Tools.assumeNatives();
        HugePages pages = new HugePages(1024 * MIB, () -> {});
        try (Arena arena = Arena.ofShared()) {
            for (int i = 0; i < 40; i++) {
                pages.of(arena).allocate(MIB, 64);
            }
            assertThat(pages.mappedBytes()).isEqualTo(40 * MIB);
        }
        assertThat(pages.mappedBytes()).isEqualTo(8 * MIB);
    }

    @Test
    void anArenaThatCannotOwnThemTakesNoPages() {
        Tools.assumeNatives();
        HugePages pages = new HugePages(64 * MIB, () -> {});
        Arena closed = Arena.ofShared();
        closed.close();
        for (long bytes : new long[] {100, 4 * MIB}) {
            assertThatThrownBy(() -> pages.of(closed).allocate(bytes, 64)).isInstanceOf(IllegalStateException.class);
        }
        assertThat(pages.mappedBytes()).isEqualTo(8 * MIB);
        try (Arena arena = Arena.ofShared()) {
            pages.of(arena).allocate(2 * MIB - 64, 64);
            pages.of(arena).allocate(6 * MIB / 4, 64);
            assertThat(pages.mappedBytes()).isEqualTo(8 * MIB);
        }
    }

    @Test
    void whatAPageCannotAlignIsTheArenas() {
        Tools.assumeNatives();
        HugePages pages = new HugePages(64 * MIB, () -> {});
        try (Arena arena = Arena.ofShared()) {
            assertThat(pages.of(arena).allocate(100, 4096).address() % 4096).isZero();
            assertThat(pages.of(arena).allocate(0, 1).byteSize()).isZero();
            assertThat(pages.mappedBytes()).isZero();
        }
    }

    /** Blocks drawn at random: none overlaps another, and in the end all is one hole again. */
    @Test
    void blocksNeverOverlap() {
        for (long seed = 1; seed <= 20; seed++) {
            Random random = new Random(seed);
            try (Arena arena = Arena.ofConfined()) {
                SharedPages pages = new SharedPages(arena.allocate(1 << 16, 64));
                TreeMap<Long, Long> taken = new TreeMap<>();
                for (int step = 0; step < 400; step++) {
                    if (random.nextBoolean() || taken.isEmpty()) {
                        long bytes = 1 + random.nextInt(1 << 12);
                        long offset = pages.take(bytes);
                        if (offset >= 0) {
                            Map.Entry<Long, Long> below = taken.lowerEntry(offset + bytes);
                            assertThat(below == null || below.getKey() + below.getValue() <= offset)
                                .as("seed %d", seed).isTrue();
                            assertThat(offset % 64).isZero();
                            assertThat(offset + bytes).isLessThanOrEqualTo(1 << 16);
                            taken.put(offset, bytes);
                        }
                    } else {
                        Map.Entry<Long, Long> block = taken.higherEntry((long) random.nextInt(1 << 16));
                        block = block == null ? taken.firstEntry() : block;
                        taken.remove(block.getKey());
                        pages.give(block.getKey(), block.getValue());
                    }
                    assertThat(pages.isEmpty()).isEqualTo(taken.isEmpty());
                }
                taken.forEach(pages::give);
                assertThat(pages.isEmpty()).isTrue();
                assertThat(pages.take(1 << 16)).isZero();
            }
        }
    }
}
