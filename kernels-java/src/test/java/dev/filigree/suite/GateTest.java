package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.internal.Gate;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GateTest {

    @Test
    void closingWaitsForEveryVisitAndKeepsAnInterrupt() throws InterruptedException {
        Gate gate = new Gate("the thing");
        Gate.Visit first = gate.enter();
        Gate.Visit second = gate.enter();
        assertThat(second).isNotSameAs(first);
        AtomicInteger interrupted = new AtomicInteger();
        Thread closer = Thread.ofPlatform().start(() -> {
            assertThat(gate.close()).isTrue();
            interrupted.set(Thread.interrupted() ? 1 : 2);
        });
        while (!gate.isClosed()) {
            Thread.onSpinWait();
        }
        closer.interrupt();
        assertThatThrownBy(gate::enter).isInstanceOf(IllegalStateException.class).hasMessage("the thing is closed");
        first.inside = false;
        assertThat(closer.join(Duration.ofMillis(50))).as("one is inside").isFalse();
        second.inside = false;
        closer.join();
        assertThat(interrupted).hasValue(1);
        assertThat(gate.close()).isFalse();
    }

    @Test
    void visitsAreReused() {
        Gate gate = new Gate("the thing");
        Gate.Visit first = gate.enter();
        first.inside = false;
        assertThat(gate.enter()).isSameAs(first);
    }

    @Test
    void nobodyIsInsideOnceCloseReturns() throws InterruptedException {
        for (int round = 0; round < 300; round++) {
            Gate gate = new Gate("the thing");
            AtomicInteger inside = new AtomicInteger();
            Thread[] visitors = new Thread[3];
            for (int i = 0; i < visitors.length; i++) {
                visitors[i] = Thread.ofPlatform().start(() -> {
                    while (true) {
                        Gate.Visit visit;
                        try {
                            visit = gate.enter();
                        } catch (IllegalStateException closed) {
                            return;
                        }
                        inside.incrementAndGet();
                        inside.decrementAndGet();
                        visit.inside = false;
                    }
                });
            }
            for (int i = 0; i < round * 10; i++) {
                Thread.onSpinWait();
            }
            gate.close();
            assertThat(inside).hasValue(0);
            for (Thread visitor : visitors) {
                visitor.join();
            }
        }
    }
}
