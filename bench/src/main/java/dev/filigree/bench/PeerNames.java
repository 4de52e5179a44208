package dev.filigree.bench;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** The names of other libraries' contenders, and what stands for several of them. */
final class PeerNames {

    /** Stands for all that an operation has. */
    static final String ALL = "all";

    /** Those that do an SpMM. */
    static final List<String> SPMM =
        List.of("mkl-dense", "mkl-sparse", "onednn-dense", "onednn-sparse", "openblas-dense", "ejml-sparse");

    /** Those that do an attention. */
    static final List<String> ATTENTION = List.of("ort-attention", "ort-sparse-attention", "torch-sdpa");

    private PeerNames() {}

    /**
     * The contenders that words stand for, each once, in the order of the words.
     *
     * @param words names, vendors ({@code mkl} stands for {@code mkl-dense} and {@code mkl-sparse}), or {@link #ALL}
     * @param names of the operation
     * @throws IllegalArgumentException naming a word that stands for none
     */
    static List<String> resolve(List<String> words, List<String> names) {
        Set<String> resolved = new LinkedHashSet<>();
        for (String word : words) {
            List<String> matches = names.stream()
                .filter(name -> word.equals(ALL) || name.equals(word) || name.startsWith(word + "-")).toList();
            if (matches.isEmpty()) {
                throw new IllegalArgumentException("'" + word + "' is not one of " + String.join(", ", vendors(names))
                    + ", " + String.join(", ", names));
            }
            resolved.addAll(matches);
        }
        return new ArrayList<>(resolved);
    }

    private static Set<String> vendors(List<String> names) {
        Set<String> vendors = new LinkedHashSet<>();
        names.forEach(name -> vendors.add(name.substring(0, name.indexOf('-'))));
        return vendors;
    }
}
