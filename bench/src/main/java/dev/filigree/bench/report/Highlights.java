package dev.filigree.bench.report;

import java.util.List;

/**
 * The few numbers to take away from a section.
 *
 * @param items in order of weight
 */
public record Highlights(List<Item> items) implements Block {

    /** Copies the list. */
    public Highlights {
        items = List.copyOf(items);
    }

    /**
     * One number.
     *
     * @param label what it is
     * @param value with its unit
     * @param note under which conditions; may be empty
     */
    public record Item(String label, String value, String note) {}
}
