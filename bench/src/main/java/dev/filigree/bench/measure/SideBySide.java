package dev.filigree.bench.measure;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * Times contenders in turn, round by round in one process, so that a machine that slows down slows them all and
 * ratios hold. All are warm before the first round.
 */
public final class SideBySide {

    /** However slow a run is. */
    private static final int FEWEST_WARM_RUNS = 3;
    /**
     * Each working set is taken this often: the first read of a page may go through the system, under a hypervisor at
     * a cost of microseconds, however often it was written before.
     */
    private static final int WARM_PASSES = 2;
    /** On a busy machine the JIT needs more than the warm-up's time: up to so many times of it. */
    private static final int WARM_UP_STRETCH = 5;

    /**
     * How long to measure.
     *
     * @param rounds of every contender
     * @param warmUp of each contender: the JIT needs about a second of it once a process
     * @param batch the least time of a round, so that the clock's steps do not show
     */
    public record Settings(int rounds, Duration warmUp, Duration batch) {
        /** Checks that there is a round. */
        public Settings {
            if (rounds < 1) {
                throw new IllegalArgumentException("rounds = " + rounds + " is less than 1");
            }
        }
    }

    private final Settings settings;
    private final LongSupplier nanoClock;

    /** Measures with the clock of the JVM. */
    public SideBySide(Settings settings) {
        this(settings, System::nanoTime);
    }

    SideBySide(Settings settings, LongSupplier nanoClock) {
        this.settings = settings;
        this.nanoClock = nanoClock;
    }

    /** One contender's state between rounds. */
    private static final class Lane {
        final Contender contender;
        final double[] nanosByRound;
        int batch;
        String error;

        Lane(Contender contender, int rounds) {
            this.contender = contender;
            nanosByRound = new double[rounds];
        }

        Outcome outcome() {
            return error == null ? new Outcome.Timed(Timing.of(nanosByRound)) : new Outcome.Failed(error);
        }
    }

    /**
     * Measures; a contender that throws is out, the others go on.
     *
     * @param afterRound is told of each round's end
     * @return an outcome for each contender, in their order
     */
    public List<Outcome> measure(List<? extends Contender> contenders, Runnable afterRound) {
        List<Lane> lanes = new ArrayList<>();
        for (Contender contender : contenders) {
            Lane lane = new Lane(contender, settings.rounds);
            guarded(lane, () -> warmUp(lane));
            lanes.add(lane);
        }
        for (int round = 0; round < settings.rounds; round++) {
            for (int i = 0; i < lanes.size(); i++) {
                // Another one begins each round: none always runs in the wake of the same neighbour.
                Lane lane = lanes.get((i + round) % lanes.size());
                int index = round;
                if (lane.error == null) {
                    guarded(lane, () -> lane.nanosByRound[index] = timed(lane.contender, lane.batch));
                }
            }
            afterRound.run();
        }
        return lanes.stream().map(Lane::outcome).toList();
    }

    private void warmUp(Lane lane) {
        double[] last = new double[FEWEST_WARM_RUNS];
        Arrays.fill(last, Double.MAX_VALUE);
        long start = nanoClock.getAsLong();
        int fewest = Math.max(FEWEST_WARM_RUNS, WARM_PASSES * lane.contender.workingSets());
        for (int runs = 0; runs < fewest || isCold(lane.contender, runs, nanoClock.getAsLong() - start); runs++) {
            last[runs % last.length] = timed(lane.contender, 1);
        }
        double nanos = Math.max(1, Statistics.minimum(last));
        lane.batch = (int) Math.clamp(Math.ceil(settings.batch.toNanos() / nanos), 1, 1 << 20);
    }

    private boolean isCold(Contender contender, int runs, long nanos) {
        long warmUp = settings.warmUp.toNanos();
        return nanos < warmUp || runs < contender.warmRuns() && nanos < WARM_UP_STRETCH * warmUp;
    }

    /** The mean time of a run in a batch, in nanoseconds. */
    private double timed(Contender contender, int batch) {
        return (double) contender.time(batch, nanoClock) / batch;
    }

    private static void guarded(Lane lane, Runnable step) {
        try {
            step.run();
        } catch (RuntimeException e) {
            lane.error = e.toString();
        }
    }
}
