package dev.filigree.internal;

/**
 * Flight Recorder events: one a plan, one a run. Runtimes without module {@code jdk.jfr} record nothing; an
 * event that nobody records costs two branches and allocates nothing.
 */
public final class Telemetry {

    private static final boolean PRESENT = ModuleLayer.boot().findModule("jdk.jfr").isPresent();

    private Telemetry() {}

    /** Starts timing the making of a plan; null when nobody records it. */
    public static Object beginPlan() {
        return PRESENT ? FlightEvents.beginPlan() : null;
    }

    /** Records a plan that {@link #beginPlan} started. */
    public static void endPlan(Object event, String operation, String kernel, String matrix, long packedBytes) {
        if (event != null) {
            FlightEvents.endPlan(event, operation, kernel, matrix, packedBytes);
        }
    }

    /** Starts timing a run; null when nobody records it. */
    public static Object beginRun() {
        return PRESENT ? FlightEvents.beginRun() : null;
    }

    /** Records a run that {@link #beginRun} started. */
    public static void endRun(Object event, String operation, String kernel, int n) {
        if (event != null) {
            FlightEvents.endRun(event, operation, kernel, n);
        }
    }
}
