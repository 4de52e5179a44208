package dev.filigree.internal.ffi;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.TreeMap;

/**
 * Pages that blocks smaller than a huge page share: the first hole that is large enough gives a block, and holes that
 * meet become one. Not thread-safe.
 */
final class SharedPages {

    /** Blocks begin and end at cache lines. */
    static final long GRAIN = 64;

    private final MemorySegment pages;
    /** Bytes by offset. */
    private final TreeMap<Long, Long> holes = new TreeMap<>();

    /** Takes pages whose size is a multiple of {@link #GRAIN}. */
    SharedPages(MemorySegment pages) {
        this.pages = pages;
        holes.put(0L, pages.byteSize());
    }

    MemorySegment pages() {
        return pages;
    }

    /** Where there is room for so many bytes, which are taken; -1 where there is none. */
    long take(long bytes) {
        long whole = wholeGrains(bytes);
        for (Map.Entry<Long, Long> hole : holes.entrySet()) {
            long offset = hole.getKey();
            long room = hole.getValue();
            if (room >= whole) {
                holes.remove(offset);
                if (room > whole) {
                    holes.put(offset + whole, room - whole);
                }
                return offset;
            }
        }
        return -1;
    }

    /** Gives back what {@link #take} gave for as many bytes. */
    void give(long offset, long bytes) {
        long begin = offset;
        long end = offset + wholeGrains(bytes);
        Map.Entry<Long, Long> before = holes.lowerEntry(offset);
        if (before != null && before.getKey() + before.getValue() == offset) {
            begin = before.getKey();
        }
        Long after = holes.remove(end);
        if (after != null) {
            end += after;
        }
        holes.put(begin, end - begin);
    }

    /** Whether nothing is taken. */
    boolean isEmpty() {
        return holes.getOrDefault(0L, 0L) == pages.byteSize();
    }

    private static long wholeGrains(long bytes) {
        return Math.ceilDiv(bytes, GRAIN) * GRAIN;
    }
}
