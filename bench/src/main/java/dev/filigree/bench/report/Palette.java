package dev.filigree.bench.report;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Colours and marks of series, by name: a contender looks the same in every plot of a page. The colours are told apart
 * with any kind of colour vision, neighbours most of all; marks differ too.
 */
final class Palette {

    /** For light and dark pages; the style sheet holds them as variables. */
    static final String[] LIGHT =
        {"#2a78d6", "#1baf7a", "#eda100", "#008300", "#4a3aa7", "#e34948", "#e87ba4", "#eb6834"};
    static final String[] DARK =
        {"#3987e5", "#199e70", "#c98500", "#008300", "#9085e9", "#e66767", "#d55181", "#d95926"};

    private final Map<String, Integer> slots = new LinkedHashMap<>();

    private int slot(String name) {
        return slots.computeIfAbsent(name, unseen -> slots.size());
    }

    /** The class that sets the colour; beyond the colours that there are, lines are dashed besides. */
    String style(String name) {
        int slot = slot(name);
        return "s" + slot % LIGHT.length + (slot < LIGHT.length ? "" : " again");
    }

    /** The outline of the mark of a series, centred at a point. */
    String mark(String name, double x, double y) {
        double r = 4.2;
        double[][] outline = switch (slot(name) % 5) {
            case 1 -> new double[][] {{-r, -r}, {r, -r}, {r, r}, {-r, r}};
            case 2 -> new double[][] {{0, -1.35 * r}, {1.35 * r, 0}, {0, 1.35 * r}, {-1.35 * r, 0}};
            case 3 -> new double[][] {{0, -1.25 * r}, {1.2 * r, r}, {-1.2 * r, r}};
            case 4 -> new double[][] {{-1.2 * r, -r}, {1.2 * r, -r}, {0, 1.25 * r}};
            default -> new double[0][];
        };
        if (outline.length == 0) {
            String radius = Markup.coordinate(r);
            return "M" + Markup.coordinate(x - r) + " " + Markup.coordinate(y) + "a" + radius + " " + radius
                + " 0 1 0 " + Markup.coordinate(2 * r) + " 0a" + radius + " " + radius + " 0 1 0 "
                + Markup.coordinate(-2 * r) + " 0z";
        }
        StringBuilder path = new StringBuilder();
        for (double[] corner : outline) {
            path.append(path.isEmpty() ? "M" : "L").append(Markup.coordinate(x + corner[0])).append(' ')
                .append(Markup.coordinate(y + corner[1]));
        }
        return path.append('z').toString();
    }
}
