package dev.filigree.bench.measure;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** With a clock that only the contenders move. */
class SideBySideTest {

    private final AtomicLong clock = new AtomicLong();
    private final List<String> log = new ArrayList<>();

    private final class Fake implements Contender {
        private final String name;
        private final long nanos;
        private final int failAt;
        private int workingSets = 1;
        private int runs;

        Fake(String name, long nanos, int failAt) {
            this.name = name;
            this.nanos = nanos;
            this.failAt = failAt;
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public String kernel() {
            return name;
        }

        @Override
        public void run() {
            if (++runs == failAt) {
                throw new IllegalStateException("broken");
            }
            clock.addAndGet(nanos);
            if (log.isEmpty() || !log.getLast().equals(name)) {
                log.add(name);
            }
        }

        @Override
        public int workingSets() {
            return workingSets;
        }

        @Override
        public double packMillis() {
            return 0;
        }

        @Override
        public long packedBytes() {
            return 0;
        }

        @Override
        public long residentBytes() {
            return 0;
        }

        @Override
        public void close() {}
    }

    private List<Outcome> measure(int rounds, Fake... contenders) {
        return new SideBySide(new SideBySide.Settings(rounds, Duration.ofMillis(10), Duration.ofMillis(1)),
            clock::get).measure(List.of(contenders), () -> log.add("|"));
    }

    @Test
    void contendersTakeTurnsWithinEachRound() {
        measure(3, new Fake("a", 500_000, -1), new Fake("b", 2_000_000, -1));
        assertThat(String.join("", log)).isEqualTo("ab" + "ab|" + "ba|" + "ab|");
    }

    @Test
    void timesAreOfOneRunWhateverTheBatch() {
        Fake quick = new Fake("quick", 1_000, -1);
        Fake slow = new Fake("slow", 20_000_000, -1);
        List<Outcome> outcomes = measure(4, quick, slow);
        assertThat(outcomes.get(0)).isEqualTo(new Outcome.Timed(new Timing(0.001, 0.001, 4)));
        assertThat(outcomes.get(1)).isEqualTo(new Outcome.Timed(new Timing(20, 20, 4)));
        // The batch of the quick one fills a millisecond, and its warm-up the time that was set.
        assertThat(quick.runs).isEqualTo(10_000 + 4 * 1_000);
        // The slow one is past the longest warm-up after three runs.
        assertThat(slow.runs).isEqualTo(3 + 4);
    }

    @Test
    void aSlowishContenderWarmsUpByRuns() {
        Fake slowish = new Fake("slowish", 900_000, -1);
        measure(1, slowish);
        assertThat(slowish.runs).isEqualTo(50 + 2);
    }

    @Test
    void everyWorkingSetIsWarmBeforeTheFirstRound() {
        Fake rotating = new Fake("rotating", 1_000_000, -1);
        rotating.workingSets = 300;
        measure(1, rotating);
        assertThat(rotating.runs).isEqualTo(2 * 300 + 1);
    }

    @Test
    void whoFailsIsOutAndTheOthersGoOn() {
        List<Outcome> outcomes = measure(2, new Fake("a", 1_000_000, 2), new Fake("b", 1_000_000, -1),
            new Fake("c", 1_000_000, 51));
        assertThat(outcomes.get(0)).isEqualTo(new Outcome.Failed("java.lang.IllegalStateException: broken"));
        assertThat(outcomes.get(1)).isEqualTo(new Outcome.Timed(new Timing(1, 1, 2)));
        assertThat(outcomes.get(2)).isInstanceOf(Outcome.Failed.class);
    }
}
