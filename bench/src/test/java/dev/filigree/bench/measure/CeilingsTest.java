package dev.filigree.bench.measure;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CeilingsTest {

    @Test
    void everyProcessorMultipliesFasterThanItReads() {
        Ceilings ceilings = Ceilings.measure(2, 512 << 10, 8 << 20).orElseThrow();
        assertThat(ceilings.threads()).isEqualTo(2);
        // A slow core with 128-bit vectors and boxed ones differ by more than this.
        assertThat(ceilings.fmaGflops()).isBetween(8.0, 2000.0);
        assertThat(ceilings.memoryGbps()).isBetween(0.5, 1000.0);
        assertThat(ceilings.cacheGbps()).isBetween(ceilings.memoryGbps() / 2, 5000.0);
    }
}
