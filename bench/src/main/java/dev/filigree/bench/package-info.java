/** The command line: what runs here, whether it is right, and how fast it is. */
package dev.filigree.bench;
