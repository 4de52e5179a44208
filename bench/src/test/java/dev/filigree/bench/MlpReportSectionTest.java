package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Section;
import java.io.IOException;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MlpReportSectionTest {

    @Test
    void aQuickRunTradesQualityForFewerNeurons() throws IOException {
        Section section = new MlpReportSection().run(new ReportSection.Context(true, false, Optional.empty()));
        assertThat(section.failures()).isZero();
        assertThat(section.cases()).hasSize(5);
        assertThat(section.checked()).isEqualTo(2 * 5);
        DataTable table = (DataTable) section.blocks().stream().filter(DataTable.class::isInstance).findFirst()
            .orElseThrow();
        double lastCett = 0;
        double lastActive = 1;
        for (var row : table.rows()) {
            double target = Double.parseDouble(row.get(1));
            double cett = Double.parseDouble(row.get(2));
            double active = Double.parseDouble(row.get(4));
            // Found on other tokens of the same text.
            assertThat(cett).isBetween(0.5 * target, 1.5 * target).isGreaterThan(lastCett);
            assertThat(active).isLessThan(lastActive);
            assertThat(Double.parseDouble(row.get(3))).isBetween(0.8, 1.0);
            lastCett = cett;
            lastActive = active;
        }
    }
}
