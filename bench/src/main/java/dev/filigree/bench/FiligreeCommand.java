package dev.filigree.bench;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The root of all commands; on its own it only says that one is missing. */
@Command(name = "filigree", mixinStandardHelpOptions = true, version = "filigree 0.1.0-SNAPSHOT",
    sortOptions = false, usageHelpAutoWidth = true,
    description = "Sparse compute kernels for the JVM: what runs here, whether it is right, and how fast it is.",
    subcommands = {InfoCommand.class, ReportCommand.class, VerifyCommand.class, BenchCommand.class},
    footer = {"", "Exit codes: 0 done; 1 a check failed; 2 a bad option or file, named in one line on stderr.",
        "FILIGREE_JAVA_OPTS adds options to the JVM; FILIGREE_DEBUG=1 shows stack traces."})
final class FiligreeCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(),
            "a command is missing: " + String.join(", ", spec.subcommands().keySet()) + " (see filigree --help)");
    }
}
