/** JMH benchmarks: figures for the record, each in forks of its own. */
package dev.filigree.bench.jmh;
