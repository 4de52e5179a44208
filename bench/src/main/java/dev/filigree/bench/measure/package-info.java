/** Side-by-side timing of contenders, and the statistics of it; knows no operation. */
package dev.filigree.bench.measure;
