/** MiniLM-L6, the real model of the report: its weights, and the activations that real sentences cause in it. */
package dev.filigree.bench.minilm;
