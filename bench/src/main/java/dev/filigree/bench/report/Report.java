package dev.filigree.bench.report;

import java.time.Instant;
import java.util.List;

/**
 * A whole report.
 *
 * @param title of the page
 * @param subtitle the machine in a line
 * @param generated when
 * @param quick whether only a part of the inputs was measured
 * @param sections in order
 */
public record Report(String title, String subtitle, Instant generated, boolean quick, List<Section> sections) {

    /** Copies the list. */
    public Report {
        sections = List.copyOf(sections);
    }

    /** How many results were asked for. */
    public int checked() {
        return sections.stream().mapToInt(Section::checked).sum();
    }

    /** How many of them are wrong or missing. */
    public int failures() {
        return sections.stream().mapToInt(Section::failures).sum();
    }

    /** What became of all results, in a sentence. */
    public String verdict() {
        return failures() == 0 ? "all " + checked() + " results agree with the reference in double"
            : "FAILED: " + failures() + " of " + checked() + " results are wrong or missing";
    }
}
