/**
 * What all operation families share: backends and their availability, element types, dense operands,
 * memory kinds, worker teams, streams and errors.
 */
package dev.filigree;
