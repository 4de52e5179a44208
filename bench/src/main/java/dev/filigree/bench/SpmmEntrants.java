package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.bench.peer.PeerPool;
import java.util.ArrayList;
import java.util.List;

/**
 * Who is compared.
 *
 * @param backends our own, their sparse kernels
 * @param dense whether our dense path takes part, on the best backend
 * @param peers names of other libraries' contenders
 * @param pool where those run; may be null without peers
 */
record SpmmEntrants(List<Backend> backends, boolean dense, List<String> peers, PeerPool pool) {

    SpmmEntrants {
        backends = List.copyOf(backends);
        peers = List.copyOf(peers);
    }

    /** For a floor: its backend, and others by their names, whether they are ours or not. */
    static SpmmEntrants of(FloorCase.Context context, List<String> others) {
        List<Backend> backends = new ArrayList<>(List.of(context.backend()));
        CommonOptions.availableOnHost().stream().filter(backend -> backend != context.backend()
            && others.contains(SpmmContender.name(backend))).forEach(backends::add);
        return new SpmmEntrants(backends, others.contains(SpmmContender.DENSE),
            others.stream().filter(PeerNames.SPMM::contains).toList(), context.onePool());
    }

    static SpmmEntrants of(List<Backend> backends) {
        return new SpmmEntrants(backends, false, List.of(), null);
    }
}
