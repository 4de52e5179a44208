package dev.filigree.internal.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class SpmmVectorTest {

    /** HotSpot's FreqInlineSize: a hot callee of more bytes is not inlined. */
    private static final int INLINE_LIMIT = 325;

    @Test
    void everySumIsTooLongToBeInlined() throws IOException {
        ClassModel model;
        try (InputStream in = SpmmVector.class.getResourceAsStream("SpmmVector.class")) {
            model = ClassFile.of().parse(in.readAllBytes());
        }
        Map<String, Integer> sums = model.methods().stream()
            .filter(m -> m.methodName().stringValue().matches("accumulate[0-9]"))
            .collect(Collectors.toMap(m -> m.methodName().stringValue(),
                m -> ((CodeAttribute) m.code().orElseThrow()).codeLength()));
        assertThat(sums).hasSize(4).allSatisfy((name, bytes) -> assertThat(bytes).isGreaterThan(INLINE_LIMIT));
    }
}
