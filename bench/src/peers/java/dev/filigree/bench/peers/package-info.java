/** The libraries to compare with; part of the build with the Maven profile {@code peers} only. */
package dev.filigree.bench.peers;
