package dev.filigree.bench.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.suite.nm.NmRun;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.Param;

class NmBenchmarkTest {

    private static String[] values(String field) throws NoSuchFieldException {
        return NmBenchmark.class.getDeclaredField(field).getAnnotation(Param.class).value();
    }

    @Test
    void everyParameterWorksOrIsRefused() throws NoSuchFieldException {
        for (String pattern : values("pattern")) {
            for (String dtype : values("dtype")) {
                for (String backend : values("backend")) {
                    worksOrIsRefused(pattern, dtype, backend);
                }
            }
        }
    }

    private static void worksOrIsRefused(String pattern, String dtype, String backend) {
        NmBenchmark benchmark = new NmBenchmark();
        benchmark.size = 40;
        benchmark.pattern = pattern;
        benchmark.n = 5;
        benchmark.dtype = dtype;
        benchmark.backend = backend;
        DType type = DType.valueOf(dtype.toUpperCase(Locale.ROOT));
        if (Backend.of(backend).isAvailable() && NmRun.has(Backend.of(backend), type)) {
            benchmark.pack();
            assertThat(benchmark.multiply().rows()).isEqualTo(40);
            benchmark.close();
        } else {
            assertThatThrownBy(benchmark::pack).isInstanceOf(UnsupportedOperationException.class);
        }
    }
}
