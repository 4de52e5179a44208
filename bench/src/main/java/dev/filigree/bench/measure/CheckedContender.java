package dev.filigree.bench.measure;

import dev.filigree.DenseMatrix;

/** A contender whose result can be checked. */
public interface CheckedContender extends Contender {

    /** What the runs on the first working set wrote. */
    DenseMatrix output();
}
