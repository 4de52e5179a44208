package dev.filigree.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.SpmmFormat;
import dev.filigree.suite.Seeds;
import dev.filigree.suite.spmm.SpmmCase;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The packed bytes against the format's description. */
class SpmmPackerTest {

    /** A row's own cost in nonzeros, as the packer counts it. */
    private static final long ROW_COST = 8;
    /** Products of so many columns read rows one after the other, and eight in turns. */
    private static final int WIDE = 128;
    private static final int NARROW = 8;

    static LongStream seeds() {
        return Seeds.of(60);
    }

    private static long field(MemorySegment packed, long field) {
        return SpmmFormat.field(packed, field);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void unpackingGivesTheMatrixBack(long seed) {
        SpmmCase test = SpmmCase.random(seed);
        for (int typicalN : new int[] {WIDE, NARROW}) {
            try (Arena arena = Arena.ofConfined()) {
                unpack(test.a(), PlanAccess.pack(test.a(), test.layout(), typicalN, arena));
            }
        }
    }

    @Test
    void panelsCoverColumnsOnce() {
        assertThat(SpmmFormat.panels(0)).isZero();
        for (int n = 1; n <= 400; n++) {
            int panels = SpmmFormat.panels(n);
            int last = SpmmFormat.width(panels - 1, n);
            assertThat((panels - 1) * SpmmFormat.PANEL + last).as("columns of %d", n).isEqualTo(n);
            assertThat(last).as("last of %d", n).isBetween(panels == 1 ? 1 : 49, SpmmFormat.WIDEST_PANEL);
            assertThat(SpmmFormat.partialStride(n)).as("sums of %d", n).isBetween((long) n, n + 63L);
            for (int panel = 0; panel < panels - 1; panel++) {
                assertThat(SpmmFormat.width(panel, n)).as("panel %d of %d", panel, n).isEqualTo(SpmmFormat.PANEL);
            }
        }
        assertThat(SpmmFormat.panels(Integer.MAX_VALUE)).isEqualTo(1 << 25);
    }

    @Test
    void manyNonzerosAreTakenInPieces() {
        // Some tens of thousands, in blocks for a wide product; the packer takes a few thousand at a time.
        CsrMatrix a = SpmmCase.uniform(1, 300, 600, 0.25);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment wide = PlanAccess.pack(a, Layout.FEATURE_MAJOR, WIDE, arena);
            assertThat(field(wide, SpmmFormat.BLOCK_COUNT)).isGreaterThan(1);
            unpack(a, wide);
            MemorySegment narrow = PlanAccess.pack(a, Layout.FEATURE_MAJOR, NARROW, arena);
            assertThat(field(narrow, SpmmFormat.GROUP)).isGreaterThan(1);
            unpack(a, narrow);
        }
    }

