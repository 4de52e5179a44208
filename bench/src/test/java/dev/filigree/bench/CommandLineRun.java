package dev.filigree.bench;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;

/**
 * What one command did.
 *
 * @param code its exit code
 * @param out what it wrote on stdout
 * @param err what it wrote on stderr
 */
record CommandLineRun(int code, String out, String err) {

    static CommandLineRun of(String... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = Main.run(new PrintWriter(out), new PrintWriter(err), args);
        return new CommandLineRun(code, out.toString(), err.toString());
    }

    List<String> errLines() {
        return err.lines().toList();
    }
}
