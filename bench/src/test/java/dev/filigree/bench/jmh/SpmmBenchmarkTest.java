package dev.filigree.bench.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.bench.BenchmarkMatrices;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.Param;

class SpmmBenchmarkTest {

    private static String[] values(String field) throws NoSuchFieldException {
        return SpmmBenchmark.class.getDeclaredField(field).getAnnotation(Param.class).value();
    }

    @Test
    void everyParameterWorksOrIsRefused() throws NoSuchFieldException {
        for (String matrix : values("matrix")) {
            assertThat(BenchmarkMatrices.parse(matrix).nnz()).isPositive();
        }
        for (String backend : values("backend")) {
            SpmmBenchmark benchmark = new SpmmBenchmark();
            benchmark.matrix = "30x20@0.9";
            benchmark.n = 5;
            benchmark.backend = backend;
            if (Backend.of(backend).isAvailable()) {
                benchmark.pack();
                assertThat(benchmark.multiply().rows()).isEqualTo(30);
                benchmark.close();
            } else {
                assertThatThrownBy(benchmark::pack).isInstanceOf(UnsupportedOperationException.class);
            }
        }
    }
}
