package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.DType;
import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.NmFormat;
import dev.filigree.spi.RowFormat;
import dev.filigree.spi.SpmmFormat;
import java.io.IOException;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The header, the bindings, the library and the Java constants say the same. */
class BindingsTest {

    private static final Path REPOSITORY = Path.of(System.getProperty("filigree.repository"));
    private static final Pattern DECLARATION =
        Pattern.compile("FILIGREE[A-Z_]*API [^;(]*?\\b(filigree_\\w+)\\(");
    private static final String ADDRESS = "$address";

    /** A header, the class that jextract made of it, and the library that implements it. */
    private enum Interface {
        CPU("filigree", Filigree.class, NativeLibrary::cpu),
        CUDA("filigree_cuda", FiligreeCuda.class, NativeLibrary::cuda);

        private final Path header;
        private final Class<?> bindings;
        private final Supplier<NativeLibrary> library;

        Interface(String name, Class<?> bindings, Supplier<NativeLibrary> library) {
            this.header = REPOSITORY.resolve("native/include/" + name + ".h");
            this.bindings = bindings;
            this.library = library;
        }

        Set<String> declared() throws IOException {
            return DECLARATION.matcher(Files.readString(header)).results().map(r -> r.group(1))
                .collect(Collectors.toCollection(TreeSet::new));
        }

        Map<String, Method> bound() {
            Map<String, Method> bound = new TreeMap<>();
            for (Method method : bindings.getMethods()) {
                if (method.getName().endsWith(ADDRESS)) {
                    bound.put(method.getName().replace(ADDRESS, ""), method);
                }
            }
            return bound;
        }

