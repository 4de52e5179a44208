package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MachineTest {

    @Test
    void readsWhatLinuxTells(@TempDir Path root) throws IOException {
        Files.writeString(root.resolve("cpuinfo"),
            "processor\t: 0\nmodel name\t: Some CPU: big\nflags\t\t: fpu avx2 fma avx512f sse\n");
        Files.writeString(root.resolve("meminfo"), "MemTotal:       2048 kB\nMemFree:        1 kB\n");
        cache(root, 0, "1", "Data", "48K");
        cache(root, 1, "1", "Instruction", "32K");
        cache(root, 2, "2", "Unified", "2048K");
        cache(root, 3, "3", "Unified", "105M");
        Machine machine = Machine.read(root, root);
        assertThat(machine.cpu()).isEqualTo("Some CPU: big");
        assertThat(machine.isa()).containsExactly("avx2", "fma", "avx512f");
        assertThat(machine.memoryBytes()).isEqualTo(2 << 20);
        assertThat(machine.l1dBytes()).isEqualTo(48 << 10);
        assertThat(machine.l2Bytes()).isEqualTo(2 << 20);
        assertThat(machine.l3Bytes()).isEqualTo(105 << 20);
        assertThat(machine.lastLevelCacheBytes()).isEqualTo(105 << 20);
    }

    @Test
    void whatIsHiddenStaysEmpty(@TempDir Path root) {
        Machine machine = Machine.read(root, root);
        assertThat(machine.isa()).isEmpty();
        assertThat(machine.l3Bytes()).isZero();
        assertThat(machine.lastLevelCacheBytes()).isPositive();
    }

    @Test
    void findsTheMappedLibrary(@TempDir Path root) throws IOException {
        Path maps = root.resolve("maps");
        Files.writeString(maps, "7f00-7f01 r-xp 00000000 00:01 5   /usr/lib/libc.so.6\n"
            + "7f02-7f03 r-xp 00000000 00:01 6   /tmp/some dir/libfiligree-1.so\n");
        assertThat(Runtimes.mappedLibrary(maps)).contains("/tmp/some dir/libfiligree-1.so");
        assertThat(Runtimes.mappedLibrary(root.resolve("none"))).isEmpty();
    }

    private static void cache(Path root, int index, String level, String type, String size) throws IOException {
        Path folder = Files.createDirectory(root.resolve("index" + index));
        Files.writeString(folder.resolve("level"), level + "\n");
        Files.writeString(folder.resolve("type"), type + "\n");
        Files.writeString(folder.resolve("size"), size + "\n");
    }
}
