package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NmReportSectionTest {

    @Test
    void aQuickRunChecksEveryPatternAndTypeOnBothProjections() {
        Section section = new NmReportSection().run(new ReportSection.Context(true, false, Optional.empty()));
        assertThat(section.failures()).isZero();
        assertThat(section.cases()).hasSize(12);
        assertThat(section.blocks()).filteredOn(Prose.class::isInstance).isNotEmpty();
        DataTable table = (DataTable) section.blocks().stream().filter(DataTable.class::isInstance).findFirst()
            .orElseThrow();
        assertThat(table.rows()).hasSize(section.checked());
        assertThat(table.rows()).extracting(row -> row.get(1)).contains("2:4", "1:4", "1:8");
        assertThat(table.rows()).extracting(row -> row.get(2)).contains("f32", "bf16");
        assertThat(table.rows()).extracting(row -> row.get(3)).contains("filigree/scalar", "filigree/dense");
        assertThat(table.rows()).allSatisfy(row -> assertThat(Double.parseDouble(row.get(4))).isPositive());
    }
}
