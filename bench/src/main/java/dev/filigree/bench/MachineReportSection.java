package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Section;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The machine, its measured ceilings, and every backend with the reason and the cure where one is missing. */
final class MachineReportSection implements ReportSection {

    @Override
    public String title() {
        return "Machine and backends";
    }

    @Override
    public Section run(Context context) {
        List<List<String>> facts = new ArrayList<>();
        InfoCommand.facts().forEach((name, value) -> facts.add(List.of(name, value)));
        context.ceilings().ifPresent(ceilings -> facts.add(List.of("ceilings", describe(ceilings))));
        List<Block> blocks = List.of(new DataTable("Machine", List.of("part", "what it is"), facts), backends());
        return new Section(title(), blocks, List.of(), 0, 0);
    }

    private static String describe(Ceilings ceilings) {
        return String.format(Locale.ROOT, "%.0f GFLOP/s of f32 multiply-adds, %.0f GB/s from L2, %.1f GB/s from memory"
            + " (measured, %d %s)", ceilings.fmaGflops(), ceilings.cacheGbps(), ceilings.memoryGbps(),
            ceilings.threads(), ceilings.threads() == 1 ? "thread" : "threads");
    }

    static DataTable backends() {
        List<List<String>> rows = new ArrayList<>();
        for (Backend backend : Backend.values()) {
            Optional<Refusal> refusal = backend.unavailabilityCause();
            List<Refusal> missing = refusal.map(List::of).orElseGet(backend::shortfalls);
            for (int i = 0; i < Math.max(1, missing.size()); i++) {
                rows.add(List.of(i == 0 ? backend.id() : "", i > 0 ? "" : refusal.isEmpty() ? "yes" : "no",
                    missing.isEmpty() ? "" : missing.get(i).reason(), missing.isEmpty() ? "" : missing.get(i).cure()));
            }
        }
        return new DataTable("Backends", List.of("backend", "available", "reason", "cure"), rows);
    }
}
