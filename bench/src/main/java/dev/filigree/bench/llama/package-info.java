/** A small decoder from a file that the user names: what skipping neurons does to a text, and to the time it takes. */
package dev.filigree.bench.llama;
