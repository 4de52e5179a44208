package dev.filigree.bench.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.StringReader;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

class HtmlRendererTest {

    private static final String NASTY = "<b a=\"1\" c='2'>&amp; \u0001 \ud83d\ude00 \ud800 ]]> -->";

    private static Plot plot(String name) {
        return new Plot("Plot " + name, "Description " + name, Plot.Axis.linear("x " + name),
            Plot.Axis.log("y " + name), List.of(
                new Plot.Series(name, Plot.Style.LINE,
                    List.of(new Plot.Point(0, 1, name), new Plot.Point(2, 300, ""), new Plot.Point(5, 20, ""))),
                new Plot.Series("other", Plot.Style.POINTS, List.of(new Plot.Point(1, 10, "one"))),
                new Plot.Series("roof", Plot.Style.REFERENCE,
                    List.of(new Plot.Point(0, 5, ""), new Plot.Point(5, 5, "")))));
    }

    private static Report report(String text) {
        Figure figure = new Figure("Figure " + text, "Shades " + text, "rows", "columns",
            Figure.Grid.of(new boolean[][] {{true, true, false, true}, {false, false, false, false}}));
        return new Report("Title " + text, text, Instant.EPOCH, true, List.of(
            new Section("First " + text, List.of(Prose.of(text), Prose.note(text), Prose.failure(text),
                new Highlights(List.of(new Highlights.Item(text, "12", text))),
                new DataTable("Table " + text, List.of("name", "ms"), List.of(List.of(text, "1.5"))),
                plot(text), plot("b"), figure), List.of(), 4, 0),
            new Section("Second", List.of(), List.of(), 1, 0)));
    }

    private static Document parse(String page) throws Exception {
        return DocumentBuilderFactory.newInstance().newDocumentBuilder()
            .parse(new InputSource(new StringReader(page.replace("<!DOCTYPE html>", ""))));
    }

    private static List<Element> elements(Document document, String name) {
        NodeList nodes = document.getElementsByTagName(name);
        return IntStream.range(0, nodes.getLength()).mapToObj(i -> (Element) nodes.item(i)).toList();
    }

    /** The parser fails on anything that is not escaped. */
    @Test
    void anyTextIsWellFormed() throws Exception {
        Document page = parse(HtmlRenderer.render(report(NASTY)));
        String shown = NASTY.replace('\u0001', '\ufffd').replace("\ud800", "\ufffd");
        assertThat(elements(page, "h2").getFirst().getTextContent()).isEqualTo("First " + shown);
        assertThat(elements(page, "b")).isEmpty();
    }

