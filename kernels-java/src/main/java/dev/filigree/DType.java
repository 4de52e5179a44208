package dev.filigree;

import java.util.Locale;

/** The storage type of a matrix element. Sums are accumulated in f32 whatever the storage type. */
public enum DType {
    /** IEEE 754 binary32. */
    F32(Float.BYTES),
    /** bfloat16: the upper half of a binary32, rounded to nearest even. */
    BF16(Short.BYTES);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** The size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /** The name used on the command line, in reports and in kernel ids: {@code f32}, {@code bf16}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
