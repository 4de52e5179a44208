package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.attention.AttentionCase;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "attention", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Block-sparse attention: out = softmax(q k^T / sqrt(d)) v over the blocks of a mask, or of a paged "
        + "cache.")
final class BenchAttentionCommand implements Callable<Integer> {

    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration BATCH = Duration.ofMillis(2);
    /** A sequence whose operands still fit the views of a run. */
    private static final int MOST_TOKENS = 1 << 20;

    @Spec
    private CommandSpec spec;

    @Option(names = "--seq", required = true, paramLabel = "S", description = "Tokens: queries and keys.")
    private int seq;

    @Option(names = "--heads", paramLabel = "H", description = "Query heads (default: ${DEFAULT-VALUE}).")
    private int heads = 8;

    @Option(names = "--kv-heads", paramLabel = "G", description = "Key and value heads (default: as many).")
    private Integer kvHeads;

    @Option(names = "--head-dim", paramLabel = "D", description = "Head dimension (default: ${DEFAULT-VALUE}).")
    private int headDim = 64;

    @Option(names = "--block", paramLabel = "B", description = "Block size (default: ${DEFAULT-VALUE}).")
    private int block = 64;

    @Option(names = "--density", paramLabel = "P", description = "The share of blocks to list at random, 0 to 1; with "
        + "--causal of those up to the query.")
    private Double density;

    @Option(names = "--layout", converter = Choice.OfAttentionLayout.class, paramLabel = "NAME",
        description = "dense, causal, sliding-window, streaming, longformer, bigbird, dilated, vertical-slash.")
    private AttentionLayouts layout;

    @Option(names = "--decode", description = "One query over a paged cache of --seq keys, of which --density are "
        + "selected, beside the same over all of them.")
    private boolean decode;

    @Option(names = "--page", paramLabel = "R", description = "Decode: tokens of a page (default: ${DEFAULT-VALUE}).")
    private int page = 64;

    @Option(names = "--causal", description = "Drop the keys after each query.")
    private boolean causal;

    @Option(names = "--dtype", converter = Choice.OfDType.class, paramLabel = "TYPE",
        description = "Storage type: f32 (default) or bf16.")
    private DType dtype = DType.F32;

    @Mixin
    private CommonOptions common;

    @Override
    public Integer call() {
        check();
        SideBySide.Settings settings = new SideBySide.Settings(common.rounds(), WARM_UP, BATCH);
        return decode ? decode(settings) : prefill(settings);
    }

    private int decode(SideBySide.Settings settings) {
        DecodeProblem problem = new DecodeProblem(
            seq, heads, kvHeads == null ? heads : kvHeads, headDim, page, block, density, dtype, common.seed());
        AttentionComparison comparison;
        try (Workers team = Workers.of(common.threads());
                Progress progress = new Progress("attention", common.rounds())) {
            comparison = DecodeComparison.run(
                problem, common.backends(), common.peers(), team, settings, progress::step);
        }
        long selected = DecodeProblem.selected(problem.sparse().getFirst());
        JsonObject json = describe(problem.kvHeads());
        json.addProperty("page", page);
        common.describe(json);
        json.addProperty("nnz", selected * (heads / problem.kvHeads()));
        json.addProperty("sparsity", Json.rounded(1 - (double) selected / ((double) seq * problem.kvHeads())));
        return print(comparison, json, String.format(Locale.ROOT,
            "decode over %d keys in %s, %d of them selected by each of %d heads", seq, dtype.id(),
            selected / problem.kvHeads(), problem.kvHeads()));
    }

