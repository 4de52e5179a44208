package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class TableTest {

    @Test
    void alignsNumbersToTheRight() {
        Table table = new Table("name", "ms", "note");
        table.add("a", "1.5", "x");
        table.add("longer", "-", "");
        table.add("b", "12.25");
        StringWriter out = new StringWriter();
        table.print(new PrintWriter(out, true));
        assertThat(out.toString().lines()).containsExactly(
            "name       ms  note",
            "a         1.5  x",
            "longer      -",
            "b       12.25");
    }
}
