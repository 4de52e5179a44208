/**
 * Other libraries as contenders. Each vendor's run in a helper process of their own, so that no two thread pools share
 * one; the process that measures tells them over a pipe when it is their turn. The libraries themselves are an opt-in
 * part of the build and are found as services.
 */
package dev.filigree.bench.peer;