    @Test
    void needsNothingFromElsewhere() throws Exception {
        String text = HtmlRenderer.render(report("plain"));
        Document page = parse(text);
        for (String element : List.of("script", "link", "img", "iframe", "object", "image", "use")) {
            assertThat(elements(page, element)).as(element).isEmpty();
        }
        assertThat(text).doesNotContain("@import").doesNotContain("url(").doesNotContain("src=");
        // The only address is the name of SVG's vocabulary.
        assertThat(text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "")).doesNotContain("://");
        assertThat(elements(page, "a")).allSatisfy(a -> {
            String target = a.getAttribute("href");
            assertThat(target).startsWith("#");
            assertThat(text).contains("id=\"" + target.substring(1) + "\"");
        });
    }

    @Test
    void drawingsHaveNamesAndTables() throws Exception {
        Document page = parse(HtmlRenderer.render(report("plain")));
        List<Element> drawings = elements(page, "svg");
        assertThat(drawings).hasSize(3);
        Set<String> ids = new HashSet<>();
        for (Element svg : drawings) {
            assertThat(svg.getAttribute("role")).isEqualTo("img");
            Element title = (Element) svg.getElementsByTagName("title").item(0);
            Element description = (Element) svg.getElementsByTagName("desc").item(0);
            assertThat(title.getTextContent()).isNotBlank();
            assertThat(description.getTextContent()).isNotBlank();
            assertThat(svg.getAttribute("aria-labelledby"))
                .isEqualTo(title.getAttribute("id") + " " + description.getAttribute("id"));
            assertThat(ids.add(title.getAttribute("id"))).isTrue();
        }
        // Every point of a plot can be read in its table, and on its mark.
        Element details = elements(page, "details").getFirst();
        assertThat(details.getElementsByTagName("tbody").item(0).getTextContent().strip().lines()).hasSize(6);
        assertThat(details.getTextContent()).contains("300");
        assertThat(drawings.getFirst().getTextContent()).contains("plain\nx plain: 2\ny plain: 300");
    }

    /** Marks lie where their values are: inside the axes, further right and up for more. */
    @Test
    void marksAreInPlace() throws Exception {
        Document page = parse(SvgPlot.draw(plot("p"), new Palette(), "id"));
        Element line = elements(page, "path").stream()
            .filter(path -> path.getAttribute("class").equals("line") && path.getAttribute("d").contains("L"))
            .findFirst().orElseThrow();
        List<double[]> points = new ArrayList<>();
        for (String point : line.getAttribute("d").substring(1).split("L")) {
            String[] xy = point.split(" ");
            points.add(new double[] {Double.parseDouble(xy[0]), Double.parseDouble(xy[1])});
        }
        assertThat(points).hasSize(3);
        double left = 58;
        double right = 560 - 18;
        assertThat(points.get(0)[0]).isEqualTo(left);
        assertThat(points.get(2)[0]).isEqualTo(right);
        assertThat(points.get(1)[0]).isEqualTo(left + 0.4 * (right - left), within(0.1));
        // A logarithmic axis from 1 to 1000, 250 high: the logarithms of 1, 300 and 20.
        double low = points.get(0)[1];
        assertThat(low - points.get(1)[1]).isEqualTo(250 * Math.log10(300) / 3,
            within(0.2));
        assertThat(low - points.get(2)[1]).isEqualTo(250 * Math.log10(20) / 3,
            within(0.2));
    }

    @Test
    void aNameKeepsItsColour() {
        Palette palette = new Palette();
        assertThat(palette.style("a")).isEqualTo("s0");
        assertThat(palette.style("b")).isEqualTo("s1");
        assertThat(palette.style("a")).isEqualTo("s0");
        for (int i = 2; i < 8; i++) {
            palette.style("more " + i);
        }
        assertThat(palette.style("ninth")).isEqualTo("s0 again");
    }

    @Test
    void aFigureMergesNeighbours() throws Exception {
        Document svg = parse(SvgFigure.draw(new Figure("f", "d", "r", "c",
            Figure.Grid.of(2, 5, (r, c) -> r == 1 || c < 3 ? 0.5 : 0)), "id"));
        assertThat(elements(svg, "rect")).extracting(rect -> rect.getAttribute("width") + "@"
            + rect.getAttribute("opacity")).containsExactly("420@", "3@0.5", "5@0.5");
    }

    @Test
    void largeFiguresAreAveraged() {
        Figure.Grid grid = Figure.Grid.of(1000, 500, (r, c) -> c % 2).atMost(100);
        assertThat(List.of(grid.rows(), grid.columns())).containsExactly(100, 100);
        assertThat(grid.shade(3, 7)).isBetween(0.4f, 0.6f);
        Figure.Grid small = Figure.Grid.of(3, 3, (r, c) -> 1);
        assertThat(small.atMost(3)).isSameAs(small);
    }

    @Test
    void whatCannotBeShownIsRefused() {
        assertThatThrownBy(() -> Figure.Grid.of(2, 2, (r, c) -> r + c)).hasMessageContaining("(1, 1) is 2.0");
        assertThatThrownBy(() -> Figure.Grid.of(new boolean[0][])).hasMessageContaining("0 x 0");
        assertThatThrownBy(() -> new Plot("p", "", Plot.Axis.log("x"), Plot.Axis.linear("y"),
            List.of(new Plot.Series("s", Plot.Style.POINTS, List.of(new Plot.Point(0, 1, ""))))))
            .hasMessageContaining("its axes cannot show").hasMessageContaining("of s");
        assertThatThrownBy(() -> new DataTable("t", List.of("a", "b"), List.of(List.of("x"))))
            .hasMessageContaining("row 0 has 1 cells for 2 columns");
    }
}
