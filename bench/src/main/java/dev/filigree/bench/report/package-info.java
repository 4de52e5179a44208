/**
 * What a report consists of, and its HTML page. Sections supply blocks of data; nothing here knows an operation, and
 * nothing elsewhere knows HTML.
 */
package dev.filigree.bench.report;
