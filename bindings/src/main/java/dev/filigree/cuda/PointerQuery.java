package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What the driver knows of an address. Of one thread, to be asked again and again: asking allocates nothing. */
final class PointerQuery {

    private static final int[] ATTRIBUTES = {
        CudaDriverApi.CU_POINTER_ATTRIBUTE_MEMORY_TYPE(),
        CudaDriverApi.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL(),
        CudaDriverApi.CU_POINTER_ATTRIBUTE_RANGE_START_ADDR(),
        CudaDriverApi.CU_POINTER_ATTRIBUTE_RANGE_SIZE()};

    private final MemorySegment attributes;
    private final MemorySegment places;
    /** One long for each attribute. */
    private final MemorySegment answers;

    PointerQuery() {
        Arena arena = Arena.ofAuto();
        attributes = arena.allocateFrom(JAVA_INT, ATTRIBUTES);
        answers = arena.allocate(JAVA_LONG, ATTRIBUTES.length);
        places = arena.allocate(ADDRESS, ATTRIBUTES.length);
        for (int i = 0; i < ATTRIBUTES.length; i++) {
            places.setAtIndex(ADDRESS, i, answers.asSlice((long) Long.BYTES * i));
        }
    }

    /** Asks about an address; one that the driver does not know is no error. */
    void ask(long address) {
        answers.fill((byte) 0);
        CudaDriver.check("cuPointerGetAttributes",
            CudaDriverApi.cuPointerGetAttributes(ATTRIBUTES.length, attributes, places, address));
    }

    boolean isDeviceMemory() {
        return answers.get(JAVA_INT, 0) == CudaDriverApi.CU_MEMORYTYPE_DEVICE();
    }

    boolean isHostMemory() {
        return answers.get(JAVA_INT, 0) == CudaDriverApi.CU_MEMORYTYPE_HOST();
    }

    /** The device's number. */
    int ordinal() {
        return answers.getAtIndex(JAVA_INT, 2);
    }

    /** The first address past what was allocated, or reserved, around the address. */
    long rangeEnd() {
        return answers.getAtIndex(JAVA_LONG, 2) + answers.getAtIndex(JAVA_LONG, 3);
    }
}
