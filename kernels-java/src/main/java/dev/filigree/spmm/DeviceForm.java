package dev.filigree.spmm;

import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.BitmapFormat;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/** How a matrix is packed for the kernels of devices. */
enum DeviceForm {

    /** Of f32: rows one after the other. */
    CSR(SpmmFormat.HEADER_BYTES) {
        @Override
        MemorySegment pack(CsrMatrix a, Layout layout, int activation, float[] bias, SegmentAllocator memory) {
            return SpmmPacker.packForDevice(a, layout, activation, bias, memory);
        }

        @Override
        void update(MemorySegment packed, MemorySegment values) {
            SpmmPacker.update(packed, values);
        }

        @Override
        String describe(MemorySegment packed) {
            return SpmmPacker.describe(packed);
        }
    },

    /** Of bf16: tiles for matrix units. */
    BITMAP(BitmapFormat.HEADER_BYTES) {
        @Override
        MemorySegment pack(CsrMatrix a, Layout layout, int activation, float[] bias, SegmentAllocator memory) {
            return BitmapPacker.pack(a, layout, activation, bias, memory);
        }

        @Override
        void update(MemorySegment packed, MemorySegment values) {
            BitmapPacker.update(packed, values);
        }

        @Override
        String describe(MemorySegment packed) {
            return "bitmaps and pairs of tiles of " + BitmapFormat.STRIP_ROWS + " x " + BitmapFormat.TILE_COLS + ", "
                + BitmapFormat.field(packed, BitmapFormat.STRIP_COUNT) + " strips of "
                + BitmapFormat.field(packed, BitmapFormat.TILE_COUNT);
        }
    };

    private final long headerBytes;

    DeviceForm(long headerBytes) {
        this.headerBytes = headerBytes;
    }

    /** The form that the kernel of a type takes. */
    static DeviceForm of(DType dtype) {
        return switch (dtype) {
            case F32 -> CSR;
            case BF16 -> BITMAP;
        };
    }

    /** Packs a matrix; {@code bias} may be null. */
    abstract MemorySegment pack(CsrMatrix a, Layout layout, int activation, float[] bias, SegmentAllocator memory);

    /** Overwrites the values of a packed matrix, in the order of the CSR matrix. */
    abstract void update(MemorySegment packed, MemorySegment values);

    /** What the packed form is, in words. */
    abstract String describe(MemorySegment packed);

    /** The part of the packed matrix that launches read on the host. */
    final long headerBytes() {
        return headerBytes;
    }
}
