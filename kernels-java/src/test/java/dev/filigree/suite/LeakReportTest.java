package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.spmm.Spmm;
import dev.filigree.suite.spmm.SpmmCase;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;

class LeakReportTest {

    private static final class Recorder extends Handler {
        final List<String> messages = new CopyOnWriteArrayList<>();

        boolean sawLeak() {
            return messages.stream().anyMatch(m -> m.contains("never closed"));
        }

        @Override
        public void publish(LogRecord record) {
            messages.add(record.getMessage() + " " + (record.getParameters() == null ? ""
                : List.of(record.getParameters())));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    @Test
    void aPlanThatWasNeverClosedIsReportedAndAClosedOneIsNot() throws InterruptedException {
        Recorder recorder = new Recorder();
        Logger logger = Logger.getLogger("dev.filigree");
        logger.addHandler(recorder);
        try {
            Spmm.plan(SpmmCase.uniform(1, 11, 13, 0.5)).close();
            Spmm.plan(SpmmCase.uniform(1, 7, 5, 0.5));
            // Other messages come first where the JVM runs without the incubator module.
            for (int i = 0; i < 100 && !recorder.sawLeak(); i++) {
                System.gc();
                Thread.sleep(20);
            }
            assertThat(recorder.messages).anyMatch(m -> m.contains("never closed") && m.contains("7 x 5"))
                .noneMatch(m -> m.contains("11 x 13"));
        } finally {
            logger.removeHandler(recorder);
        }
    }
}