        NativeLibrary.Loaded assumeLoaded() {
            assumeTrue(library.get() instanceof NativeLibrary.Loaded, () -> library.get().toString());
            return (NativeLibrary.Loaded) library.get();
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyDeclaredFunctionIsBoundAndNoOther(Interface side) throws IOException {
        // Five in the smaller header: that the pattern finds nothing would be no agreement.
        assertThat(side.declared()).hasSizeGreaterThanOrEqualTo(5);
        assertThat(side.bound().keySet()).isEqualTo(side.declared());
    }

    @ParameterizedTest
    @EnumSource
    void everyBoundFunctionIsExported(Interface side) throws Exception {
        side.assumeLoaded();
        for (Method address : side.bound().values()) {
            assertThat(((MemorySegment) address.invoke(null)).address()).as(address.getName()).isNotZero();
        }
    }

    @ParameterizedTest
    @EnumSource
    void theLibraryExportsWhatTheHeaderDeclaresAndNothingElse(Interface side) throws Exception {
        Path library = side.assumeLoaded().file();
        Tools.assumeInstalled("nm");
        Tools.Result symbols = Tools.run("nm", "-D", "--defined-only", library.toString());
        assertThat(symbols.exit()).as(symbols.output()).isZero();
        assertThat(symbols.output().lines().map(line -> line.substring(line.lastIndexOf(' ') + 1)))
            .containsExactlyInAnyOrderElementsOf(side.declared());
    }

    @ParameterizedTest
    @EnumSource
    void everyConstantOfTheHeaderIsBound(Interface side) throws Exception {
        Pattern constant =
            Pattern.compile("(?m)(?:^#define +|[{,]\\s*|\\*/\\s*|^ +)(FILIGREE_[A-Z0-9_]+)[ =]+(\\w+)");
        Map<String, Long> values = new TreeMap<>();
        for (MatchResult match : constant.matcher(Files.readString(side.header)).results().toList()) {
            if (match.group(2).matches("(0x)?[0-9a-f]+(LL)?")) {
                values.put(match.group(1), Long.decode(match.group(2).replace("LL", "")));
            }
        }
        assertThat(values).hasSize((int) Stream.of(side.bindings.getDeclaredFields())
            .filter(field -> field.getName().startsWith("FILIGREE_")).count());
        for (Map.Entry<String, Long> entry : values.entrySet()) {
            Number bound = (Number) side.bindings.getMethod(entry.getKey()).invoke(null);
            assertThat(bound.longValue()).as(entry.getKey()).isEqualTo(entry.getValue());
        }
    }

    @Test
    void theSpmmFormatIsTheHeadersStruct() throws Exception {
        assertSameFields(SpmmFormat.class, filigree_spmm_packed.layout(),
            Set.of("PANEL", "WIDEST_PANEL", "LANES", "INTERLEAVED", "MAX_INTERLEAVED_DEPTH", "GATHER_ROWS",
                "STAGE_BYTES", "ALIGNMENT", "TAIL", "NO_TILE", "TILE", "TILE_OR_IN_PLACE", "MAGIC_VALUE",
                "HEADER_BYTES"),
            Set.of("layout", "activation"));
        assertThat(SpmmFormat.HEADER_BYTES).isEqualTo(filigree_spmm_packed.sizeof());
        assertThat(SpmmFormat.PANEL).isEqualTo(Filigree.FILIGREE_SPMM_PANEL());
        assertThat(SpmmFormat.WIDEST_PANEL).isEqualTo(Filigree.FILIGREE_SPMM_WIDEST_PANEL());
        assertThat(SpmmFormat.MAGIC_VALUE).isEqualTo(Filigree.FILIGREE_SPMM_MAGIC());
        assertThat(SpmmFormat.INTERLEAVED).isEqualTo(Filigree.FILIGREE_SPMM_INTERLEAVED());
        assertThat(SpmmFormat.NO_TILE).isEqualTo(Filigree.FILIGREE_SPMM_NO_TILE());
        assertThat(SpmmFormat.TILE).isEqualTo(Filigree.FILIGREE_SPMM_TILE());
        assertThat(SpmmFormat.TILE_OR_IN_PLACE).isEqualTo(Filigree.FILIGREE_SPMM_TILE_OR_IN_PLACE());
    }

    @Test
    void theGemmFormatIsTheHeadersStruct() throws Exception {
        assertSameFields(GemmFormat.class, filigree_gemm_packed.layout(), Set.of("PANEL", "LANES", "MICRO_ROWS",
            "FINISH_ROWS", "ALIGNMENT", "TAIL", "MAGIC_VALUE", "HEADER_BYTES"), Set.of("layout", "activation"));
        assertThat(GemmFormat.HEADER_BYTES).isEqualTo(filigree_gemm_packed.sizeof());
        assertThat(GemmFormat.PANEL).isEqualTo(Filigree.FILIGREE_GEMM_PANEL());
        assertThat(GemmFormat.MICRO_ROWS).isEqualTo(Filigree.FILIGREE_GEMM_MICRO_ROWS());
        assertThat(GemmFormat.MAGIC_VALUE).isEqualTo(Filigree.FILIGREE_GEMM_MAGIC());
    }

    @Test
    void theNmFormatIsTheHeadersStruct() throws Exception {
        assertSameFields(NmFormat.class, filigree_nm_packed.layout(),
            Set.of("PANEL", "LANES", "FEW", "TOKEN_GAP", "FINISH_ROWS", "ALIGNMENT", "TAIL", "MAGIC_VALUE",
                "HEADER_BYTES"),
            Set.of("n", "m", "vector", "index_bits", "dtype", "unit", "layout", "activation"));
        assertThat(NmFormat.HEADER_BYTES).isEqualTo(filigree_nm_packed.sizeof());
        assertThat(NmFormat.PANEL).isEqualTo(Filigree.FILIGREE_NM_PANEL());
        assertThat(NmFormat.MAGIC_VALUE).isEqualTo(Filigree.FILIGREE_NM_MAGIC());
    }

    @Test
    void theRowFormatIsTheHeadersStruct() throws Exception {
        assertSameFields(RowFormat.class, filigree_row_matrix.layout(), Set.of("LANES", "BLOCK", "STRIP", "TOKENS", "SUMS",
            "SCRATCH_BYTES", "ROW_STEP", "LINE", "ALIGNMENT", "TAIL", "MAGIC_VALUE", "HEADER_BYTES"), Set.of());
        assertThat(RowFormat.HEADER_BYTES).isEqualTo(filigree_row_matrix.sizeof());
        assertThat(RowFormat.MAGIC_VALUE).isEqualTo(Filigree.FILIGREE_ROW_MATRIX_MAGIC());
        assertThat(RowFormat.BLOCK).isEqualTo(Filigree.FILIGREE_MLP_BLOCK());
        assertThat(RowFormat.STRIP).isEqualTo(Filigree.FILIGREE_MLP_STRIP());
        assertThat(RowFormat.TOKENS).isEqualTo(Filigree.FILIGREE_MLP_TOKENS());
        assertThat(RowFormat.SUMS).isEqualTo(Filigree.FILIGREE_MLP_SUMS());
        assertThat(RowFormat.ROW_STEP).isEqualTo(Filigree.FILIGREE_MLP_ROW_STEP());
        assertThat(RowFormat.code(DType.F32)).isEqualTo(Filigree.FILIGREE_DTYPE_F32());
        assertThat(RowFormat.code(DType.BF16)).isEqualTo(Filigree.FILIGREE_DTYPE_BF16());
    }

    /** The public constants of a format, less some, are the offsets of a struct's fields; field() reads eight bytes of
     * them, and intField() four. */
    private static void assertSameFields(Class<?> format, GroupLayout struct, Set<String> notOffsets, Set<String> ints)
            throws Exception {
        Map<String, Long> offsets = new TreeMap<>();
        for (Field field : format.getFields()) {
            if (!notOffsets.contains(field.getName())) {
                offsets.put(field.getName().toLowerCase(Locale.ROOT), field.getLong(null));
            }
        }
        Map<String, Long> expected = struct.memberLayouts().stream().map(MemoryLayout::name)
            .flatMap(Optional::stream)
            .collect(Collectors.toMap(name -> name,
                name -> struct.byteOffset(MemoryLayout.PathElement.groupElement(name))));
        assertThat(offsets).isEqualTo(expected);
        assertThat(struct.memberLayouts().stream().filter(member -> member instanceof ValueLayout.OfInt)
            .map(member -> member.name().orElseThrow())).containsExactlyInAnyOrderElementsOf(ints);
    }

    @Test
    void theBindingsAreWhatTheGeneratorWrites() throws Exception {
        Tools.assumeInstalled("jextract");
        String generator = REPOSITORY.resolve("bindings/generate.sh").toString();
        Tools.Result check = Tools.run("sh", generator, "--check");
        assumeTrue(check.exit() != 3, check.output());
        assertThat(check.exit()).as(check.output()).isZero();
    }
}
