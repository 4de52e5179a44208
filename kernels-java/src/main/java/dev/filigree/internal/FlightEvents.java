package dev.filigree.internal;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.EventType;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The events themselves; loaded only where module {@code jdk.jfr} is present. */
final class FlightEvents {

    /**
     * Apart, to be initialized only once a recording exists: asking for a type starts Flight Recorder, which takes
     * about 0.3 seconds, and which some virtual machines do not have.
     */
    private static final class Types {
        static final EventType PLAN = EventType.getEventType(Plan.class);
        static final EventType RUN = EventType.getEventType(Run.class);
    }

    @Name("dev.filigree.Plan")
    @Label("Plan")
    @Category("Filigree")
    @Description("A sparse operand was inspected and packed")
    static final class Plan extends Event {
        @Label("Operation")
        String operation;

        @Label("Kernel")
        String kernel;

        @Label("Matrix")
        String matrix;

        @Label("Packed Bytes")
        @DataAmount
        long packedBytes;
    }

    @Name("dev.filigree.Run")
    @Label("Run")
    @Category("Filigree")
    @Description("A plan was run")
    @Enabled(false)
    @StackTrace(false)
    static final class Run extends Event {
        @Label("Operation")
        String operation;

        @Label("Kernel")
        String kernel;

        @Label("Columns or Tokens")
        int n;
    }

    private FlightEvents() {}

    static Object beginPlan() {
        if (!FlightRecorder.isInitialized() || !Types.PLAN.isEnabled()) {
            return null;
        }
        Plan event = new Plan();
        event.begin();
        return event;
    }

    static void endPlan(Object started, String operation, String kernel, String matrix, long packedBytes) {
        Plan event = (Plan) started;
        event.operation = operation;
        event.kernel = kernel;
        event.matrix = matrix;
        event.packedBytes = packedBytes;
        event.commit();
    }

    static Object beginRun() {
        if (!FlightRecorder.isInitialized() || !Types.RUN.isEnabled()) {
            return null;
        }
        Run event = new Run();
        event.begin();
        return event;
    }

    static void endRun(Object started, String operation, String kernel, int n) {
        Run event = (Run) started;
        event.operation = operation;
        event.kernel = kernel;
        event.n = n;
        event.commit();
    }
}
