package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class PeerNamesTest {

    private static List<String> resolve(String... words) {
        return PeerNames.resolve(List.of(words), PeerNames.SPMM);
    }

    @Test
    void vendorsStandForAllTheirs() {
        assertThat(resolve("onednn", "mkl"))
            .containsExactly("onednn-dense", "onednn-sparse", "mkl-dense", "mkl-sparse");
        assertThat(resolve("mkl-sparse", "mkl")).containsExactly("mkl-sparse", "mkl-dense");
        assertThat(resolve("ejml")).containsExactly("ejml-sparse");
        assertThat(resolve("all")).isEqualTo(PeerNames.SPMM);
        assertThat(resolve()).isEmpty();
    }

    @Test
    void whatStandsForNoneIsNamed() {
        assertThatThrownBy(() -> resolve("mkl", "mk")).isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith("'mk' is not one of mkl, onednn, openblas, ejml, mkl-dense");
    }

    @Test
    void optionWithoutNamesStandsForAll() {
        CommandLineRun run = CommandLineRun.of("bench", "spmm", "--rows", "9", "--cols", "9", "--sparsity", "0.5",
            "--n", "4", "--rounds", "1", "--backend", "scalar", "--threads", "1", "--json", "--peers");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(PeerNames.SPMM).allSatisfy(name -> assertThat(run.out()).contains("\"name\":\"" + name + "\""));
    }
}
