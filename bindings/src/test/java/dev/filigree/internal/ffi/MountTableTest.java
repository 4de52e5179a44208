package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class MountTableTest {

    private static final List<String> TABLE = List.of(
        "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
        "22 21 0:20 / /tmp rw,nosuid,noexec,relatime shared:5 - tmpfs tmpfs rw",
        "23 22 0:21 / /tmp/run\\040here rw,nosuid - tmpfs tmpfs rw,noexec",
        "24 21 0:22 / /mnt rw,noexec - tmpfs tmpfs rw",
        "25 24 0:23 / /mnt rw - tmpfs tmpfs rw");

    @Test
    void theDeepestMountCounts() {
        assertThat(MountTable.isNoExec(Path.of("/home/x/lib.so"), TABLE)).isFalse();
        assertThat(MountTable.isNoExec(Path.of("/tmp/x/lib.so"), TABLE)).isTrue();
        assertThat(MountTable.isNoExec(Path.of("/tmp/run here/lib.so"), TABLE)).isFalse();
        assertThat(MountTable.isNoExec(Path.of("/tmpfoo/lib.so"), TABLE)).isFalse();
    }

    @Test
    void theLaterOfTwoMountsAtOnePlaceCounts() {
        assertThat(MountTable.isNoExec(Path.of("/mnt/lib.so"), TABLE)).isFalse();
    }

    @Test
    void whatCannotBeToldIsNoReasonToRefuse() {
        assertThat(MountTable.isNoExec(Path.of("/does/not/exist"))).isFalse();
        assertThat(MountTable.isNoExec(Path.of("/lib.so"), List.of("garbage", ""))).isFalse();
    }
}
