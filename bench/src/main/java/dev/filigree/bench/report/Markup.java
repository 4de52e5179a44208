package dev.filigree.bench.report;

import java.util.Locale;

/** Text that is well-formed as XML, which HTML that is written this way is, too. */
final class Markup {

    private final StringBuilder text = new StringBuilder();

    /** Opens an element; attributes are names and values in turn. */
    Markup open(String element, Object... attributes) {
        return tag(element, ">", attributes);
    }

    /** An element without content. */
    Markup empty(String element, Object... attributes) {
        return tag(element, "/>", attributes);
    }

    /** Closes an element. */
    Markup close(String element) {
        text.append("</").append(element).append(">");
        return this;
    }

    /** An element with nothing but text in it. */
    Markup element(String element, String content, Object... attributes) {
        return open(element, attributes).text(content).close(element);
    }

    /** Text, escaped. */
    Markup text(String content) {
        text.append(escaped(content));
        return this;
    }

    /** Markup that is well-formed by itself. */
    Markup raw(String markup) {
        text.append(markup);
        return this;
    }

    Markup line() {
        text.append('\n');
        return this;
    }

    private Markup tag(String element, String end, Object... attributes) {
        text.append('<').append(element);
        for (int i = 0; i < attributes.length; i += 2) {
            text.append(' ').append(attributes[i]).append("=\"").append(value(attributes[i + 1])).append('"');
        }
        text.append(end);
        return this;
    }

    private static String value(Object attribute) {
        return attribute instanceof Double number ? coordinate(number) : escaped(attribute.toString());
    }

    /** A tenth of a unit is finer than any screen's dot. */
    static String coordinate(double x) {
        String text = String.format(Locale.ROOT, "%.1f", x);
        return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
    }

    private static String escaped(String content) {
        StringBuilder escaped = new StringBuilder(content.length());
        content.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                // XML 1.0 has no way to write the other control characters, nor half a pair.
                default -> escaped.appendCodePoint(c < ' ' && c != '\n' && c != '\t' || c >= 0xd800 && c < 0xe000
                    || c >= 0xfffe && c <= 0xffff ? 0xfffd : c);
            }
        });
        return escaped.toString();
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
