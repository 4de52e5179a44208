package dev.filigree.bench.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class TicksTest {

    private static Ticks linear(Double... values) {
        return Ticks.of(Plot.Axis.linear("x"), List.of(values));
    }

    private static Ticks log(Double... values) {
        return Ticks.of(Plot.Axis.log("x"), List.of(values));
    }

    @Test
    void linearMarksAreRoundAndBeginAtZero() {
        assertThat(linear(3.0, 9.7).marks()).containsExactly(0.0, 2.0, 4.0, 6.0, 8.0, 10.0);
        assertThat(linear(0.31, 0.9).marks()).containsExactly(0.0, 0.2, 0.4, 0.6, 0.8, 1.0);
        assertThat(linear(-3.0, 4.0).marks()).startsWith(-4.0).contains(0.0).endsWith(4.0);
        assertThat(linear(0.0).marks()).hasSizeGreaterThan(1);
        assertThat(linear().marks()).hasSizeGreaterThan(1);
    }

    @Test
    void logMarksEncloseTheValues() {
        assertThat(log(0.3, 8.0).marks()).containsExactly(0.2, 0.5, 1.0, 2.0, 5.0, 10.0);
        assertThat(log(0.3, 80000.0).marks()).containsExactly(0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0);
        assertThat(log(5.0).marks()).containsExactly(5.0, 10.0);
        assertThat(log(1.0, 1000.0).position(10)).isCloseTo(1.0 / 3, within(1e-12));
    }

    @Test
    void givenMarksStayAndGetAMargin() {
        Ticks ticks = Ticks.of(new Plot.Axis("x", Plot.Scale.LINEAR, List.of(50.0, 90.0), " %"), List.of(50.0, 95.0));
        assertThat(ticks.marks()).containsExactly(50.0, 90.0);
        assertThat(ticks.position(50)).isBetween(0.01, 0.1);
        assertThat(ticks.position(95)).isBetween(0.9, 0.99);
    }

    @Test
    void labelsAreShort() {
        assertThat(Ticks.label(0.1 + 0.2)).isEqualTo("0.3");
        assertThat(Ticks.label(1000)).isEqualTo("1000");
        assertThat(Ticks.label(0)).isEqualTo("0");
        assertThat(Ticks.label(2.5)).isEqualTo("2.5");
        assertThat(Ticks.label(12.3456)).isEqualTo("12.3");
    }
}
