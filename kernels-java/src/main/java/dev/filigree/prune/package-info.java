/**
 * Which weights to drop: functions from weights, and statistics of activations, to a {@link dev.filigree.format.Mask},
 * and the schedules that lead a model there while it is trained. Nothing here runs in a kernel; a mask becomes a
 * sparse matrix through {@link dev.filigree.format.NmMatrix} or, applied, {@link dev.filigree.format.CsrMatrix}.
 *
 * <p>The magnitude rules that need no mask are built into the formats: {@link dev.filigree.format.Pruning} and
 * {@link dev.filigree.format.NmMatrix#pruned}.
 */
package dev.filigree.prune;
