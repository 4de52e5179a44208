package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Flight Recorder sees each plan, and each run where runs are asked for. */
class SpmmEventsTest {

    private final CsrMatrix a = SpmmCase.uniform(1, 19, 31, 0.4);

    private List<RecordedEvent> record(Path folder, boolean runs) throws IOException {
        Path file = folder.resolve("events.jfr");
        String kernel;
        try (Recording recording = new Recording()) {
            if (runs) {
                recording.enable("dev.filigree.Run");
            }
            recording.start();
            try (SpmmPlan plan = Spmm.plan(a)) {
                kernel = plan.explain().kernel();
                for (int i = 0; i < 3; i++) {
                    SpmmRun.run(SpmmCase.plain(a, 5, Layout.FEATURE_MAJOR), plan, Arena.ofAuto());
                }
            }
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file).stream()
            .filter(e -> e.getEventType().getName().startsWith("dev.filigree.")).toList();
        assertThat(events).allMatch(e -> e.getString("operation").equals("spmm"))
            .allMatch(e -> e.getString("kernel").equals(kernel));
        return events;
    }

    private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
        return events.stream().filter(e -> e.getEventType().getName().equals(name)).toList();
    }

    @Test
    void aPlanIsOneEventAndARunIsOneWhereEnabled(@TempDir Path folder) throws IOException {
        List<RecordedEvent> plansOnly = record(folder, false);
        assertThat(named(plansOnly, "dev.filigree.Plan")).hasSize(1);
        assertThat(named(plansOnly, "dev.filigree.Plan").getFirst().getLong("packedBytes")).isPositive();
        assertThat(named(plansOnly, "dev.filigree.Plan").getFirst().getString("matrix")).contains("19 x 31");
        assertThat(named(plansOnly, "dev.filigree.Run")).isEmpty();
        List<RecordedEvent> both = record(folder, true);
        assertThat(named(both, "dev.filigree.Plan")).hasSize(1);
        assertThat(named(both, "dev.filigree.Run")).hasSize(3).allMatch(e -> e.getInt("n") == 5);
    }
}
