/** Reads weights out of ONNX files by walking the protobuf wire format; nothing is executed. */
package dev.filigree.bench.onnx;
