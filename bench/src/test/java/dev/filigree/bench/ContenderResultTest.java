package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ContenderResultTest {

    @Test
    void onlyWrongResultsAndThoseThatOursOwesAreFailures() {
        ContenderResult wrongPeer = new ContenderResult.Failure("mkl-dense", "wrong result", true);
        ContenderResult peerElsewhere = new ContenderResult.Failure("mkl-dense", "it takes no bf16", false);
        ContenderResult ourOwn = new ContenderResult.Failure("filigree/vector", "out of memory", false);
        List<ContenderResult> all = List.of(wrongPeer, peerElsewhere, ourOwn);
        assertThat(all).filteredOn(ContenderResult::isFailure).containsExactly(wrongPeer, ourOwn);
        assertThat(ContenderResult.failures(all)).isEqualTo(2);
        assertThat(ContenderResult.checked(all)).isEqualTo(2);
    }
}
