package dev.filigree.bench;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/**
 * The command line.
 *
 * <p>Exit codes: 0 done; 1 a check failed, or the program did; 2 the user's input is at fault, and one line on
 * stderr names what it is. {@code FILIGREE_DEBUG=1} adds the stack trace.
 */
public final class Main {

    static final int OK = 0;
    static final int FAILED = 1;
    static final int BAD_INPUT = 2;

    private Main() {}

    /** Runs one command and exits with its code. */
    public static void main(String[] args) {
        // UTF-8 whatever the locale: JSON on stdout has to be.
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        System.exit(run(out, err, args));
    }

    /** Runs one command; the caller's streams take what it prints. */
    static int run(PrintWriter out, PrintWriter err, String... args) {
        boolean debug = "1".equals(System.getenv("FILIGREE_DEBUG"));
        CommandLine commandLine = new CommandLine(new FiligreeCommand())
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setParameterExceptionHandler((e, arguments) -> complain(err, BAD_INPUT, e, debug))
            .setExecutionExceptionHandler((e, command, parsed) -> failed(err, e, debug));
        int code;
        try {
            code = commandLine.execute(args);
        } catch (OutOfMemoryError e) {
            code = failed(err, e, debug);
        }
        out.flush();
        err.flush();
        return code;
    }

    private static int failed(PrintWriter err, Throwable failure, boolean debug) {
        return switch (failure) {
            case ParameterException e -> complain(err, BAD_INPUT, e, debug);
            case InputException e -> complain(err, BAD_INPUT, e, debug);
            case OutOfMemoryError e -> {
                err.println("filigree: not enough memory for this: " + oneLine(e));
                trace(err, e, debug);
                yield FAILED;
            }
            default -> {
                err.println("filigree: " + failure.getClass().getSimpleName() + ": " + oneLine(failure)
                    + (debug ? "" : " (FILIGREE_DEBUG=1 shows where)"));
                trace(err, failure, debug);
                yield FAILED;
            }
        };
    }

    private static int complain(PrintWriter err, int code, Exception complaint, boolean debug) {
        err.println("filigree: " + oneLine(complaint));
        trace(err, complaint, debug);
        return code;
    }

    private static String oneLine(Throwable t) {
        return String.valueOf(t.getMessage()).strip().replaceAll("\\s*\\R\\s*", " ");
    }

    private static void trace(PrintWriter err, Throwable t, boolean debug) {
        if (debug) {
            t.printStackTrace(err);
        }
    }
}
