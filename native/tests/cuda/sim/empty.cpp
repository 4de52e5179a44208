/* A shared library needs a source of its own; all that it exports is in the archive. */
