package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.spi.Backends;
import dev.filigree.suite.spmm.SpmmCase;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class VerifyCommandTest {

    /** Enough to hold shapes with and without tails. */
    private static final int SEEDS = 8;

    @Test
    void aFewCasesReachTheKernels() {
        CommandLineRun run = CommandLineRun.of("verify", "--op", "spmm", "--cases", "12", "--seed", "1");
        assertThat(run.code()).as(run.out()).isZero();
        assertThat(run.out()).contains("12 cases from seed 1").contains("all 12 cases agree");
        Backends.provider(Backend.SCALAR).orElseThrow().kernels().stream()
            .filter(kernel -> kernel.operation().equals("spmm"))
            .forEach(kernel -> assertThat(run.out()).contains(kernel.id()));
    }

    @Test
    void aFewCasesReachTheKernelsOfAttention() {
        CommandLineRun run = CommandLineRun.of("verify", "--op", "attention", "--cases", "12", "--seed", "1");
        assertThat(run.code()).as(run.out()).isZero();
        assertThat(run.out()).contains("all 12 cases agree", "attention_block_f32_scalar");
    }

    @Test
    void printsTheSeedItChose() {
        assertThat(CommandLineRun.of("verify", "--cases", "1", "--backend", "scalar").out())
            .containsPattern("1 cases from seed \\d+ on scalar");
    }

    /** Right but for one element, and only where the shape has a tail: what a wrong kernel typically looks like. */
    private record DropsTheTail(SpmmSubject right) implements SpmmSubject {
        @Override
        public String name() {
            return "broken";
        }

        @Override
        public String run(SpmmCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            String kernel = right.run(test, team, input, output);
            if (output.rows() > 0 && output.cols() % 16 != 0) {
                output.set(output.rows() - 1, output.cols() - 1, 77f);
            }
            return kernel;
        }
    }

    /** Off by the last bit of one element: inside the tolerance, but not the same sum. */
    private record OffByABit(SpmmSubject right) implements SpmmSubject {
        @Override
        public String name() {
            return "inexact";
        }

        @Override
        public String run(SpmmCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            String kernel = right.run(test, team, input, output);
            if (output.rows() > 0 && output.cols() > 0 && test.a().nnz() > 0) {
                output.set(0, 0, Math.nextUp(output.get(0, 0)));
            }
            return kernel;
        }
    }

    private record Throws() implements SpmmSubject {
        @Override
        public String name() {
            return "throwing";
        }

        @Override
        public String run(SpmmCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            throw new IndexOutOfBoundsException("out of bounds");
        }
    }

    @Test
    void aWrongExecutorIsDetectedAndReplayed() {
        SpmmSubject scalar = SpmmSubject.of(Backend.SCALAR);
        assertThat(mismatches(new DropsTheTail(scalar))).isPositive();
        assertThat(mismatches(new OffByABit(scalar))).isPositive();
        assertThat(mismatches(new Throws())).isEqualTo(SEEDS);
        assertThat(mismatches(scalar)).isZero();
    }

    private static int mismatches(SpmmSubject subject) {
        int count = 0;
        try (SpmmVerification verification = new SpmmVerification(List.of(subject));
                SpmmVerification replay = new SpmmVerification(List.of(subject))) {
            for (long seed = 0; seed < SEEDS; seed++) {
                Optional<String> mismatch = verification.verify(seed);
                if (mismatch.isPresent()) {
                    count++;
                    assertThat(mismatch.get()).contains("seed " + seed).contains(subject.name());
                    assertThat(replay.verify(seed)).isEqualTo(mismatch);
                }
            }
        }
        return count;
    }
}
