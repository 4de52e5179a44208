package dev.filigree.attention;

import dev.filigree.internal.Operands;
import dev.filigree.internal.Scratch;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Kernels see native memory alone: a tensor on the heap is copied in, or out, whole and packed. */
final class TensorStaging implements AutoCloseable {
    private final Scratch scratch = new Scratch();
    private MemorySegment staged;

    /** The memory of an input. */
    MemorySegment in(AttentionTensor tensor, MemorySegment shape, long strides) {
        MemorySegment memory = out(tensor, shape, strides);
        if (staged != null) {
            copy(tensor, true);
        }
        return memory;
    }

    /** The memory of an output. */
    MemorySegment out(AttentionTensor tensor, MemorySegment shape, long strides) {
        boolean onHeap = !tensor.data().isNative();
        long rows = (long) tensor.rows() * tensor.dim();
        shape.set(ValueLayout.JAVA_LONG, strides, onHeap ? rows * tensor.heads() : tensor.batchStride());
        shape.set(ValueLayout.JAVA_LONG, strides + 8, onHeap ? rows : tensor.headStride());
        shape.set(ValueLayout.JAVA_LONG, strides + 16, onHeap ? tensor.dim() : tensor.rowStride());
        staged = onHeap ? scratch.atLeast(tensor.dtype().bytes() * rows * tensor.heads() * tensor.batch()) : null;
        return onHeap ? staged : Operands.shareable(tensor.span());
    }

    void back(AttentionTensor tensor) {
        if (staged != null) {
            copy(tensor, false);
        }
    }

    private void copy(AttentionTensor tensor, boolean in) {
        long size = tensor.dtype().bytes();
        long bytes = size * tensor.dim();
        long at = 0;
        for (int b = 0; b < tensor.batch(); b++) {
            for (int head = 0; head < tensor.heads(); head++) {
                for (int row = 0; row < tensor.rows(); row++, at += bytes) {
                    long there = size * (b * tensor.batchStride() + head * tensor.headStride()
                        + row * tensor.rowStride());
                    if (in) {
                        MemorySegment.copy(tensor.data(), there, staged, at, bytes);
                    } else {
                        MemorySegment.copy(staged, at, tensor.data(), there, bytes);
                    }
                }
            }
        }
    }

    @Override
    public void close() {
        scratch.close();
    }
}
