/** Contextual sparsity: the neurons of an MLP, and the heads of attention, that a token does not need. */
package dev.filigree.mlp;
