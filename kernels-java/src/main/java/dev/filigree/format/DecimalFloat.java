package dev.filigree.format;

import java.nio.charset.StandardCharsets;

/** Reads decimal numbers as correctly rounded floats, mostly without making a string. */
final class DecimalFloat {

    /** Those powers of ten that a double holds exactly. */
    private static final double[] POWERS_OF_TEN = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };

    /** Digits are gathered while one more cannot overflow a long; those after are below a double's reach. */
    private static final long MAX_DIGITS = 100_000_000_000_000_000L;

    /** The part of a double that does not fit a float; half of its range is where a float rounds up. */
    private static final long TAIL_BITS = (1L << 29) - 1;
    private static final long TAIL_HALF = 1L << 28;

    /** A bound on the error of the double, in units of its last place; the true one is below 2. */
    private static final long TAIL_ERROR = 4;

    private static final int EXPONENT_LIMIT = 100_000;

    private DecimalFloat() {}

    /**
     * Reads {@code [+-] digits [. digits] [e [+-] digits]}, with digits on at least one side of the point.
     *
     * @return the nearest float; an infinity if that is beyond the range; NaN if this is not such a number
     */
    static float parse(byte[] text, int length) {
        int i = length > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
        long digits = 0;
        int exponent = 0;
        boolean anyDigit = false;
        boolean afterPoint = false;
        for (; i < length; i++) {
            int digit = text[i] - '0';
            if (digit >= 0 && digit <= 9) {
                anyDigit = true;
                if (digits < MAX_DIGITS) {
                    digits = 10 * digits + digit;
                    exponent -= afterPoint ? 1 : 0;
                } else {
                    exponent += afterPoint ? 0 : 1;
                }
            } else if (text[i] == '.' && !afterPoint) {
                afterPoint = true;
            } else {
                break;
            }
        }
        if (!anyDigit) {
            return Float.NaN;
        }
        if (i < length) {
            if (text[i] != 'e' && text[i] != 'E') {
                return Float.NaN;
            }
            i++;
            boolean negative = i < length && text[i] == '-';
            i += negative || i < length && text[i] == '+' ? 1 : 0;
            if (i == length) {
                return Float.NaN;
            }
            int written = 0;
            for (; i < length; i++) {
                int digit = text[i] - '0';
                if (digit < 0 || digit > 9) {
                    return Float.NaN;
                }
                written = Math.min(10 * written + digit, EXPONENT_LIMIT);
            }
            exponent += negative ? -written : written;
        }
        return round(text, length, digits, exponent);
    }

    private static float round(byte[] text, int length, long digits, int exponent) {
        boolean negative = text[0] == '-';
        if (digits == 0) {
            return negative ? -0f : 0f;
        }
        if (Math.abs(exponent) < POWERS_OF_TEN.length) {
            double near = exponent < 0
                ? digits / POWERS_OF_TEN[-exponent]
                : digits * POWERS_OF_TEN[exponent];
            long tail = Double.doubleToRawLongBits(near) & TAIL_BITS;
            // Rounding twice is harmless unless the double is next to the middle of two floats. Denormal
            // floats have their middles elsewhere, and overflow is left to the slow path.
            boolean inRange = near >= Float.MIN_NORMAL && near < Float.MAX_VALUE;
            if (inRange && Math.abs(tail - TAIL_HALF) > TAIL_ERROR) {
                return (float) (negative ? -near : near);
            }
        }
        return Float.parseFloat(new String(text, 0, length, StandardCharsets.ISO_8859_1));
    }
}
