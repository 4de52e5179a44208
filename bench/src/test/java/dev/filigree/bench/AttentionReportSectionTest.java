package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Section;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AttentionReportSectionTest {

    @Test
    void aQuickRunChecksAndShowsEveryMask() {
        Section section = new AttentionReportSection().run(new ReportSection.Context(true, false, Optional.empty()));
        assertThat(section.failures()).isZero();
        assertThat(section.cases()).hasSize(7);
        assertThat(section.checked()).isGreaterThanOrEqualTo(10);
        assertThat(section.blocks()).filteredOn(Figure.class::isInstance).hasSize(5);
        List<List<String>> rows = section.blocks().stream().filter(DataTable.class::isInstance)
            .flatMap(table -> ((DataTable) table).rows().stream()).toList();
        assertThat(rows).hasSize(section.checked());
        assertThat(rows).allSatisfy(row -> assertThat(Double.parseDouble(row.get(4))).isPositive());
        assertThat(rows).extracting(List::getFirst).contains("streaming", "f32", "bf16");
    }
}
