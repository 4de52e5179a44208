package dev.filigree.bench.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;

/**
 * Where an axis begins, ends and has marks.
 *
 * @param low the value at its start
 * @param high the value at its end
 * @param marks in between, ends included
 * @param log whether it is logarithmic
 */
record Ticks(double low, double high, List<Double> marks, boolean log) {

    private static final double[] STEPS = {1, 2, 2.5, 5, 10};
    private static final int MOST_LINEAR = 6;
    /** Up to this many decades, marks at 1, 2 and 5; above, at powers of ten alone. */
    private static final double FEW_DECADES = 2.2;
    /** A share of an axis with given marks that stays free at both ends. */
    private static final double MARGIN = 0.04;

    static Ticks of(Plot.Axis axis, List<Double> values) {
        boolean log = axis.scale() == Plot.Scale.LOG;
        if (!axis.ticks().isEmpty()) {
            return given(axis.ticks(), values, log);
        }
        double least = values.stream().mapToDouble(v -> v).min().orElse(1);
        double most = values.stream().mapToDouble(v -> v).max().orElse(1);
        return log ? log(least, most) : linear(Math.min(0, least), most);
    }

    private static Ticks given(List<Double> marks, List<Double> values, boolean log) {
        double low = Math.min(marks.getFirst(), values.stream().mapToDouble(v -> v).min().orElse(marks.getFirst()));
        double high = Math.max(marks.getLast(), values.stream().mapToDouble(v -> v).max().orElse(marks.getLast()));
        if (log) {
            double margin = Math.pow(high / low, MARGIN);
            return new Ticks(low / margin, high * margin, marks, true);
        }
        double margin = (high - low) * MARGIN;
        return new Ticks(low - margin, high + margin, marks, false);
    }

    private static Ticks linear(double low, double most) {
        double span = most > low ? most - low : 1;
        double power = Math.pow(10, Math.floor(Math.log10(span / MOST_LINEAR)));
        double step = power * 10;
        for (double factor : STEPS) {
            if (span / (factor * power) <= MOST_LINEAR) {
                step = factor * power;
                break;
            }
        }
        List<Double> marks = new ArrayList<>();
        long first = (long) Math.floor(low / step);
        long last = Math.max(first + 1, (long) Math.ceil((low + span) / step - 1e-9));
        for (long i = first; i <= last; i++) {
            marks.add(clean(i * step));
        }
        return new Ticks(marks.getFirst(), marks.getLast(), marks, false);
    }

    private static Ticks log(double least, double most) {
        boolean few = Math.log10(most / least) <= FEW_DECADES;
        double[] factors = few ? new double[] {1, 2, 5} : new double[] {1};
        List<Double> candidates = new ArrayList<>();
        for (int e = (int) Math.floor(Math.log10(least)) - 1; e <= Math.ceil(Math.log10(most)) + 1; e++) {
            for (double factor : factors) {
                candidates.add(clean(factor * Math.pow(10, e)));
            }
        }
        int first = 0;
        while (candidates.get(first + 1) <= least) {
            first++;
        }
        int last = candidates.size() - 1;
        while (last > first + 1 && candidates.get(last - 1) >= most) {
            last--;
        }
        List<Double> marks = candidates.subList(first, last + 1);
        return new Ticks(marks.getFirst(), marks.getLast(), List.copyOf(marks), true);
    }

    private static double clean(double x) {
        return new BigDecimal(x, new MathContext(12)).doubleValue();
    }

    /** Where a value lies, from 0 at the start of the axis to 1 at its end. */
    double position(double value) {
        return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    }

    /** A number as short as it can be read back to three digits. */
    static String label(double value) {
        BigDecimal number = new BigDecimal(value, new MathContext(3)).stripTrailingZeros();
        return number.toPlainString();
    }
}
