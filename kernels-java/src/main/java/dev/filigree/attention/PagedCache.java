package dev.filigree.attention;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.internal.Operands;
import dev.filigree.spi.Backends;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Keys and values of many sequences in pages, after PagedAttention (Kwon et al., arXiv 2309.06180):
 * {@code [pages, kvHeads, pageRows, dim]} each, f32 or bf16, in off-heap memory that the caller owns. Which pages a
 * sequence has, and in what order, a {@link PageTable} says.
 *
 * <p>The view is immutable. Elements may be written, by {@link #store} or through {@link #keys()} and
 * {@link #values()}, while no run reads them.
 */
public final class PagedCache {

    private static final long ALIGNMENT = 64;

    private final DenseMatrix keys;
    private final DenseMatrix values;
    private final int pages;
    private final int kvHeads;
    private final int pageRows;

    private PagedCache(DenseMatrix keys, DenseMatrix values, int pages, int kvHeads, int pageRows) {
        this.keys = keys;
        this.values = values;
        this.pages = pages;
        this.kvHeads = kvHeads;
        this.pageRows = pageRows;
    }

    /**
     * Allocates a cache of zeros, on huge pages as far as the system grants them.
     *
     * @param arena owns the memory
     * @param dtype f32 or bf16
     * @param pages of the pool
     * @param kvHeads key heads
     * @param pageRows tokens of a page
     * @param dim head dimension, a multiple of 8, 8 to 256
     * @throws IllegalArgumentException as for {@link #of}
     */
    public static PagedCache allocate(Arena arena, DType dtype, int pages, int kvHeads, int pageRows, int dim) {
        long bytes = bytes(dtype, pages, kvHeads, pageRows, dim);
        SegmentAllocator memory = Backends.memory(arena);
        return of(memory.allocate(bytes, ALIGNMENT), memory.allocate(bytes, ALIGNMENT), dtype, pages, kvHeads,
            pageRows, dim);
    }

    /**
     * Views pages that somebody else keeps.
     *
     * @param keys native memory, aligned to its elements
     * @param values as keys
     * @param dtype f32 or bf16
     * @param pages of the pool
     * @param kvHeads key heads
     * @param pageRows tokens of a page
     * @param dim head dimension, a multiple of 8, 8 to 256
     * @throws IllegalArgumentException if a size is less than 1, the head dimension is another, there are
     *     2^31 rows or more, or a segment is on the heap, too short or misaligned
     */
    public static PagedCache of(MemorySegment keys, MemorySegment values, DType dtype, int pages, int kvHeads,
            int pageRows, int dim) {
        long bytes = bytes(dtype, pages, kvHeads, pageRows, dim);
        int rows = pages * kvHeads * pageRows;
        return new PagedCache(view("keys", keys, dtype, rows, dim, bytes),
            view("values", values, dtype, rows, dim, bytes), pages, kvHeads, pageRows);
    }

    private static long bytes(DType dtype, int pages, int kvHeads, int pageRows, int dim) {
        if (pages < 1 || kvHeads < 1 || pageRows < 1) {
            throw new IllegalArgumentException("pages " + pages + ", key heads " + kvHeads + ", page rows " + pageRows
                + ": none may be less than 1");
        }
        OperandChecks.headDimension("the cache", dim);
        double rows = (double) pages * kvHeads * pageRows;
        if (rows > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("a cache of " + rows + " rows is too large");
        }
        return (long) rows * dim * dtype.bytes();
    }

    private static DenseMatrix view(String name, MemorySegment data, DType dtype, int rows, int dim, long bytes) {
        Objects.requireNonNull(data, name);
        if (!data.isNative()) {
            throw new IllegalArgumentException(name + " are on the heap: a cache is off-heap memory");
        }
        if (data.byteSize() < bytes) {
            throw new IllegalArgumentException(
                name + " have " + data.byteSize() + " bytes, a cache of this shape has " + bytes);
        }
        return DenseMatrix.of(data.asSlice(0, bytes), dtype, rows, dim);
    }

    /** Pages of the pool. */
    public int pages() {
        return pages;
    }

    /** Key heads. */
    public int kvHeads() {
        return kvHeads;
    }

    /** Tokens of a page. */
    public int pageRows() {
        return pageRows;
    }

    /** Head dimension. */
    public int dim() {
        return keys.cols();
    }

    /** Of the elements. */
    public DType dtype() {
        return keys.dtype();
    }

    /**
     * All keys, {@code pages * kvHeads * pageRows} rows: that of a token is
     * {@code (page * kvHeads + head) * pageRows + t}.
     */
    public DenseMatrix keys() {
        return keys;
    }

    /** All values, as {@link #keys()}. */
    public DenseMatrix values() {
        return values;
    }

    /**
     * Stores the keys and values of consecutive tokens of a sequence; bf16 elements are rounded to nearest even.
     *
     * @param table where the tokens' pages are
     * @param sequence of the table
     * @param position of the first token
     * @param k {@code [1, kvHeads, tokens, dim]}
     * @param v as k
     * @throws IllegalArgumentException if a shape is another, or a page is missing or not of this cache; nothing is
     *     written then
     */
    public void store(PageTable table, int sequence, int position, AttentionTensor k, AttentionTensor v) {
        check("k", k);
        check("v", v);
        OperandChecks.require("v", "rows", v.rows(), k.rows());
        Objects.checkIndex(sequence, table.sequences());
        for (int t = position; t < position + k.rows(); t++) {
            page(table, sequence, t);
        }
        for (int t = 0; t < k.rows(); t++) {
            int page = page(table, sequence, position + t);
            for (int head = 0; head < kvHeads; head++) {
                long row = ((long) page * kvHeads + head) * pageRows + (position + t) % pageRows;
                store(k, head, t, keys.data(), row);
                store(v, head, t, values.data(), row);
            }
        }
    }

    private void check(String name, AttentionTensor tensor) {
        OperandChecks.require(name, "batch", tensor.batch(), 1);
        OperandChecks.require(name, "heads", tensor.heads(), kvHeads);
        OperandChecks.require(name, "head dimension", tensor.dim(), dim());
        Operands.requireUsable(name, tensor.span());
    }

    private int page(PageTable table, int sequence, int position) {
        int page = position < 0 ? -1 : table.pageAt(sequence, position / pageRows);
        if (page < 0 || page >= pages) {
            throw new IllegalArgumentException(
                "sequence " + sequence + " has no page of this cache for token " + position);
        }
        return page;
    }

    private void store(AttentionTensor from, int head, int token, MemorySegment to, long row) {
        for (int d = 0; d < dim(); d++) {
            float value = from.get(0, head, token, d);
            if (dtype() == DType.BF16) {
                to.setAtIndex(ValueLayout.JAVA_SHORT, row * dim() + d, Bf16.fromFloat(value));
            } else {
                to.setAtIndex(ValueLayout.JAVA_FLOAT, row * dim() + d, value);
            }
        }
    }

    @Override
    public String toString() {
        return "PagedCache[" + dtype().id() + ", " + pages + " pages of " + pageRows + " tokens, " + kvHeads
            + " key heads of " + dim() + "]";
    }
}
