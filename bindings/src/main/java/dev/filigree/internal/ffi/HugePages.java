package dev.filigree.internal.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/**
 * Native memory on huge pages, which arenas own.
 *
 * <p>An arena that the garbage collector closes holds on to its memory until the collector runs, and large matrices are
 * small objects to it. So it is asked to run when as much is mapped as the heap may hold, and again when that has
 * doubled: as the JVM does for its own allocations, but without refusing any. Thread-safe.
 */
final class HugePages {

    /** Less cannot be backed by a huge page. */
    private static final long PAGE_BYTES = 2L << 20;

    private final long least;
    private final Runnable collector;
    private long mapped;
    private long limit;

    HugePages() {
        this(Runtime.getRuntime().maxMemory(), System::gc);
    }

    /** Package-private: a test counts how often the collector is asked. */
    HugePages(long least, Runnable collector) {
        this.least = least;
        this.collector = collector;
        limit = least;
    }

    /** Allocates from an arena: what is less than a page, or more than there is, from the arena itself. */
    SegmentAllocator of(Arena arena) {
        return (bytes, alignment) -> {
            if (bytes < PAGE_BYTES) {
                return arena.allocate(bytes, alignment);
            }
            if (overLimitWith(bytes)) {
                collector.run();
            }
            MemorySegment pages = Filigree.filigree_allocate_pages(bytes);
            if (pages.address() == 0) {
                forget(bytes);
                // Its refusal says what is missing.
                return arena.allocate(bytes, alignment);
            }
            return pages.reinterpret(bytes, arena, this::free);
        };
    }

    /** What arenas own now. */
    synchronized long mappedBytes() {
        return mapped;
    }

    private void free(MemorySegment pages) {
        Filigree.filigree_free_pages(pages, pages.byteSize());
        forget(pages.byteSize());
    }

    private synchronized void forget(long bytes) {
        mapped -= bytes;
        if (mapped < limit / 4) {
            limit = Math.max(least, 2 * mapped);
        }
    }

    private synchronized boolean overLimitWith(long bytes) {
        mapped += bytes;
        if (mapped <= limit) {
            return false;
        }
        limit = 2 * mapped;
        return true;
    }
}
