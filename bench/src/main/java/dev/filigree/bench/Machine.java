package dev.filigree.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * What the operating system tells about the processor and the memory; empty or 0 where it does not.
 *
 * @param cpu the model's name
 * @param cores that this process may use
 * @param isa the instruction sets that kernels could use, by the kernel's names for them
 * @param l1dBytes data cache of a core
 * @param l2Bytes of a core
 * @param l3Bytes shared
 * @param memoryBytes installed
 * @param os name and version
 */
record Machine(String cpu, int cores, List<String> isa, long l1dBytes, long l2Bytes, long l3Bytes,
        long memoryBytes, String os) {

    /** What kernels here are, or will be, written for. */
    private static final Set<String> ISA = Set.of("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq",
        "avx512vl", "avx512vbmi", "avx512_vbmi2", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
        "amx_bf16", "amx_int8");

    /** Where the size of the last-level cache is unknown: at least as large as on most servers, a core's share. */
    private static final long ASSUMED_CACHE = 64L << 20;

    static Machine here() {
        return read(Path.of("/proc"), Path.of("/sys/devices/system/cpu/cpu0/cache"));
    }

    static Machine read(Path proc, Path caches) {
        List<String> cpuinfo = lines(proc.resolve("cpuinfo"));
        List<String> flags = Arrays.asList(field(cpuinfo, "flags").orElse("").split("\\s+"));
        long memoryKib = field(lines(proc.resolve("meminfo")), "MemTotal").map(Machine::leadingNumber).orElse(0L);
        return new Machine(field(cpuinfo, "model name").orElse(System.getProperty("os.arch")),
            Runtime.getRuntime().availableProcessors(),
            flags.stream().filter(ISA::contains).toList(),
            cache(caches, 1), cache(caches, 2), cache(caches, 3), memoryKib << 10,
            System.getProperty("os.name") + " " + System.getProperty("os.version"));
    }

    /** The size of the largest cache, or a guess on the safe side. */
    long lastLevelCacheBytes() {
        long largest = Math.max(l3Bytes, l2Bytes);
        return largest == 0 ? ASSUMED_CACHE : largest;
    }

    private static long cache(Path caches, int level) {
        for (int index = 0; index < 8; index++) {
            Path cache = caches.resolve("index" + index);
            List<String> found = lines(cache.resolve("level"));
            List<String> type = lines(cache.resolve("type"));
            if (found.equals(List.of(Integer.toString(level))) && !type.equals(List.of("Instruction"))) {
                String size = String.join("", lines(cache.resolve("size"))).toUpperCase(Locale.ROOT);
                int shift = size.endsWith("M") ? 20 : size.endsWith("K") ? 10 : 0;
                return leadingNumber(size) << shift;
            }
        }
        return 0;
    }

    private static Optional<String> field(List<String> lines, String name) {
        return lines.stream()
            .filter(line -> line.startsWith(name) && line.substring(name.length()).strip().startsWith(":"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst();
    }

    private static long leadingNumber(String text) {
        int end = 0;
        while (end < text.length() && Character.isDigit(text.charAt(end))) {
            end++;
        }
        return end == 0 ? 0 : Long.parseLong(text.substring(0, end));
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            return List.of(); // Not Linux, or a container that hides it: the field stays empty.
        }
    }
}
