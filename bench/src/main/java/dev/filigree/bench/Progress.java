package dev.filigree.bench;

import java.time.Duration;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A progress bar on stderr that shows itself only on a terminal, and only when the work takes over two seconds.
 * Used by one thread.
 */
final class Progress implements AutoCloseable {

    /** Set by the launcher, which can ask whether stderr is a terminal; Java cannot. */
    private static final String TERMINAL = "filigree.terminal";
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final int WIDTH = 100;

    private final String task;
    private final long total;
    private final boolean terminal = Boolean.getBoolean(TERMINAL);
    private final long start = System.nanoTime();
    private long done;
    private ProgressBar bar;

    Progress(String task, long total) {
        this.task = task;
        this.total = total;
    }

    /** One step more is done. */
    void step() {
        done++;
        if (bar != null) {
            bar.stepTo(done);
        } else if (terminal && System.nanoTime() - start > PATIENCE.toNanos()) {
            bar = new ProgressBarBuilder().setTaskName(task).setInitialMax(total).setStyle(ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(System.err, WIDTH)).build();
            bar.stepTo(done);
        }
    }

    /** What is being done right now. */
    void at(String what) {
        if (bar != null) {
            bar.setExtraMessage(what);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