    private static void unpack(CsrMatrix a, MemorySegment packed) {
        assertThat(field(packed, SpmmFormat.MAGIC)).isEqualTo(SpmmFormat.MAGIC_VALUE);
        assertThat(field(packed, SpmmFormat.BYTES)).isEqualTo(packed.byteSize());
        long rows = field(packed, SpmmFormat.VIRTUAL_ROWS);
        long depth = field(packed, SpmmFormat.BLOCK_DEPTH);
        long blocks = field(packed, SpmmFormat.BLOCK_COUNT);
        if (a.cols() > 0) {
            assertThat(depth * blocks).isGreaterThanOrEqualTo(a.cols());
            assertThat(depth * (blocks - 1)).isLessThan(a.cols());
        }
        int[] rowOf = rowOfVirtualRow(packed, a.rows());
        int[] members = members(packed);
        float[] dense = new float[a.rows() * a.cols()];
        Arrays.fill(dense, Float.NaN);
        long entries = 0;
        for (long block = 0; block < blocks; block++) {
            for (int v = 0; v < rows; v++) {
                int last = -1;
                for (long p : entriesOf(packed, block, members[v])) {
                    int column = SpmmFormat.column(packed, field(packed, SpmmFormat.GROUP) > 1, p);
                    assertThat(column).isGreaterThan(last).isLessThan((int) depth);
                    last = column;
                    int where = (int) (rowOf[v] * (long) a.cols() + block * depth + column);
                    assertThat(dense[where]).as("an entry comes once").isNaN();
                    dense[where] = packed.get(ValueLayout.JAVA_FLOAT, field(packed, SpmmFormat.VALUES) + 4 * p);
                    entries++;
                }
            }
        }
        assertThat(entries).isEqualTo(a.nnz());
        for (int row = 0; row < a.rows(); row++) {
            long end = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row + 1);
            for (long p = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row); p < end; p++) {
                int column = a.columns().getAtIndex(ValueLayout.JAVA_INT, p);
                assertThat(dense[row * a.cols() + column])
                    .isEqualTo(a.values().getAtIndex(ValueLayout.JAVA_FLOAT, p));
            }
        }
    }

    /** Which member of all groups each virtual row is; none is twice, nor beyond its pass. */
    private static int[] members(MemorySegment packed) {
        int rows = (int) field(packed, SpmmFormat.VIRTUAL_ROWS);
        int group = (int) field(packed, SpmmFormat.GROUP);
        if (group == 1) {
            return IntStream.range(0, rows).toArray();
        }
        long passRows = field(packed, SpmmFormat.PASS_ROWS);
        assertThat(passRows % group).isZero();
        for (long chunk = 0; chunk < field(packed, SpmmFormat.CHUNK_COUNT); chunk++) {
            assertThat(packed.get(ValueLayout.JAVA_LONG, field(packed, SpmmFormat.CHUNK_STARTS) + 8 * chunk) % group)
                .isZero();
        }
        int[] members = new int[Math.ceilDiv(rows, group) * group];
        Arrays.fill(members, -1);
        for (int member = 0; member < members.length; member++) {
            int v = SpmmFormat.place(packed, member / group, member % group);
            assertThat(members[v]).isEqualTo(-1);
            members[v] = member;
            assertThat(v / passRows).isEqualTo(member / passRows);
        }
        return members;
    }

    /** Where a member of all groups has its entries of a block, padding left out. */
    private static long[] entriesOf(MemorySegment packed, long block, int member) {
        long group = field(packed, SpmmFormat.GROUP);
        long groups = Math.ceilDiv(field(packed, SpmmFormat.VIRTUAL_ROWS), group);
        long at = field(packed, SpmmFormat.GROUP_STARTS) + 8 * (block * (groups + 1) + member / group);
        long depth = field(packed, SpmmFormat.BLOCK_DEPTH);
        long begin = packed.get(ValueLayout.JAVA_LONG, at);
        long end = packed.get(ValueLayout.JAVA_LONG, at + 8);
        assertThat((end - begin) % group).isZero();
        LongStream.Builder own = LongStream.builder();
        boolean padded = false;
        for (long p = begin + member % group; p < end; p += group) {
            if (SpmmFormat.column(packed, group > 1, p) == depth) {
                assertThat(group).isGreaterThan(1);
                assertThat(packed.get(ValueLayout.JAVA_FLOAT, field(packed, SpmmFormat.VALUES) + 4 * p)).isZero();
                padded = true;
            } else {
                assertThat(padded).as("an entry after padding").isFalse();
                own.add(p);
            }
        }
        return own.build().toArray();
    }

    private static int[] rowOfVirtualRow(MemorySegment packed, int rows) {
        int count = (int) field(packed, SpmmFormat.VIRTUAL_ROWS);
        long targets = field(packed, SpmmFormat.TARGETS);
        long splits = field(packed, SpmmFormat.SPLITS);
        long splitCount = field(packed, SpmmFormat.SPLIT_COUNT);
        int[] rowOf = new int[count];
        boolean[] seen = new boolean[rows];
        for (int v = 0; v < count; v++) {
            int target = packed.get(ValueLayout.JAVA_INT, targets + 4L * v);
            if (target >= 0) {
                assertThat(seen[target]).isFalse();
                seen[target] = true;
                rowOf[v] = target;
            } else {
                int slot = ~target;
                long split = 0;
                while (packed.get(ValueLayout.JAVA_INT, splits + 8 * (split + 1) + 4) <= slot) {
                    split++;
                }
                assertThat(split).isLessThan(splitCount);
                rowOf[v] = packed.get(ValueLayout.JAVA_INT, splits + 8 * split);
                seen[rowOf[v]] = true;
            }
            assertThat(v == 0 || rowOf[v] >= rowOf[v - 1]).as("virtual rows are in row order").isTrue();
        }
        for (boolean row : seen) {
            assertThat(row).as("every row is computed").isTrue();
        }
        return rowOf;
    }

    @Test
    void noWorkItemHoldsMoreThanASixtyFourth() {
        int wide = 50_000;
        CsrMatrix oneDenseRow = CsrMatrix.fromArrays(3, wide, new int[] {0, 1, wide + 1, wide + 2},
            IntStream.concat(IntStream.of(5), IntStream.concat(IntStream.range(0, wide), IntStream.of(7)))
                .toArray(), new float[wide + 2]);
        // Large enough that eight rows are less than a sixty-fourth.
        for (CsrMatrix a : new CsrMatrix[] {oneDenseRow, SpmmCase.uniform(1, 2000, 700, 0.1)}) {
            noWorkItemHoldsMoreThanASixtyFourth(a, WIDE);
            noWorkItemHoldsMoreThanASixtyFourth(a, NARROW);
        }
    }

    private static void noWorkItemHoldsMoreThanASixtyFourth(CsrMatrix a, int typicalN) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed = PlanAccess.pack(a, Layout.FEATURE_MAJOR, typicalN, arena);
            long chunks = field(packed, SpmmFormat.CHUNK_COUNT);
            long starts = field(packed, SpmmFormat.CHUNK_STARTS);
            long rows = field(packed, SpmmFormat.VIRTUAL_ROWS);
            long blocks = field(packed, SpmmFormat.BLOCK_COUNT);
            members(packed);
            long total = 0;
            for (long chunk = 0; chunk < chunks; chunk++) {
                long from = packed.get(ValueLayout.JAVA_LONG, starts + 8 * chunk);
                long to = packed.get(ValueLayout.JAVA_LONG, starts + 8 * (chunk + 1));
                assertThat(to).isGreaterThan(from);
                long nonzeros = 0;
                for (long block = 0; block < blocks; block++) {
                    for (long member = from; member < to; member++) {
                        nonzeros += entriesOf(packed, block, (int) member).length;
                    }
                }
                long cost = nonzeros + ROW_COST * (to - from);
                assertThat(cost).isLessThanOrEqualTo(Math.ceilDiv(a.nnz() + ROW_COST * rows, 64));
                total += nonzeros;
            }
            assertThat(total).isEqualTo(a.nnz());
            assertThat(packed.get(ValueLayout.JAVA_LONG, starts + 8 * chunks)).isEqualTo(rows);
        }
    }

    @Test
    void anUnsplitMatrixKeepsItsRows() {
        CsrMatrix a = SpmmCase.uniform(1, 200, 100, 0.2);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed = PlanAccess.pack(a, Layout.FEATURE_MAJOR, WIDE, arena);
            assertThat(field(packed, SpmmFormat.SPLIT_COUNT)).isZero();
            assertThat(field(packed, SpmmFormat.PARTIAL_COUNT)).isZero();
            assertThat(field(packed, SpmmFormat.VIRTUAL_ROWS)).isEqualTo(200);
        }
    }

    @Test
    void aVerySparseMatrixPacksIntoLittleMoreThanItsNonzeros() {
        // Ten nonzeros a column, one in ten rows: blocks of columns would need more row starts than nonzeros.
        int rows = 1_000_000;
        int cols = 10_000;
        int[] offsets = new int[rows + 1];
        int[] columns = new int[rows / 10];
        for (int r = 0; r < rows; r++) {
            offsets[r + 1] = (r + 1) / 10;
        }
        for (int i = 0; i < columns.length; i++) {
            columns[i] = (int) (i * 7919L % cols);
        }
        CsrMatrix a = CsrMatrix.fromArrays(rows, cols, offsets, columns, new float[columns.length]);
        try (Arena arena = Arena.ofConfined()) {
            for (Layout layout : Layout.values()) {
                MemorySegment packed = PlanAccess.pack(a, layout, WIDE, arena);
                // A start and a target a row, a column and a value a nonzero.
                assertThat(packed.byteSize()).isLessThan(12L * rows + 8L * columns.length + 8192);
                assertThat(field(packed, SpmmFormat.SCRATCH_BYTES)).isLessThan(70L << 20);
            }
        }
    }
}
