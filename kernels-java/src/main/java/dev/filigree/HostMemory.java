package dev.filigree;

import java.lang.foreign.MemorySegment;

final class HostMemory implements Memory {

    @Override
    public String id() {
        return "host";
    }

    @Override
    public void copyFromHost(MemorySegment source, MemorySegment target) {
        target.copyFrom(source);
    }

    @Override
    public void copyToHost(MemorySegment source, MemorySegment target) {
        target.copyFrom(source);
    }

    @Override
    public String toString() {
        return id();
    }
}
