package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Layout;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads constants of an enum by the names that the command line uses: {@code feature-major}. */
abstract class Choice<E extends Enum<E>> implements ITypeConverter<E> {

    private final E[] constants;

    private Choice(Class<E> type) {
        constants = type.getEnumConstants();
    }

    static String name(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    @Override
    public E convert(String text) {
        return Arrays.stream(constants).filter(constant -> name(constant).equals(text)).findFirst()
            .orElseThrow(() -> new TypeConversionException("'" + text + "' is not one of "
                + Arrays.stream(constants).map(Choice::name).collect(Collectors.joining(", "))));
    }

    static final class OfBackend extends Choice<Backend> {
        OfBackend() {
            super(Backend.class);
        }
    }

    static final class OfDType extends Choice<DType> {
        OfDType() {
            super(DType.class);
        }
    }

    static final class OfLayout extends Choice<Layout> {
        OfLayout() {
            super(Layout.class);
        }
    }

    static final class OfActivation extends Choice<Activation> {
        OfActivation() {
            super(Activation.class);
        }
    }

    static final class OfMlpKind extends Choice<MlpProblem.Kind> {
        OfMlpKind() {
            super(MlpProblem.Kind.class);
        }
    }

    static final class OfMlpSkip extends Choice<MlpProblem.Skip> {
        OfMlpSkip() {
            super(MlpProblem.Skip.class);
        }
    }

    static final class OfAttentionLayout extends Choice<AttentionLayouts> {
        OfAttentionLayout() {
            super(AttentionLayouts.class);
        }
    }
}
