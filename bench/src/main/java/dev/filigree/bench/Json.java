package dev.filigree.bench;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Collection;

/** JSON as the command line prints it. */
final class Json {

    private static final Gson LINE = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();
    private static final Gson INDENTED =
        new GsonBuilder().disableHtmlEscaping().serializeNulls().setPrettyPrinting().create();
    /** More digits than any clock here is good for. */
    private static final MathContext DIGITS = new MathContext(6);

    private Json() {}

    static String line(JsonElement json) {
        return LINE.toJson(json);
    }

    static String indented(JsonElement json) {
        return INDENTED.toJson(json);
    }

    /** A measured number without meaningless digits. */
    static Number rounded(double x) {
        return new BigDecimal(x, DIGITS).doubleValue();
    }

    static JsonArray strings(Collection<String> strings) {
        JsonArray array = new JsonArray();
        strings.forEach(array::add);
        return array;
    }
}
