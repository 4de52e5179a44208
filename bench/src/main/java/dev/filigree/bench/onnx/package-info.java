/** ONNX files by the wire format of protobuf: weights out of them, outputs into them; nothing is executed. */
package dev.filigree.bench.onnx;
