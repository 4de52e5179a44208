package dev.filigree.internal;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * The highest instruction set that kernels may use, from the system property {@value #PROPERTY}. Constants
 * are in rising order: {@code isa.compareTo(MaxIsa.current()) <= 0} says whether kernels of that level may
 * run.
 */
public enum MaxIsa {
    BASELINE(128),
    AVX2(256),
    AVX512(512),
    AMX(512);

    /** The system property: {@code baseline}, {@code avx2}, {@code avx512} or {@code amx}. */
    public static final String PROPERTY = "filigree.maxIsa";

    private final int vectorBits;

    MaxIsa(int vectorBits) {
        this.vectorBits = vectorBits;
    }

    /** The widest vector that the Vector API kernels use at this level, in bits. */
    public int vectorBits() {
        return vectorBits;
    }

    /** The value of the property that names this level. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The level that the property asks for; the highest, which rules nothing out, when it is not set.
     *
     * @throws IllegalArgumentException if the property has another value; the message names it and what is
     * allowed
     */
    public static MaxIsa current() {
        return parse(System.getProperty(PROPERTY));
    }

    static MaxIsa parse(String value) {
        if (value == null) {
            return AMX;
        }
        for (MaxIsa isa : values()) {
            if (isa.id().equals(value)) {
                return isa;
            }
        }
        throw new IllegalArgumentException("-D" + PROPERTY + "=" + value + ": must be one of "
                + Arrays.stream(values()).map(MaxIsa::id).collect(Collectors.joining(", ")));
    }
}