    private int prefill(SideBySide.Settings settings) {
        AttentionCase problem = problem();
        AttentionComparison comparison;
        try (Workers team = Workers.of(common.threads()); PeerPool pool = new PeerPool(common.threads());
                Progress progress = new Progress("attention", common.rounds())) {
            comparison = AttentionComparison.run(
                problem, common.backends(), common.peers(), pool, team, settings, progress::step);
        }
        BlockMask mask = causal ? problem.mask().intersection(BlockMasks.causal(problem.mask().grid()))
            : problem.mask();
        JsonObject json = describe(problem.kvHeads());
        common.describe(json);
        json.addProperty("nnz", mask.elements());
        json.addProperty("sparsity", Json.rounded(1 - mask.density()));
        return print(comparison, json, problem.mask() + (causal ? ", causal" : ""));
    }

    private int print(AttentionComparison comparison, JsonObject json, String what) {
        PrintWriter out = spec.commandLine().getOut();
        if (common.json()) {
            out.println(Json.line(comparison.toJson(json)));
        } else {
            out.printf(Locale.ROOT, "attention  %d heads over %d, dim %d, %s, %s, %d %s, %d rounds%n", heads,
                kvHeads == null ? heads : kvHeads, headDim, dtype.id(), what, common.threads(),
                common.threads() == 1 ? "thread" : "threads", common.rounds());
            ContenderResult.table(comparison.results()).print(out);
        }
        return comparison.wrong() == 0 ? Main.OK : Main.FAILED;
    }

    private void check() {
        common.takePeers(PeerNames.ATTENTION);
        common.check();
        common.requireRange("--seq", seq, 1, MOST_TOKENS);
        common.requireRange("--heads", heads, 1, 1024);
        common.requireRange("--head-dim", headDim, 8, 256);
        if (headDim % 8 != 0) {
            refuse("--head-dim", headDim + " is not a multiple of 8");
        }
        if (kvHeads != null && (kvHeads < 1 || heads % kvHeads != 0)) {
            refuse("--kv-heads", kvHeads + " does not divide the " + heads + " heads");
        }
        if (block < BlockGrid.GRANULE || block > BlockGrid.MAX_BLOCK || block % BlockGrid.GRANULE != 0) {
            refuse("--block", block + " is not a multiple of " + BlockGrid.GRANULE + " up to " + BlockGrid.MAX_BLOCK);
        }
        if (decode && (density == null || density == 0)) {
            throw new ParameterException(spec.commandLine(), "--decode needs a --density above 0");
        }
        if (decode && causal) {
            throw new ParameterException(spec.commandLine(), "--decode has one query, which comes after every key: "
                + "--causal would drop none");
        }
        if ((density == null) == (layout == null)) {
            throw new ParameterException(spec.commandLine(), "either --density or --layout is needed");
        }
        if (density != null) {
            common.requireRange("--density", density, 0, 1);
        }
        common.requireRange("--page", page, 1, MOST_TOKENS);
    }

    private void refuse(String option, String reason) {
        throw new ParameterException(spec.commandLine(), "Invalid value for option '" + option + "': " + reason);
    }

    private AttentionCase problem() {
        BlockGrid grid = BlockGrid.square(seq, block);
        BlockMask mask = layout == null ? AttentionLayouts.random(grid, density, causal, common.seed())
            : layout.mask(grid, common.seed());
        return new AttentionCase(common.seed(), mask, 1, heads, kvHeads == null ? heads : kvHeads, headDim,
            AttentionOptions.defaults().dtype(dtype).causal(causal), null, AttentionCase.Axes.HEAD_MAJOR,
            AttentionCase.Place.SHARED);
    }

    /** The options of this command; those of all commands, and what follows from them, come after. */
    private JsonObject describe(int keyHeads) {
        JsonObject json = new JsonObject();
        json.addProperty("seq", seq);
        json.addProperty("heads", heads);
        json.addProperty("kv_heads", keyHeads);
        json.addProperty("head_dim", headDim);
        json.addProperty("block", block);
        if (layout == null) {
            json.addProperty("density", density);
        } else {
            json.addProperty("layout", Choice.name(layout));
        }
        json.addProperty("causal", causal);
        json.addProperty("dtype", dtype.id());
        json.addProperty("decode", decode);
        return json;
    }
}
