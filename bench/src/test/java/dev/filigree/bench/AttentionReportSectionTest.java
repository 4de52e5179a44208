package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Section;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AttentionReportSectionTest {

    @Test
    void aQuickRunChecksAndShowsEveryMask() {
        Section section = new AttentionReportSection().run(new ReportSection.Context(true, false, Optional.empty()));
        assertThat(section.failures()).isZero();
        assertThat(section.cases()).hasSize(5);
        assertThat(section.checked()).isGreaterThanOrEqualTo(10);
        assertThat(section.blocks()).filteredOn(Figure.class::isInstance).hasSize(5);
        DataTable table = (DataTable) section.blocks().stream().filter(DataTable.class::isInstance).findFirst()
            .orElseThrow();
        assertThat(table.rows()).hasSize(section.checked());
        assertThat(table.rows()).allSatisfy(row -> assertThat(Double.parseDouble(row.get(4))).isPositive());
    }
}
