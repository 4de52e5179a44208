package dev.filigree.bench.jmh;

/** Takes the device's benchmark through its life, as JMH would. */
public final class DeviceBenchmarkProbe {

    private DeviceBenchmarkProbe() {}

    /** Runs a small product a few times. */
    public static void run(String dtype) {
        SpmmDeviceBenchmark benchmark = new SpmmDeviceBenchmark();
        benchmark.matrix = "48x192@0.7";
        benchmark.n = 3;
        benchmark.dtype = dtype;
        benchmark.pack();
        for (int i = 0; i < 5; i++) {
            benchmark.multiply();
        }
        benchmark.close();
    }
}
