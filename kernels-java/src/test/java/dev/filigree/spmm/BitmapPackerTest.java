package dev.filigree.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Bf16;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.BitmapFormat;
import dev.filigree.suite.Seeds;
import dev.filigree.suite.spmm.BitmapTiles;
import dev.filigree.suite.spmm.SpmmCase;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The bytes packed for matrix units, read by the literal tables of their operands. */
class BitmapPackerTest {

    static LongStream seeds() {
        return Seeds.of(40);
    }

    private static MemorySegment pack(CsrMatrix a, float[] bias, Arena arena) {
        return BitmapPacker.pack(a, Layout.TOKEN_MAJOR, 3, bias, arena);
    }

    /** Row by row, in bf16, with a NaN where nothing is stored. */
    private static float[] dense(CsrMatrix a) {
        float[] dense = new float[a.rows() * a.cols()];
        Arrays.fill(dense, Float.NaN);
        for (int row = 0; row < a.rows(); row++) {
            long end = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row + 1);
            for (long p = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row); p < end; p++) {
                dense[row * a.cols() + a.columns().getAtIndex(ValueLayout.JAVA_INT, p)] =
                    Bf16.toFloat(Bf16.fromFloat(a.values().getAtIndex(ValueLayout.JAVA_FLOAT, p)));
            }
        }
        return dense;
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void unpackingGivesTheMatrixBack(long seed) {
        SpmmCase test = SpmmCase.random(seed);
        CsrMatrix a = test.a();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed = pack(a, test.bias(), arena);
            assertThat(BitmapTiles.unpack(packed)).isEqualTo(dense(a));
            assertThat(BitmapFormat.field(packed, BitmapFormat.MAGIC)).isEqualTo(BitmapFormat.MAGIC_VALUE);
            assertThat(BitmapFormat.field(packed, BitmapFormat.BYTES)).isEqualTo(packed.byteSize());
            assertThat(BitmapFormat.field(packed, BitmapFormat.NNZ)).isEqualTo(a.nnz());
            assertThat(BitmapFormat.field(packed, BitmapFormat.STRIP_COUNT)).isEqualTo((a.rows() + 15) / 16);
            assertThat(BitmapFormat.field(packed, BitmapFormat.TILE_COUNT)).isEqualTo((a.cols() + 63) / 64);
            assertThat(packed.get(ValueLayout.JAVA_INT, BitmapFormat.LAYOUT)).isEqualTo(Layout.TOKEN_MAJOR.code());
            assertThat(packed.get(ValueLayout.JAVA_INT, BitmapFormat.ACTIVATION)).isEqualTo(3);
            long biasAt = BitmapFormat.field(packed, BitmapFormat.BIAS);
            if (test.bias() == null) {
                assertThat(biasAt).isZero();
            } else {
                assertThat(packed.asSlice(biasAt, 4L * a.rows()).toArray(ValueLayout.JAVA_FLOAT)).isEqualTo(test.bias());
            }
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void newValuesGoWhereTheOldWere(long seed) {
        CsrMatrix a = SpmmCase.random(seed).a();
        float[] values = new float[(int) a.nnz()];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 251 == 0 ? -0f : i % 251 - 125;
        }
        CsrMatrix changed = CsrMatrix.fromSegments(
            a.rows(), a.cols(), a.rowOffsets(), a.columns(), MemorySegment.ofArray(values));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed = pack(a, null, arena);
            BitmapPacker.update(packed, MemorySegment.ofArray(values));
            assertThat(packed.mismatch(pack(changed, null, arena))).isEqualTo(-1);
        }
    }

    @Test
    void everyElementOfATileHasAPlaceOfItsOwn() {
        Set<Integer> places = new HashSet<>();
        for (int row = 0; row < BitmapFormat.STRIP_ROWS; row++) {
            for (int col = 0; col < BitmapFormat.TILE_COLS; col++) {
                places.add(BitmapFormat.place(row, col));
            }
        }
        assertThat(places).hasSize(BitmapFormat.TILE_ELEMENTS).allSatisfy(place ->
            assertThat(place).isBetween(0, BitmapFormat.TILE_ELEMENTS - 1));
    }

    @Test
    void eachElementAloneIsFoundWhereItIs() {
        // 33 x 130: whole tiles, and those that the matrix ends in.
        for (int at = 0; at < 33 * 130; at += 7) {
            int row = at / 130;
            int[] offsets = new int[34];
            Arrays.fill(offsets, row + 1, 34, 1);
            CsrMatrix a = CsrMatrix.fromArrays(33, 130, offsets, new int[] {at % 130}, new float[] {1.5f});
            try (Arena arena = Arena.ofConfined()) {
                assertThat(BitmapTiles.unpack(pack(a, null, arena))).isEqualTo(dense(a));
            }
        }
    }

    @Test
    void whatIsRead16BytesAtATimeIsAligned() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed =
                pack(SpmmCase.uniform(3, 50, 200, 0.4), new float[50], arena);
            assertThat(packed.address() % BitmapFormat.ALIGNMENT).isZero();
            for (long table : new long[] {BitmapFormat.BIAS, BitmapFormat.TILE_STARTS, BitmapFormat.TILES}) {
                assertThat(BitmapFormat.field(packed, table) % BitmapFormat.ALIGNMENT).isZero();
            }
            long end = BitmapFormat.tileAt(packed, 3, 4);
            assertThat(packed.byteSize() - end).isGreaterThanOrEqualTo(BitmapFormat.TAIL);
        }
    }

    @Test
    void theLargestTileIsInTheHeader() {
        CsrMatrix a = CsrMatrix.fromArrays(2, 130, new int[] {0, 3, 5}, new int[] {1, 64, 65, 64, 66}, new float[5]);
        try (Arena arena = Arena.ofConfined()) {
            // Three pairs: (64, 65) of the first row, (64, 65) and (66, 67) of the second.
            assertThat(BitmapFormat.field(pack(a, null, arena), BitmapFormat.TILE_BYTES)).isEqualTo(96);
        }
    }

    @Test
    void aStoredZeroOfAPairIsNotAnAbsentOne() {
        CsrMatrix a = CsrMatrix.fromArrays(1, 4, new int[] {0, 2}, new int[] {0, 3}, new float[] {-0f, 2f});
        try (Arena arena = Arena.ofConfined()) {
            float[] dense = BitmapTiles.unpack(pack(a, null, arena));
            assertThat(dense).containsExactly(0f, Float.NaN, Float.NaN, 2f);
        }
    }
}
