package dev.filigree.bench.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.Param;

class NmBenchmarkTest {

    private static String[] values(String field) throws NoSuchFieldException {
        return NmBenchmark.class.getDeclaredField(field).getAnnotation(Param.class).value();
    }

    @Test
    void everyParameterWorksOrIsRefused() throws NoSuchFieldException {
        for (String pattern : values("pattern")) {
            for (String backend : values("backend")) {
                NmBenchmark benchmark = new NmBenchmark();
                benchmark.size = 40;
                benchmark.pattern = pattern;
                benchmark.n = 5;
                benchmark.backend = backend;
                if (Backend.of(backend).isAvailable()) {
                    benchmark.pack();
                    assertThat(benchmark.multiply().rows()).isEqualTo(40);
                    benchmark.close();
                } else {
                    assertThatThrownBy(benchmark::pack).isInstanceOf(UnsupportedOperationException.class);
                }
            }
        }
    }
}
