package dev.filigree.bench.report;

/** A part of a section. Renderers show blocks in their order, plots and figures that follow each other side by side. */
public sealed interface Block permits Prose, Highlights, DataTable, Plot, Figure {}
