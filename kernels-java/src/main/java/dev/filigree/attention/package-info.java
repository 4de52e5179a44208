/** Block-sparse attention: softmax(scale Q K^T) V over the blocks of scores that a mask lists. */
package dev.filigree.attention;
