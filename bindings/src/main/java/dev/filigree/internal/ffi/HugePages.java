package dev.filigree.internal.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;

/**
 * Native memory on huge pages, which arenas own; matrices smaller than a page share some. Reading many small matrices
 * in turn from small pages took a tenth longer, for want of address translations.
 *
 * <p>An arena that the garbage collector closes holds on to its memory until the collector runs, and large matrices are
 * small objects to it. So it is asked to run when as much is mapped as the heap may hold, and again when that has
 * doubled: as the JVM does for its own allocations, but without refusing any. Thread-safe.
 */
final class HugePages {

    /** Less than this shares pages with others. */
    private static final long PAGE_BYTES = 2L << 20;
    /** That are shared, mapped at once; room for at least four others, so that what is left over is little. */
    private static final long SHARED_BYTES = 4 * PAGE_BYTES;

    /** Of shared pages, what one arena owns. */
    private record Part(SharedPages pages, long offset, long bytes) {}

    private final long least;
    private final Runnable collector;
    private final List<SharedPages> shared = new ArrayList<>();
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

    /** Allocates from an arena: what is more than there is, from the arena itself. */
    SegmentAllocator of(Arena arena) {
        return (bytes, alignment) -> {
            MemorySegment memory = null;
            if (bytes >= PAGE_BYTES) {
                memory = ownPages(bytes, arena);
            } else if (bytes > 0 && alignment <= SharedPages.GRAIN) {
                memory = partOfPages(bytes, arena);
            }
            // The arena's refusal says what is missing.
            return memory != null ? memory : arena.allocate(bytes, alignment);
        };
    }

    /** Null where there are none. */
    private MemorySegment ownPages(long bytes, Arena arena) {
        MemorySegment pages = map(bytes);
        return pages == null ? null : owned(pages, arena, () -> unmap(pages));
    }

    /** Null where there are no pages. */
    private MemorySegment partOfPages(long bytes, Arena arena) {
        Part part = takePart(bytes);
        if (part == null) {
            MemorySegment pages = map(SHARED_BYTES);
            if (pages == null) {
                return null;
            }
            part = takePartOf(pages, bytes);
        }
        Part taken = part;
        MemorySegment memory = taken.pages.pages().asSlice(taken.offset, bytes).fill((byte) 0);
        return owned(memory, arena, () -> give(taken));
    }

    /** Of an arena that cannot own any more, too, the memory goes back. */
    private static MemorySegment owned(MemorySegment memory, Arena arena, Runnable free) {
        try {
            return memory.reinterpret(arena, segment -> free.run());
        } catch (RuntimeException e) {
            free.run();
            throw e;
        }
    }

    private synchronized Part takePart(long bytes) {
        for (SharedPages pages : shared) {
            long offset = pages.take(bytes);
            if (offset >= 0) {
                return new Part(pages, offset, bytes);
            }
        }
        return null;
    }

    private synchronized Part takePartOf(MemorySegment newPages, long bytes) {
        SharedPages pages = new SharedPages(newPages);
        shared.add(pages);
        return new Part(pages, pages.take(bytes), bytes);
    }

    private synchronized void give(Part part) {
        part.pages.give(part.offset, part.bytes);
        // One that is empty stays: whoever plans and closes in turn would have it mapped anew each time.
        if (part.pages.isEmpty() && shared.stream().filter(SharedPages::isEmpty).count() > 1) {
            shared.remove(part.pages);
            unmap(part.pages.pages());
        }
    }

    /** Null where there are no pages. */
    private MemorySegment map(long bytes) {
        if (overLimitWith(bytes)) {
            collector.run();
        }
        MemorySegment pages = Filigree.filigree_allocate_pages(bytes);
        if (pages.address() == 0) {
            forget(bytes);
            return null;
        }
        return pages.reinterpret(bytes);
    }

    private void unmap(MemorySegment pages) {
        Filigree.filigree_free_pages(pages, pages.byteSize());
        forget(pages.byteSize());
    }

    /** What is mapped now. */
    synchronized long mappedBytes() {
        return mapped;
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
