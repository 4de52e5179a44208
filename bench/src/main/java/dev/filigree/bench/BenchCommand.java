package dev.filigree.bench;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "bench", mixinStandardHelpOptions = true, usageHelpAutoWidth = true,
    description = "Measures the backends side by side on one problem, and the floors of a family.",
    subcommands = {BenchSpmmCommand.class, BenchNmCommand.class, BenchAttentionCommand.class,
        BenchMlpCommand.class, BenchGenerateCommand.class, BenchFloorsCommand.class})
final class BenchCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "an operation is missing: "
            + String.join(", ", spec.subcommands().keySet()) + " (see filigree bench --help)");
    }
}
