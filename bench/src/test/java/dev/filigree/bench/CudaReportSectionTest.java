package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CudaReportSectionTest {

    @Test
    void aMachineWithoutADeviceSaysWhyAndWhatHasRun() {
        Section section = new CudaReportSection().run(new ReportSection.Context(true, false, Optional.empty()));
        assertThat(section.failures()).isZero();
        Backend.CUDA.unavailabilityCause().ifPresentOrElse(refusal -> assertThat(section.blocks()).singleElement()
                .satisfies(block -> assertThat(((Prose) block).text()).contains(refusal.reason(), refusal.cure(),
                    "ran on an NVIDIA H200", "have only been compiled")),
            () -> assertThat(section.checked()).isPositive());
    }
}
